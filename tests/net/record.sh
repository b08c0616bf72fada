# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034 # some of this is for those who source it
# What an interface shows, and when, for tests to source after lib.sh: a record of record.py.
# Times are those of the clock, as in $EPOCHREALTIME.

# Puts a command before whatever else runs on this machine, where that is allowed: what is
# timed shall be vubridge, not how busy the machine is.
URGENT=()
if command -v chrt >/dev/null && chrt -f 1 true 2>/dev/null; then URGENT=(chrt -f 1); fi

# record NAME NS IFACE [LOG]…: to record-NAME.log, until the test ends
record() {
  local name=$1 ns=$2
  shift 2
  rm -f "$TMP/record-$name.log"
  start "record-$name" "${URGENT[@]}" ip netns exec "$ns" python3 "$LIB_DIR/record.py" "$@"
  wait_until 5 grep -q ' carrier ' "$TMP/record-$name.log" || fail "record.py does not start"
}

# Notes the time, before what is to be seen.
mark() { MARK=${EPOCHREALTIME/,/.}; }

# first NAME TIME PATTERN: when a record of this kind was first made after TIME
first() {
  awk -v t="$2" -v pattern="$3" '$1 >= t && $0 ~ pattern { print $1; found = 1; exit }
    END { exit !found }' "$TMP/record-$1.log"
}

# ms TIME TIME: from one to the other
ms() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", (b - a) * 1000 }'; }

# What ip monitor has told: how many events, and how often they changed in LOWER_UP.
events() { grep -c ' event ' "$TMP/record-$1.log" || true; }
lower_up_changes() {
  awk '$2 == "event" { up = /LOWER_UP/ && !/Deleted/; if (up != last) n++; last = up }
    END { print n + 0 }' "$TMP/record-$1.log"
}
# The carrier's states in sysfs, in one line.
carriers() { awk '$2 == "carrier" { printf "%s%s", n++ ? " " : "", $3 }' "$TMP/record-$1.log"; }
# What ip monitor has told of LOWER_UP, as up and down, each as often as it changed, in one line.
told() {
  awk '$2 == "event" { now = /LOWER_UP/ && !/Deleted/ ? "up" : "down"
    if (now != last) printf "%s%s", n++ ? " " : "", now
    last = now }' "$TMP/record-$1.log"
}
