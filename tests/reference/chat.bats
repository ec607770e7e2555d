#!/usr/bin/env bats
# Chat templates of real models: the text and ids that transformers computes, and where turns begin and end.

bats_require_minimum_version 1.5.0

setup() {
	helpers=${HONE_HELPERS:-build/release/tests/helpers}
	tokenize=${HONE_BIN:-.}/hone-tokenize
	shared=../shared
	T=$BATS_TEST_TMPDIR
	qwen=$shared/data/tokenizers/qwen3
	[ -x "$helpers/render" ]
	[ -x "$helpers/turns" ]
}

# Holds one rendering of file $1 with the variables $2 against the text $3.
renders() {
	printf %s "$2" > "$T/variables.json"
	"$helpers/render" "$1" "$T/variables.json" > "$T/got"
	printf %s "$3" > "$T/want"
	diff "$T/want" "$T/got"
}

# Conversation line $4 of $3 with tokenizer $1 and template $2: targets between « and ».
turns() {
	"$helpers/turns" "$1" "$2" <(printf '%s\n' "$3")
}

@test "text and ids of every reference model with a template" {
	n=0
	for chat in "$shared"/reference/models/*/chat.json; do
		base=$(dirname "$chat")/base
		tokens=$(jq -c '{bos_token, eos_token} | with_entries(select(.value))' "$base/tokenizer_config.json")
		for i in $(seq 0 $(($(jq length "$chat") - 1))); do
			jq -j ".[$i].text" "$chat" > "$T/want"
			jq -c --argjson t "$tokens" "{messages: .[$i].messages, add_generation_prompt: false} + \$t" "$chat" > "$T/v.json"
			"$helpers/render" "$base/chat_template.jinja" "$T/v.json" > "$T/got"
			cmp "$T/want" "$T/got"
			n=$((n + 1))
		done
		jq -c '.[] | {messages}' "$chat" > "$T/chat.jsonl"
		for on in assistant completion all; do
			"$tokenize" -q -m "$base" --jsonl --train-on $on "$T/chat.jsonl" | jq -c .input_ids > "$T/got"
			diff <(jq -c '.[].input_ids' "$chat") "$T/got"
		done
	done
	[ "$n" -eq 12 ]
}

@test "prompt and completion: the task of the fine-tuning reference, with its labels" {
	"$tokenize" -q -m "$shared/data/models/bilingual-7m" --jsonl "$shared/data/tasks/sst2/valid.jsonl" > "$T/got"
	[ "$(wc -l < "$T/got")" -eq "$(wc -l < "$shared/data/tasks/sst2/valid.jsonl")" ]
	diff <(jq -r .completion "$shared/data/tasks/sst2/valid.jsonl") <(jq -r .label "$T/got")
	# the last two tokens are the answer and the end-of-text token, and they are the targets
	jq -se 'all(.[]; (.labels | map(select(. != -100))) == .input_ids[-2:] and .completion == (.input_ids | length) - 2)' "$T/got"
}

@test "gemma-2: roles renamed and trimmed, system refused" {
	f=$shared/data/templates/google-gemma-2-2b-it.jinja
	renders "$f" '{"messages":[{"role":"user","content":" Hi\n"},{"role":"assistant","content":"Yo"}],"bos_token":"<bos>",
		"add_generation_prompt":true}' '<bos><start_of_turn>user
Hi<end_of_turn>
<start_of_turn>model
Yo<end_of_turn>
<start_of_turn>model
'
	echo '{"messages":[{"role":"system","content":"S"}],"bos_token":"<bos>"}' > "$T/v.json"
	run --separate-stderr "$helpers/render" "$f" "$T/v.json"
	[ "$status" -eq 65 ]
	[[ $stderr == *"line 1: System role not supported" ]]
}

@test "llama-3.2: dated system block, tools in the first question" {
	f=$shared/data/templates/meta-llama-Llama-3.2-3B-Instruct.jinja
	TZ=UTC SOURCE_DATE_EPOCH=1700000000 renders "$f" '{"messages":[{"role":"user","content":"w?"}],"bos_token":"<B>",
		"tools":[{"name":"f"}],"add_generation_prompt":true}' '<B><|start_header_id|>system<|end_header_id|>

Environment: ipython
Cutting Knowledge Date: December 2023
Today Date: 14 Nov 2023

<|eot_id|><|start_header_id|>user<|end_header_id|>

Given the following functions, please respond with a JSON for a function call with its proper arguments that best answers the given prompt.

Respond in the format {"name": function name, "parameters": dictionary of argument name and its value}.Do not use variables.

{
    "name": "f"
}

w?<|eot_id|><|start_header_id|>assistant<|end_header_id|>

'
}

@test "mistral-nemo: a call and its result" {
	renders "$shared/data/templates/mistralai-Mistral-Nemo-Instruct-2407.jinja" '{"bos_token":"<s>","eos_token":"</s>",
		"tools":null,"messages":[{"role":"system","content":"S"},{"role":"user","content":"w?"},{"role":"assistant",
		"tool_calls":[{"id":"abcdefghi","function":{"name":"f","arguments":{"a":1}}}]},{"role":"tool","content":"7",
		"tool_call_id":"abcdefghi"},{"role":"assistant","content":"it is 7"},{"role":"user","content":"thx"}]}' \
		'<s>[INST]w?[/INST][TOOL_CALLS][{"name": "f", "arguments": {"a": 1}, "id": "abcdefghi"}]</s>[TOOL_RESULTS]{"content": 7, "call_id": "abcdefghi"}[/TOOL_RESULTS]it is 7</s>[INST]S

thx[/INST]'
}

@test "qwen3: earlier reasoning is gone, the last turn keeps its block" {
	run turns "$qwen" "$shared/data/templates/Qwen-Qwen3-0.6B.jinja" '{"messages":[{"role":"user","content":"p"},
		{"role":"assistant","content":"<think>\nx\n</think>\n\na"},{"role":"user","content":"q"},
		{"role":"assistant","content":"b"}]}' < /dev/null
	[ "$status" -ne 0 ]  # a record is one line
	run turns "$qwen" "$shared/data/templates/Qwen-Qwen3-0.6B.jinja" '{"messages":[{"role":"user","content":"p"},{"role":"assistant","content":"<think>\nx\n</think>\n\na"},{"role":"user","content":"q"},{"role":"assistant","content":"b"}]}'
	[ "$output" = '<|im_start|>user
p<|im_end|>
<|im_start|>assistant
«a<|im_end|>»
<|im_start|>user
q<|im_end|>
<|im_start|>assistant
«<think>

</think>

b<|im_end|>»

---' ]
}

@test "qwen3: reasoning within a chain of tool calls, before another question" {
	run turns "$qwen" "$shared/data/templates/Qwen-Qwen3-0.6B.jinja" '{"messages":[{"role":"user","content":"w?"},{"role":"assistant","content":"<think>\nx\n</think>\n\nlet","tool_calls":[{"function":{"name":"f","arguments":{}}}]},{"role":"tool","content":"7"},{"role":"assistant","content":"<think>\ny\n</think>\n\nit is 7"},{"role":"user","content":"thx"},{"role":"assistant","content":"yw","weight":0}]}'
	[ "$output" = '<|im_start|>user
w?<|im_end|>
<|im_start|>assistant
«let
<tool_call>
{"name": "f", "arguments": {}}
</tool_call><|im_end|>»
<|im_start|>user
<tool_response>
7
</tool_response><|im_end|>
<|im_start|>assistant
«it is 7<|im_end|>»
<|im_start|>user
thx<|im_end|>
<|im_start|>assistant
<think>

</think>

yw<|im_end|>

---' ]
}

@test "bilingual-7m: the generation prompt has an empty block of reasoning, the turn a full one" {
	run turns "$shared/data/models/bilingual-7m" "" '{"messages":[{"role":"user","content":"p"},{"role":"assistant","content":"a"},{"role":"user","content":"q"},{"role":"assistant","content":"<think>\ny\n</think>\n\nb"}]}'
	[ "$output" = '<|im_start|>user
p<|im_end|>
<|im_start|>assistant
<think>

</think>

«a<|im_end|>»
<|im_start|>user
q<|im_end|>
<|im_start|>assistant
<think>
«y
</think>

b<|im_end|>»

---' ]
}

@test "phi-3.5: an end-of-text token behind the last turn only" {
	# this tokenizer knows <|im_end|>, its end-of-text token, but not <|end|>
	run turns "$qwen" "$shared/data/templates/microsoft-Phi-3.5-mini-instruct.jinja" '{"messages":[{"role":"user","content":"p"},{"role":"assistant","content":"a"},{"role":"user","content":"q"},{"role":"assistant","content":"b"}]}'
	[ "$output" = '<|user|>
p<|end|>
<|assistant|>
«a<|end|>
»<|user|>
q<|end|>
<|assistant|>
«b<|end|>
<|im_end|>»
---' ]
}

# The targets of the multi-turn conversation $3 with tokenizer $1, template $2 and --train-on $4, joined by |.
targets() {
	"$helpers/turns" "$1" "$2" "$3" "$4" | tr '\n' '~' | grep -o '«[^»]*»' | tr -d '«»' | tr '\n' '|'
}

@test "--train-on and weights in a chat of three turns, for every family" {
	mkdir -p "$T/llama3" "$T/mistral"
	cp "$shared/data/tokenizers/llama3.1/tokenizer.json" "$T/llama3/"
	cp "$shared/data/tokenizers/mistral-v0.3/tokenizer.json" "$T/mistral/"
	echo '{"bos_token":"<s>","eos_token":"</s>"}' > "$T/mistral/tokenizer_config.json"
	echo '{"bos_token":"<|begin_of_text|>","eos_token":"<|eot_id|>"}' > "$T/llama3/tokenizer_config.json"
	echo '{"messages":[{"role":"user","content":"q1"},{"role":"assistant","content":"a1"},{"role":"user","content":"q2"},{"role":"assistant","content":"a2","weight":0},{"role":"user","content":"q3"},{"role":"assistant","content":"a3"}]}' > "$T/multi.jsonl"
	llama2=$shared/data/tokenizers/llama2
	d=$shared/data/templates
	n=0
	while IFS=';' read -r tokenizer template first last; do
		[ "$(targets "$tokenizer" "$template" "$T/multi.jsonl" assistant)" = "$first|$last|" ]
		[ "$(targets "$tokenizer" "$template" "$T/multi.jsonl" completion)" = "$last|" ]
		n=$((n + 1))
	done <<- END
		$qwen;$d/Qwen-Qwen2.5-7B-Instruct.jinja;a1<|im_end|>;a3<|im_end|>
		$qwen;$d/Qwen-Qwen3-0.6B.jinja;a1<|im_end|>;<think>~~</think>~~a3<|im_end|>
		$llama2;$d/google-gemma-2-2b-it.jinja;a1<end_of_turn>~;a3<end_of_turn>~
		$llama2;$d/microsoft-Phi-3.5-mini-instruct.jinja;a1<|end|>~;a3<|end|>~</s>
		$T/llama3;$d/meta-llama-Llama-3.1-8B-Instruct.jinja;a1<|eot_id|>;a3<|eot_id|>
		$T/llama3;$d/meta-llama-Llama-3.2-3B-Instruct.jinja;a1<|eot_id|>;a3<|eot_id|>
		$T/mistral;$d/mistralai-Mistral-Nemo-Instruct-2407.jinja;a1</s>;a3</s>
		$qwen;chatml;a1<|im_end|>;a3<|im_end|>
		$T/llama3;llama-3;a1<|eot_id|>;a3<|eot_id|>
		$llama2;llama-2;a1 </s>;a3 </s>
		$T/mistral;mistral;a1</s>;a3</s>
		$llama2;mistral-v1;a1</s>;a3</s>
		$llama2;gemma;a1<end_of_turn>~;a3<end_of_turn>~
		$llama2;zephyr;a1</s>;a3</s>
		$llama2;llama-chinese;a1~</s>;a3~</s>
	END
	[ "$n" -eq 15 ]
}

# A conversation with tools, a call and its result, as OpenAI's files have it: content null, arguments as a string.
@test "calls and tools: for every family that has them, arguments as JSON, the call a target" {
	echo '{"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{}}}}],"messages":[{"role":"user","content":"w?"},{"role":"assistant","content":null,"tool_calls":[{"id":"abcdefghi","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},{"role":"tool","tool_call_id":"abcdefghi","content":"7"},{"role":"assistant","content":"it is 7"}]}' > "$T/tools.jsonl"
	mkdir -p "$T/mistral"
	cp "$shared/data/tokenizers/mistral-v0.3/tokenizer.json" "$T/mistral/"
	echo '{"bos_token":"<s>","eos_token":"</s>"}' > "$T/mistral/tokenizer_config.json"
	d=$shared/data/templates
	call='<tool_call>~{"name": "f", "arguments": {"a": 1}}~</tool_call><|im_end|>|'
	[ "$(targets "$qwen" "$d/Qwen-Qwen2.5-7B-Instruct.jinja" "$T/tools.jsonl" assistant)" = "${call}it is 7<|im_end|>|" ]
	[ "$(targets "$qwen" "$d/Qwen-Qwen3-0.6B.jinja" "$T/tools.jsonl" assistant)" = "${call}<think>~~</think>~~it is 7<|im_end|>|" ]
	[ "$(targets "$T/mistral" "$d/mistralai-Mistral-Nemo-Instruct-2407.jinja" "$T/tools.jsonl" assistant)" = \
		'[TOOL_CALLS][{"name": "f", "arguments": {"a": 1}, "id": "abcdefghi"}]</s>|it is 7</s>|' ]
	for t in 1-8B 2-3B; do
		[ "$(targets "$shared/data/tokenizers/llama3.1" "$d/meta-llama-Llama-3.$t-Instruct.jinja" "$T/tools.jsonl" assistant)" = \
			'{"name": "f", "parameters": {"a": 1}}<|eot_id|>|it is 7<|eot_id|>|' ]
	done
}

@test "the demonstration files: ShareGPT with calls, Alpaca, chat, weights by message" {
	for m in "$shared/data/models/bilingual-7m" "$qwen"; do
		while read -r file format records; do
			run --separate-stderr "$tokenize" -m "$m" -o "$T/out" --force "$shared/data/chat/$file"
			[ "$status" -eq 0 ]
			[[ $stderr == "hone-tokenize: read as --format $format, by "*"hone-tokenize: $records records, "* ]]
			[[ $stderr != *warning* ]]
		done <<- END
			alpaca_en_demo.json alpaca 999
			alpaca_zh_demo.json alpaca 1000
			glaive_toolcall_en_demo.json sharegpt 300
			openai_chat_fluid_train.jsonl chat 257
			toy_chat_fine_tuning.jsonl chat 5
			v1_sft_demo.jsonl chat 500
		END
	done
	# every call of the first record is a target from its opening to the end of its turn
	"$tokenize" -q -m "$qwen" --show --head 1 "$shared/data/chat/glaive_toolcall_en_demo.json" > "$T/shown"
	grep -q '^⟦<tool_call>│↵$' "$T/shown"
	grep -q '^│</tool_call>│<|im_end|>⟧↵$' "$T/shown"
}

@test "--show: characters of several tokens, and what a terminal must not be sent" {
	printf '%s\n' '{"text":"\u9f98\u001b[31m\u202e \u0000\t."}' > "$T/odd.jsonl"
	"$tokenize" -q -m "$shared/data/tokenizers/gpt2" --no-special --show "$T/odd.jsonl" | sed 1d > "$T/shown"
	# the first token of all is no target, so here the bytes of the first character stand apart
	grep -qxF '�⟦�│␛│[│31│m│<U+202E>₂│ │␀│⇥│.⟧' "$T/shown"
	printf '%s\n' '{"text":"a\u9f98"}' > "$T/odd.jsonl"
	"$tokenize" -q -m "$shared/data/tokenizers/gpt2" --no-special --show "$T/odd.jsonl" | sed 1d | grep -qxF 'a⟦龘₂⟧'
}

@test "the pieces add up to what is tokenised whole, for every built-in template" {
	for t in chatml llama-2 llama-3 mistral mistral-v1 mistral-tekken gemma zephyr llama-chinese; do
		jq -c 'select(.messages)' "$shared/data/chat/toy_chat_fine_tuning.jsonl" > "$T/chat.jsonl"
		for on in assistant all; do
			"$helpers/turns" "$shared/data/tokenizers/llama2" $t "$T/chat.jsonl" $on | tr -d '«» ' > "$T/$on"
		done
		[ -s "$T/all" ]
		diff "$T/all" "$T/assistant"
	done
}

@test "what templates are written with" {
	run "$helpers/render" -r tests/reference/jinja.jsonl
	[ "$status" -eq 0 ]
	[[ "${lines[-1]}" == "0 of 314 templates differ" ]]
	sed '2s/"out": "/"out": "x/' tests/reference/jinja.jsonl >"$T/wrong.jsonl"
	run "$helpers/render" -r "$T/wrong.jsonl"
	[ "$status" -eq 1 ]
}
