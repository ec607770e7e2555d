#!/usr/bin/env bats
# docs/flags.md and what hone-train takes: the options that it names are there, and other names do what their row says.

bats_require_minimum_version 1.5.0
load lib

setup() {
  train=$hone_bin/hone-train
  page=$BATS_TEST_DIRNAME/../../docs/flags.md table=$BATS_TEST_DIRNAME/../../tools/train/options.c
  cd "$BATS_TEST_TMPDIR" || return 1
  "$train" -h | sed -nE 's/^ +(-[A-Za-z], )?--([a-z][a-z0-9-]*).*/\2/p' | sort -u >options
}

# rows: NAME, a tab, and the second column, for every name of others that begins with dashes
rows() {
  sed -n 's/^| *\(`[^|]*\)| *\([^|]*[^| ]\) *|.*/\1\t\2/p' "$page" | while IFS=$'\t' read -r theirs ours; do
    grep -o -- '--[a-z][a-z0-9_]*' <<<"$theirs" | sed 's/^--//; s/_/-/g' | while read -r name; do
      printf '%s\t%s\n' "$name" "$ours"
    done
  done
}

@test "flags: every option of hone's on the page exists" {
  sed -n 's/^|[^|]*|\([^|]*\)|\([^|]*\)|.*/\1 \2/p' "$page" | grep -o -- '--[a-z][a-z0-9-]*' | sed 's/^--//' | sort -u >named
  grep -v '^|' "$page" | grep -o -- '--[a-z][a-z0-9-]*' | sed 's/^--//' | sort -u >>named
  [ "$(wc -l <named)" -gt 40 ]
  run comm -23 <(sort -u named) options
  echo "not there: $output"
  [ -z "$output" ]
}

@test "flags: every other name that hone-train takes is on the page, and none besides" {
  sed -n '/^static const struct opt_alias/,/^};/s/^\t{"\([a-z0-9-]*\)".*/\1/p' "$table" | sort -u >aliases
  [ "$(wc -l <aliases)" -gt 40 ]
  rows | grep -v $'\tnone' | cut -f 1 | sort -u | comm -23 - options >named
  diff aliases named
}

@test "flags: each name does what its row says" {
  local name ours option n=0
  while IFS=$'\t' read -r name ours; do
    case $ours in
      passed\ over*)
        run --separate-stderr "$train" "--$name" "--no-such-option"
        [[ $stderr == *"unknown option '--no-such-option'"* ]]
        run --separate-stderr "$train" "--${name//-/_}" 1 --dry-run -t none -m none
        [[ $stderr == *"passed over"* ]] || { echo "--$name: $stderr"; return 1; }
        ;;
      refused*)
        run --separate-stderr "$train" "--$name" 1
        [ "$status" -eq 64 ]
        [[ $stderr == *"'--$name': "* ]] || { echo "--$name: $stderr"; return 1; }
        ;;
      '`--'*)
        # its own name in the message about a value that no option takes, or a switch that takes one of two words
        option=$(grep -o -- '--[a-z][a-z0-9-]*' <<<"$ours" | sed "/^--$name\$/d" | head -n 1)
        run --separate-stderr "$train" "--${name//-/_}=$'\x01'" --no-such-option
        [ "$status" -eq 64 ]
        [[ $stderr == *"--"* ]] && [[ $stderr != *"unknown option '--${name//-/_}"* ]] || { echo "--$name: $stderr"; return 1; }
        [[ $stderr == *"unknown option '--no-such-option'"* ]] || [[ $stderr == *"--$name:"* ]] ||
          [[ $stderr == *"$option:"* ]] || { echo "--$name, $option: $stderr"; return 1; }
        ;;
      none*)
        run --separate-stderr "$train" "--$name=1"
        [[ $stderr == *"unknown option '--$name"* ]] || [[ $stderr == *"unknown option '--no"* ]] ||
          { echo "--$name: $stderr"; return 1; }
        ;;
      *) continue ;;
    esac
    n=$((n + 1))
  done < <(rows)
  echo "$n names"
  [ "$n" -gt 90 ]
}

@test "flags: values of others, words for switches, and a file of settings" {
  tiny_config model
  rows_of() { jq -nc 'range(8) | {input_ids: [3, 4 + ., 5], labels: [-100, 4 + ., 5]}'; }
  rows_of >data.jsonl
  rows_of >more.jsonl
  cat >settings.json <<'END'
{"model_name_or_path": "model", "train_file": ["data.jsonl", "more.jsonl"], "output_dir": "run", "method": "full", "num_train_epochs": 1,
 "per_device_train_batch_size": 2, "gradient_accumulation_steps": 2, "optim": "adamw_torch", "fp32": true,
 "gradient_checkpointing": false, "lr_scheduler_type": "constant_with_warmup", "report_to": "none",
 "target_modules": ["q_proj", "v_proj"], "save_strategy": "no", "bf16": false}
END
  "$train" -q --config settings.json --from-scratch True --shuffle false
  jq -e '.data.train.examples == 16' run/run.json
  jq -e '.settings | ."batch-size" == 4 and .optimizer == "adamw" and .dtype == "float32" and .shuffle == false and
    ."from-scratch" and ."gradient-checkpointing" == false and ."target-modules" == "q_proj,v_proj"' run/run.json
  fails 64 "half precision needs loss scaling" "$train" --fp16
  fails 64 "neither true nor false" "$train" --bf16=perhaps
  fails 64 "'nesterov' is not one of" "$train" --optim nesterov
  echo '{"report_to": {"a": 1}}' >bad.json
  fails 64 "cannot be an object" "$train" --config bad.json
}
