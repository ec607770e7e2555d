#!/bin/sh
# usage: run_file.sh FILE; tests/run calls it. Runs one test file, counts its tests by its TAP output, leaves
# "passed failed skipped" in $HONE_RESULTS, and prints one line, with everything the tests said when one failed.
file=$1
name=$(echo "$file" | tr / _)
out=$HONE_RESULTS/$name.tap
start=$(date +%s.%N)

status=0
case $file in
  *.c)
    program=$HONE_BUILD/${file%.c}
    CMOCKA_MESSAGE_OUTPUT=tap timeout "$HONE_LIMIT" "$program" >"$out" 2>&1 </dev/null || status=$?
    ;;
  tests/reference/*.bats)
    if [ -d ../shared/reference ]; then
      timeout "$HONE_LIMIT" bats --formatter tap "$file" >"$out" 2>&1 </dev/null || status=$?
    else
      n=$(bats --count "$file")
      awk -v n="$n" 'BEGIN { print "1.." n; for (i = 1; i <= n; i++) print "ok " i " # skip no ../shared" }' >"$out"
    fi
    ;;
  *)
    timeout "$HONE_LIMIT" bats --formatter tap "$file" >"$out" 2>&1 </dev/null || status=$?
    ;;
esac

# A test that was planned and said nothing failed, and so did a file that failed without saying where, or planned nothing.
# cmocka calls a test that is skipped "not ok".
awk -v status="$status" '
  /^1\.\.[0-9]+/ { planned += substr($1, 4) }
  /^(not )?ok [0-9]+ +(- )?.*# *[Ss][Kk][Ii][Pp]/ { skipped++; next }
  /^not ok / { failed++ }
  /^ok / { passed++ }
  END {
    silent = planned - passed - failed - skipped
    if (silent > 0) failed += silent
    if (!failed && (status || !planned)) failed = 1
    print passed + 0, failed + 0, skipped + 0
  }' "$out" >"$HONE_RESULTS/$name.count.new"
mv "$HONE_RESULTS/$name.count.new" "$HONE_RESULTS/$name.count"

read -r passed failed skipped <"$HONE_RESULTS/$name.count"
took=$(echo "$start $(date +%s.%N)" | awk '{ printf "%.1f s", $2 - $1 }')
line="$file: $passed passed"
[ "$skipped" -eq 0 ] || line="$line, $skipped skipped"
if [ "$failed" -eq 0 ]; then
  echo "$line ($took)"
else
  printf '%s, %s FAILED (%s, exit status %s)\n%s\n' "$line" "$failed" "$took" "$status" "$(sed 's/^/    /' "$out")"
fi
