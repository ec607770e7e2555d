#!/usr/bin/env bats
# hone-finetune: one command from a training file to a merged model, on a model of some thousand random weights.

bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	export HONE_BIN="${HONE_BIN:-$PWD}"
	unset HONE_MODEL HONE_MODEL_PATH
	T=$BATS_TEST_TMPDIR D=$BATS_FILE_TMPDIR
	tune=$PWD/pipelines/hone-finetune
	few="--max-steps 2 --batch-size 8 -j 1 -q"
}

# A base model: the demonstration's tokenizer and shape, smaller, with the random weights of one step.
setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	local d=$BATS_FILE_TMPDIR bin=${HONE_BIN:-.}
	mkdir "$d/shape"
	cp pipelines/demo.model/tokenizer* "$d/shape"
	jq '.hidden_size = 32 | .intermediate_size = 64 | .num_hidden_layers = 1 | .num_attention_heads = 1
		| .num_key_value_heads = 1' pipelines/demo.model/config.json > "$d/shape/config.json"
	jq -c '{prompt: (.text + "\n\n###\n\n"), completion: (" " + .label)}' \
		pipelines/demo.data/tickets.jsonl > "$d/all.jsonl"
	head -n 300 "$d/all.jsonl" > "$d/train.jsonl"
	tail -n +301 "$d/all.jsonl" > "$d/valid.jsonl"
	"$bin/hone-train" -q -j 1 -m "$d/shape" --from-scratch --method full -t "$d/train.jsonl" -o "$d/base" --max-steps 1
	mv "$d/base/final" "$d/tiny"
}

@test "training and validation file: adapter, merged model, a table of the epochs" {
	run --separate-stderr "$tune" -t "$D/train.jsonl" -v "$D/valid.jsonl" -m "$D/tiny" \
		-o "$T/out" --compute-classification-metrics --classification-n-classes 4 $few
	[ "$status" -eq 0 ]
	[[ ${lines[0]} == epoch*accuracy*F1 ]]
	[ "$(awk '{ print NF }' <<< "${lines[1]}")" -eq 6 ]
	[[ $output == *"model:   $T/out/model"* ]]
	[ -e "$T/out/run/final/adapter_model.safetensors" ]
	[ -e "$T/out/model/model.safetensors" ]
	[[ $output == *"report:  $T/out/report.html" ]]
	grep -q "<h1>out</h1>" "$T/out/report.html"
}

@test "only -t: model and output by default, validation rows set aside; a rerun changes nothing" {
	mkdir "$T/models"
	ln -s "$D/tiny" "$T/models/default"
	cp "$D/train.jsonl" "$T"
	cd "$T"
	HONE_MODEL_PATH=/nowhere:$T/models "$tune" -t train.jsonl $few > first
	[ "$("$HONE_BIN/hone-pack" --info train-default.tuned/run/data-validation --json | jq .examples)" -gt 3 ]
	find train-default.tuned -type f ! -name .lock -exec cksum {} + > before
	HONE_MODEL_PATH=/nowhere:$T/models "$tune" -t train.jsonl $few > second
	find train-default.tuned -type f ! -name .lock -exec cksum {} + | cmp before -
	cmp first second
}

@test "records on standard input; files that are compressed; names with blanks" {
	cd "$T"
	"$tune" -t - -m "$D/tiny" $few < "$D/train.jsonl" > /dev/null
	[ -e stdin-tiny.tuned/model/model.safetensors ]
	[ "$("$HONE_BIN/hone-pack" --info stdin-tiny.tuned/run/data-train --json | jq .examples)" -gt 200 ]
	ln -s "$D/tiny" "a model"
	gzip -c "$D/train.jsonl" > "it's data.jsonl.gz"
	"$tune" -t "it's data.jsonl.gz" -m "a model" $few > /dev/null
	[ -e "it's data-a model.tuned/model/model.safetensors" ]
}

@test "other data in the same output: status 73, nothing touched" {
	cp "$D/train.jsonl" "$T/t.jsonl"
	"$tune" -t "$T/t.jsonl" -m "$D/tiny" -o "$T/out" $few > /dev/null
	head -n 1 "$T/t.jsonl" >> "$T/t.jsonl"
	before=$(find "$T/out" -type f ! -name .lock -exec cksum {} +)
	run "$tune" -t "$T/t.jsonl" -m "$D/tiny" -o "$T/out" $few
	[ "$status" -eq 73 ]
	[ "$before" = "$(find "$T/out" -type f ! -name .lock -exec cksum {} +)" ]
}

@test "--method full gives no adapter, --no-merge no model; options with = and underscores" {
	"$tune" --train="$D/train.jsonl" --no-validation -m"$D/tiny" -o "$T/full" --method=full $few
	[ -e "$T/full/run/final/model.safetensors" ]
	[ ! -e "$T/full/model" ]
	"$tune" -t "$D/train.jsonl" --no_validation -m "$D/tiny" -o "$T/lora" --no-merge $few
	[ -e "$T/lora/run/final/adapter_model.safetensors" ]
	[ ! -e "$T/lora/model" ]
}

@test "what stops it: status of the program that knows why" {
	echo '{"prompt": 1}' > "$T/bad.jsonl"
	run "$tune" -t "$T/bad.jsonl" -m "$D/tiny" -o "$T/out" $few
	[ "$status" -eq 65 ]
	run "$tune" -t "$D/train.jsonl" -o "$T/out" $few
	[ "$status" -eq 64 ]
	[[ $output == *HONE_MODEL*HONE_MODEL_PATH* ]]
	run "$tune" -m "$D/tiny"
	[ "$status" -eq 64 ]
	run "$tune" -t "$T/none.jsonl" -m "$D/tiny"
	[ "$status" -eq 66 ]
	run "$tune" -t "$D/train.jsonl" -m "$T/none" -o "$T/none.run" $few
	[ "$status" -eq 66 ]
}

@test "SIGTERM reaches the training: a checkpoint, status 75, and the same command goes on" {
	set -- -t "$D/train.jsonl" --no-validation -m "$D/tiny" -o "$T/out" -j 1 -q --batch-size 8
	"$tune" "$@" --n-epochs 40 > /dev/null 2> "$T/err" 3>&- &
	pid=$!
	for _ in $(seq 2000); do
		[ -s "$T/out/run/metrics.jsonl" ] && break
		sleep 0.05
	done
	kill -TERM $pid
	status=0
	wait $pid || status=$?
	[ "$status" -eq 75 ] || { cat "$T/err" >&2; return 1; }
	ls -d "$T"/out/run/checkpoint-*
	"$tune" "$@" --n-epochs 40 > /dev/null
	[ -e "$T/out/model/model.safetensors" ]
}
