# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034 # some of this is for those who source it
# What the rows of scripts/bench share; sourced after tests/net/lib.sh and peers.sh.
#
# Two processors: the candidate has one for itself, with the work that the kernel does for
# it; generator, backend and whoever looks on share the other.
BACKEND_CPU=0
CANDIDATE_CPU=1
BENCH_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# Of the frames that are replayed: to the interface under test, or to somebody else.
TAP_MAC=02:00:00:00:00:02
FOREIGN_MAC=02:00:00:00:00:99
TAP_ADDRESSES=(198.18.0.2/24 2001:2::2/64)

# How long things take, in seconds: until a candidate has settled, and what is measured.
settings() {
  if [ -n "$QUICK" ]; then
    ROUNDS=${ROUNDS:-1} SETTLE=0.3 DURATION=0.6 TCP_SECONDS=1 IDLE_SECONDS=1
    PINGS=500 PING_INTERVAL=0.002
    [ ${#CANDIDATES[@]} -gt 0 ] || CANDIDATES=("${CANDIDATES_QUICK[@]}")
  else
    ROUNDS=${ROUNDS:-5} SETTLE=1 DURATION=3 TCP_SECONDS=5 IDLE_SECONDS=5
    PINGS=2000 PING_INTERVAL=0.005
    [ ${#CANDIDATES[@]} -gt 0 ] || CANDIDATES=("${CANDIDATES_ALL[@]}")
  fi
}

say() { printf '%4d s  %s\n' "$((SECONDS - BENCH_STARTED))" "$*"; }

# record ROW CASE CANDIDATE METRIC VALUE: one sample of this round
record() {
  printf '{"round": %d, "row": "%s", "case": "%s", "candidate": "%s", "metric": "%s", "value": %s}\n' \
    "$ROUND" "$@" >>"$BENCH_SAMPLES"
}

# record_speeds: how fast both processors are just now, which is their neighbours' doing
record_speeds() {
  local cpu
  for cpu in "$BACKEND_CPU" "$CANDIDATE_CPU"; do
    echo "$cpu $(taskset -c "$cpu" chrt -f 1 "$BENCH_BUILD/speed")" >>"$BENCH_SPEEDS"
  done
}

# profile ROW CASE CANDIDATE: with --profile, once, what keeps vubridge's processor busy now
profile() {
  local file=$BENCH_RESULTS/flame-$1-${2//[^A-Za-z0-9]/-}.svg
  if [ -z "$PROFILE" ] || [ "$3" != vubridge ] || [ "$ROUND" != 1 ]; then return; fi
  perf record -q -e cpu-clock -F 997 -g -C "$CANDIDATE_CPU" -o "$TMP/perf.data" -- sleep 2 >/dev/null 2>&1
  perf script -i "$TMP/perf.data" 2>/dev/null | python3 "$BENCH_DIR/flame.py" "row $1, $2: $3" >"$file"
  rm -f "$TMP/perf.data"
}

# calc EXPRESSION: of awk, with four digits
calc() { awk "BEGIN { printf \"%.4g\", $1 }"; }

# lab COMMAND…: what it starts ends with it; if it fails, that is told and the run goes on.
# Not to be called where errors are ignored (behind if, !, && or ||).
lab() {
  local status
  set +e
  nested "$@"
  status=$?
  set -e
  case $status in
  0) ;;
  130 | 143) exit "$status" ;;
  *)
    say "FAILED: $*"
    echo "round $ROUND: $*" >>"$BENCH_FAILURES"
    ;;
  esac
}

# Whatever shares the backend's processor but must not wait for it.
at_once() { taskset -c "$BACKEND_CPU" chrt -f 1 "$@"; }

# ---- testpmd's own counters ----

declare -A STATS=()
# testpmd_stats NAME PORTS: into STATS[PORT.COUNTER], as in STATS[1.TX-packets]; those
# per second (1.Tx-pps) are of the time since the last call, by testpmd's own clock.
testpmd_stats() {
  local name=$1 ports=$2 log=${TESTPMD_LOG[$1]} from key value
  from=$(stat -c %s "$log")
  testpmd_say "$name" "show port stats all"
  wait_until 10 stats_came "$log" "$from" "$ports" || fail "testpmd ($name) shows no statistics"
  STATS=()
  while read -r key value; do STATS[$key]=$value; done < <(tail -c +"$((from + 1))" "$log" | awk '
    /NIC statistics for port/ { port = $6 }
    { for (i = 1; i < NF; i++) if ($i ~ /^[RT]x?X?-.*:$/) print port "." substr($i, 1, length($i) - 1), $(i + 1) }')
}
stats_came() { [ "$(tail -c +"$(($2 + 1))" "$1" | grep -cE '^ *#+$')" -ge "$3" ]; }

# in_background NAME: a generator or backend that polls lets whoever else needs its processor
# go first, always shortly: those who look on, and who reads what is delivered
in_background() {
  # shellcheck disable=SC2046 # numbers
  renice -n 19 -p $(basename -a "/proc/${PID[$1]}/task"/*) >/dev/null
}

# ---- processors ----

# Nanoseconds that a process has run, all its threads.
cpu_ns() { cat "/proc/$1/task"/*/schedstat 2>/dev/null | awk '{ n += $1 } END { printf "%.0f", n }'; }
cpu_ns_of() {
  local pid sum=0
  for pid in "$@"; do sum=$((sum + $(cpu_ns "$pid"))); done
  echo "$sum"
}

# Nanoseconds that the two processors have not been idle.
machine_ns() {
  awk -v hz="$(getconf CLK_TCK)" -v a="cpu$BACKEND_CPU" -v b="cpu$CANDIDATE_CPU" '
    $1 == a || $1 == b { n += $2 + $3 + $4 + $7 + $8 } END { printf "%.0f", n * 1e9 / hz }' /proc/stat
}

# Nanoseconds that they have waited for their processor: another process had it.
waited_ns_of() {
  local pid
  for pid in "$@"; do cat "/proc/$pid/task"/*/schedstat 2>/dev/null; done |
    awk '{ n += $2 } END { printf "%.0f", n }'
}

now_us() { echo "${EPOCHREALTIME/[.,]/}"; }

# ---- frames ----

# frames_file NAME ARGUMENT…: what frames.py makes with these arguments, made once
frames_file() {
  local file=$BENCH_FRAMES/$1.pcap
  shift
  [ -f "$file" ] || python3 "$BENCH_DIR/frames.py" "$file" "$@"
  echo "$file"
}

# traffic_file TRAFFIC VERSION MAC [super]: the file of one of the three kinds of traffic
traffic_file() {
  local kind=$1 version=$2 mac=$3 super=${4:-} count segments=1
  local protocol length flows
  read -r protocol length flows count <<<"${TRAFFIC[$kind]}"
  if [ -n "$super" ]; then
    segments=$([ "$protocol" = tcp ] && echo 44 || echo 60)
    count=$((flows > 64 ? flows : 64))
  fi
  frames_file "$kind-$version-${mac##*:}${super:+-super}" \
    "$protocol" "$version" "$length" "$flows" "$count" "$mac" "$segments"
}

# protocol, bytes, flows, frames in the file
declare -A TRAFFIC=(
  [many]="udp 64 512 512"
  [one]="udp 64 1 512"
  [tcp]="tcp 1514 8 1024"
)
