# Running docs/tutorial.md.

page=$BATS_TEST_DIRNAME/../../docs/tutorial.md

# commands / shown: the sh blocks, the text blocks
commands() {
  awk '/^```sh$/ { on = 1; next } /^```/ { on = 0 } on' "$page"
}

shown() {
  awk '/^```text$/ { on = 1; next } /^```/ { on = 0 } on' "$page"
}

# Numbers differ between processors.
without_numbers() {
  sed -E 's/[0-9]+(\.[0-9]+)?/#/g; s/[[:space:]]+/ /g'
}

# follow [SED-SCRIPT]: runs the page, changed by the script, in an empty directory; all output into the file `output`
follow() {
  cd "$BATS_TEST_TMPDIR" || return 1
  PATH=$hone_bin:$PATH:$(cd "$BATS_TEST_DIRNAME/../../pipelines" && pwd)
  HONE_EXAMPLES=$(cd "$BATS_TEST_DIRNAME/../../pipelines" && pwd)
  export PATH HONE_EXAMPLES
  commands | sed -E "${1-}" >script
  [ "$(wc -l <script)" -gt 30 ]
  bash -eu script >output 2>&1 || { tail -n 20 output; return 1; }
}

# Every line that the page shows is among the output, numbers aside.
output_is_as_shown() {
  shown | without_numbers >expected
  without_numbers <output | sort -u >there
  sort -u expected | comm -23 - there >missing
  cat missing
  [ "$(wc -l <expected)" -gt 15 ] && [ ! -s missing ]
}
