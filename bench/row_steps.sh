# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Row 9, instructions a frame of each stage alone (bench/steps.c), counted by callgrind. They
# are the same in every round, so the first one is enough.
STEP_ROUNDS=50

row_9() {
  local step length
  if [ "$ROUND" != 1 ] || [ -z "$(chosen vubridge)" ]; then return; fi
  for step in $("$BENCH_BUILD/steps" --list); do
    for length in 64 1514; do lab step_sample "$step" "$length"; done
  done
}

step_sample() {
  local step=$1 length=$2 frames instructions
  frames=$(valgrind --tool=callgrind --toggle-collect="step_$step" --callgrind-out-file="$TMP/callgrind" \
    "$BENCH_BUILD/steps" "$step" "$length" "$STEP_ROUNDS" 2>"$TMP/valgrind.log" |
    sed -n 's/^frames //p') || fail "callgrind: $step"
  instructions=$(sed -n 's/^totals: //p' "$TMP/callgrind")
  [ "${instructions:-0}" -gt 0 ] || fail "callgrind counted nothing in $step"
  record 9 "$step, $length B" vubridge "instructions" "$(calc "$instructions / $frames")"
  say "row 9, $step, $length B: $(calc "$instructions / $frames") instructions a frame"
}
