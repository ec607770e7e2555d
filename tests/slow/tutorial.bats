#!/usr/bin/env bats
# The tutorial, as it stands.

load ../cli/lib
load ../cli/tutorial

@test "tutorial: every command runs, and prints what the page shows" {
  follow
  output_is_as_shown
  # What it says was learned was: far above the 25 % of chance.
  jq -se 'map(select(.event == "eval"))[-1]."classification/accuracy" > 0.8' tutorial/run/metrics.jsonl
  grep -q '"completion":"delivery"' output
}
