# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034 # some of this is for those who source it
# What the tests in namespaces share. A test sources it first; when the test ends,
# however it ends, its processes, namespaces and files are gone.
#
# make check sets VUBRIDGE, VUBCTL, VU_PEER and top_srcdir; by hand they are looked for in the
# current directory.
set -eu -o pipefail

VUBRIDGE=${VUBRIDGE:-$PWD/vubridge}
VUBCTL=${VUBCTL:-$PWD/vubctl}
VU_PEER=${VU_PEER:-$PWD/tests/peer/vu_peer}
LIB_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TMP=$(mktemp -d "${TMPDIR:-/tmp}/vubridge-test.XXXXXX")
LIB_PIDS=() LIB_NAMESPACES=() LIB_HOOKS=()
declare -A PID=() # by the name that a process was started with

log() { printf '%s\n' "$*"; }

ended() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
  stat=${stat##*) }
  case $stat in Z* | X*) return 0 ;; esac
  return 1
}

# Ends a process, and waits until it has ended; harmless when it has. The signal is sent
# again each second: testpmd forgets one that comes while it starts.
stop() {
  local pid=$1 signal=${2:-TERM} i
  for ((i = 0; i < 5; i++)); do
    kill -"$signal" "$pid" 2>/dev/null || break
    if wait_until 1 ended "$pid"; then break; fi
  done
  kill -KILL "$pid" 2>/dev/null || true
  { wait "$pid" || true; } 2>/dev/null
}

lib_cleanup() {
  local status=$? i
  trap '' INT TERM HUP
  set +e
  for ((i = ${#LIB_HOOKS[@]} - 1; i >= 0; i--)); do ${LIB_HOOKS[i]}; done
  for ((i = ${#LIB_PIDS[@]} - 1; i >= 0; i--)); do stop "${LIB_PIDS[i]}"; done
  for i in "${LIB_NAMESPACES[@]}"; do
    # whoever still lives there (iperf3 in the background, say)
    for pid in $(ip netns pids "$i" 2>/dev/null); do stop "$pid" KILL; done
    ip netns del "$i" 2>/dev/null
  done
  rm -rf "$TMP"
  exit "$status"
}
trap lib_cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# nested COMMAND…: in a subshell, with which its own processes, namespaces and files end
nested() (
  LIB_PIDS=() LIB_NAMESPACES=() LIB_HOOKS=() BESIDE=()
  TMP=$(mktemp -d "$TMP/nested.XXXXXX")
  trap lib_cleanup EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  set -e
  "$@"
)

# beside N COMMAND…: nested, in the background, with no more than N at once; what it says comes
# when it has ended. beside_end waits for them; one that failed is the test's failure.
BESIDE=()
beside() {
  local most=$1 out
  shift
  while [ ${#BESIDE[@]} -ge "$most" ]; do beside_wait; done
  out=$(mktemp "$TMP/beside.XXXXXX")
  nested "$@" >"$out" 2>&1 &
  BESIDE+=("$! $out")
  LIB_PIDS+=("$!")
}
beside_wait() {
  local pid out status=0
  read -r pid out <<<"${BESIDE[0]}"
  BESIDE=("${BESIDE[@]:1}")
  { wait "$pid"; } 2>/dev/null || status=$?
  grep -v Killed "$out" || true
  [ "$status" = 0 ] || exit 1
}
beside_end() { while [ ${#BESIDE[@]} -gt 0 ]; do beside_wait; done; }

# AddressSanitizer keeps what was freed for a while: KiB by which a process may grow
[ "${SANITIZERS:-no}" = no ] || export RSS_SLACK_KB=300000

# run_list WITH TEST…: other tests of this folder, one by one, with the environment as it is
run_list() {
  local with=$1 i began status
  shift
  for i in "$@"; do
    began=$SECONDS status=0
    bash "$LIB_DIR/$i.sh" >"$TMP/$i.out" 2>&1 || status=$?
    case $status in
    0) log "$i, $((SECONDS - began)) s: $(grep -v Killed "$TMP/$i.out" | tail -n 1)" ;;
    77) log "$i: not tested: $(tail -n 1 "$TMP/$i.out")" ;;
    *)
      cat "$TMP/$i.out"
      fail "$i with $with"
      ;;
    esac
  done
}

# at_exit COMMAND: run it when the test ends, the latest first
at_exit() { LIB_HOOKS+=("$1"); }

show_logs() {
  local f
  for f in "$TMP"/*.log; do
    [ -s "$f" ] || continue
    log "---- $(basename "$f")"
    tail -n 25 "$f"
  done
}

fail() {
  show_logs
  log "FAILED: $*"
  exit 1
}

skip() {
  log "$*"
  [ "${CI:-}" = true ] && exit 1
  exit 77
}

# need COMMAND PACKAGES: without it the test cannot run
need() { command -v "$1" >/dev/null || skip "$1 is missing ($2)"; }
need_root() { [ "$(id -u)" = 0 ] || skip "needs root, for namespaces and interfaces"; }

# ---- namespaces ----

# ns_add NAME: sets $NS_NAME (upper case) to the real name of a new namespace, one that nobody has:
# a test that was killed may have left its own
ns_add() {
  local real i
  for ((i = 0; i < 10; i++)); do
    real=vut$((SRANDOM % 1000000))-$1
    if ip netns add "$real" 2>"$TMP/netns.log"; then break; fi
  done
  [ "$i" -lt 10 ] || fail "no namespace $1"
  LIB_NAMESPACES+=("$real")
  ip -n "$real" link set lo up
  printf -v "NS_${1^^}" '%s' "$real"
}

in_ns() {
  local ns=$1
  shift
  ip netns exec "$ns" "$@"
}

# address NS IFACE ADDRESS…: gives them and brings the interface up
address() {
  local ns=$1 iface=$2 a
  shift 2
  ip netns exec "$ns" sysctl -qw "net.ipv6.conf.$iface.accept_dad=0" 2>/dev/null || true
  for a in "$@"; do ip -n "$ns" addr add "$a" dev "$iface"; done
  ip -n "$ns" link set "$iface" up
}

# ---- processes ----

# The command to start vubridge and its peer by: set by record.sh
URGENT=()

# start NAME COMMAND…: in the background; output to NAME.log, number in ${PID[NAME]}
start() {
  local name=$1
  shift
  "$@" >>"$TMP/$name.log" 2>&1 </dev/null &
  PID[$name]=$!
  LIB_PIDS+=("$!")
}

# server_role: is it vubridge that listens (ROLE=server), and the test peer that connects?
server_role() { [ "${ROLE:-client}" = server ]; }
PEER_ROLE=()
if server_role; then PEER_ROLE=(--client); fi

# start_vubridge NAME NS ARGUMENT…: with interfaces of $IFACE_TYPE, tap or veth, if it is set,
# and in the role of $ROLE; its control socket is NAME.control, or with CONTROL=default at the
# usual place
start_vubridge() {
  local name=$1 ns=$2 control=(--control "$TMP/$1.control")
  shift 2
  [ "${CONTROL:-}" != default ] || control=()
  if server_role; then set -- --server "$@"; fi
  # VUBRIDGE_OPTIONS: one more, with its value, unless the test is of that one
  if [[ -n ${VUBRIDGE_OPTIONS:-} && " $* " != *" ${VUBRIDGE_OPTIONS%% *} "* ]]; then
    # shellcheck disable=SC2086 # words
    set -- $VUBRIDGE_OPTIONS "$@"
  fi
  start "$name" "${URGENT[@]}" ip netns exec "$ns" "$VUBRIDGE" \
    ${IFACE_TYPE:+--iface-type "$IFACE_TYPE"} "${control[@]}" "$@"
}

# start_peer NAME ARGUMENT…: the test peer; returns when it listens, unless it is to connect
start_peer() {
  local name=$1
  shift
  [ -x "$VU_PEER" ] || skip "tests/peer/vu_peer is not built"
  : >"$TMP/$name.log"
  start "$name" "${URGENT[@]}" "$VU_PEER" "${PEER_ROLE[@]}" "$@"
  server_role || wait_until 5 grep -q '^listening' "$TMP/$name.log" || fail "the test peer does not listen"
}

alive() { kill -0 "$1" 2>/dev/null; }
fds() { find "/proc/$1/fd" -mindepth 1 | wc -l; }
rss_kb() { awk '/^VmRSS:/ { print $2 }' "/proc/$1/status"; }
# KiB of a process that are its own: not of the rings, which traffic fills by and by
own_kb() { awk '/^RssAnon:/ { print $2 }' "/proc/$1/status"; }
# the first worker's thread of a vubridge; other threads may end while they are looked at
worker_of() {
  local comm
  for comm in "/proc/$1/task"/*/comm; do
    if [ "$(cat "$comm" 2>/dev/null)" = worker ]; then basename "${comm%/comm}" && return; fi
  done
  return 1
}
# user and system time of a process, in clock ticks
cpu_ticks() { sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'; }

# ---- waiting and looking ----

# wait_until SECONDS COMMAND…: until it succeeds; false if it never did
wait_until() {
  local end=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "${EPOCHREALTIME/[.,]/}" -lt "$end" ] || return 1
    sleep 0.02
  done
}

# carrier_is NS IFACE up|down, of an interface that is up
carrier_is() {
  local flags
  flags=$(ip -n "$1" -o link show dev "$2" 2>/dev/null) || return 1
  case $3 in
  up) [[ $flags == *LOWER_UP* ]] ;;
  down) [[ $flags == *NO-CARRIER* ]] ;;
  esac
}

# is_veth: do the interfaces outlive who made them, and take CAP_NET_ADMIN as long as they run?
is_veth() { [ "${IFACE_TYPE:-tap}" = veth ]; }

# wait_carrier NS IFACE up|down [SECONDS]
wait_carrier() {
  wait_until "${4:-10}" carrier_is "$1" "$2" "$3" || fail "$2 in $1 has not come to be $3"
}

# wait_iface NS IFACE
wait_iface() { wait_until 10 ip -n "$1" link show dev "$2" || fail "$2 did not appear in $1"; }

# ping_ok NS ADDRESS [ARGUMENT…]: the first answer may take a moment (ARP)
ping_ok() {
  local ns=$1 to=$2
  shift 2
  in_ns "$ns" ping -q -n -c 3 -i 0.05 -W 2 "$@" "$to" >>"$TMP/ping.log" 2>&1
}

# log_lines NAME PATTERN: how many lines of its log match
log_lines() { grep -cE "$2" "$TMP/$1.log" || true; }

# log_times NAME PATTERN: how often such a line was logged, also when the log held it back
log_times() {
  sleep 1.1 # until it is told
  awk -v pattern="$2" '$0 ~ pattern { n += match($0, /\([0-9]+ times more\)$/) ? substr($0, RSTART + 1) : 1 }
    END { print n + 0 }' "$TMP/$1.log"
}

# said NAME: its log, without the line on privileges that each start has
said() { grep -v ': running .*with ' "$TMP/$1.log" || true; }

# ---- traffic ----

# iperf_serve NS: for one run; its number in ${PID[iperf-server]}
iperf_serve() {
  start iperf-server ip netns exec "$1" iperf3 -s -1 -p 5300
  wait_until 5 sh -c "ip netns exec '$1' ss -Hltn 'sport = :5300' | grep -q ." ||
    fail "iperf3 does not listen"
}

# iperf NS-SERVER NS-CLIENT ADDRESS ARGUMENT…: JSON to iperf.json; one run
iperf() {
  local server=$1 client=$2 to=$3 pid i
  shift 3
  iperf_serve "$server"
  pid=${PID[iperf-server]}
  for ((i = 0; i < 3; i++)); do
    if in_ns "$client" timeout 60 iperf3 -c "$to" -p 5300 -J "$@" >"$TMP/iperf.json" 2>&1; then
      stop "$pid"
      return 0
    fi
    sleep 0.3
  done
  tail -n 5 "$TMP/iperf.json"
  stop "$pid"
  return 1
}

# transfer NS-FROM NS-TO ADDRESS MEGABYTES: by TCP, the same hash at both ends
transfer() {
  local from=$1 to=$2 address=$3 mib=$4 pid
  in_ns "$to" python3 "$LIB_DIR/transfer.py" receive "$address" >"$TMP/hash.to" 2>"$TMP/transfer.log" &
  pid=$!
  LIB_PIDS+=("$pid")
  in_ns "$from" timeout 280 python3 "$LIB_DIR/transfer.py" send "$address" "$mib" >"$TMP/hash.from" ||
    fail "sending $mib MiB to $address"
  wait "$pid" || fail "receiving $mib MiB at $address"
  cmp -s "$TMP/hash.from" "$TMP/hash.to" ||
    fail "the hashes differ: $(cat "$TMP/hash.from" "$TMP/hash.to")"
  log "$mib MiB to $address: $(cat "$TMP/hash.to")"
}

# datagrams NS-FROM NS-TO ADDRESS COUNT: by UDP, each with its hash; most of them arrive
datagrams() {
  local from=$1 to=$2 address=$3 count=$4 pid
  : >"$TMP/udp.log"
  in_ns "$to" python3 "$LIB_DIR/transfer.py" udp-receive "$address" "$count" >>"$TMP/udp.log" 2>&1 &
  pid=$!
  LIB_PIDS+=("$pid")
  wait_until 5 grep -q ready "$TMP/udp.log" || fail "nobody receives datagrams"
  in_ns "$from" python3 "$LIB_DIR/transfer.py" udp-send "$address" "$count" || fail "sending datagrams"
  wait "$pid" || fail "datagrams to $address"
  log "$address: $(tail -n 1 "$TMP/udp.log")"
}

# frames NS-FROM NS-TO IFACE LENGTH…: raw frames arrive in order, every byte as sent
frames() {
  local from=$1 to=$2 iface=$3 pid mac
  shift 3
  mac=$(in_ns "$to" cat "/sys/class/net/$iface/address")
  : >"$TMP/frames.log"
  in_ns "$to" python3 "$LIB_DIR/frames.py" receive "$iface" $# >>"$TMP/frames.log" 2>&1 &
  pid=$!
  LIB_PIDS+=("$pid")
  wait_until 5 grep -q ready "$TMP/frames.log" || fail "frames.py does not listen"
  start frames-sender ip netns exec "$from" python3 "$LIB_DIR/frames.py" send "$iface" "$mac" "$@"
  wait "$pid" || fail "frames from $from to $to"
  stop "${PID[frames-sender]}"
  log "$(tail -n 1 "$TMP/frames.log")"
}
