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
