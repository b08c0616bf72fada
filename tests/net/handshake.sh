#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 200
#
# A backend that misbehaves on the socket, at each step of the handshake: one log line, the
# carrier stays off, and the next connection, with a backend that behaves, works.
# (Of descriptors that come with an answer, too many are tried. None can be missing: no answer
# to a request that vubridge makes has any.)
#
#   ns a: vnet0 ── vubridge ── $SOCK ── test peer (--mode reflect --swap-mac --misbehave …)
. "$(dirname "$0")/lib.sh"
need_root
ns_add a
n=0

# What comes several times: the moves of the device status, and each ring's requests. told WHAT
# PEER: the lie about one of them is about this one.
second=(SET_VRING_CALL:2 SET_VRING_NUM:2 SET_VRING_BASE:2 SET_VRING_ADDR:2 SET_VRING_KICK:2
  SET_VRING_ENABLE:2)
declare -A value_of=([SET_STATUS:1]=0 [SET_STATUS:2]=1 [SET_STATUS:3]=3 [SET_STATUS:4]=11 [SET_STATUS:5]=15)
for request in "${second[@]}"; do value_of[$request]=1; done
moves=(SET_STATUS:1 SET_STATUS:2 SET_STATUS:3 SET_STATUS:4 SET_STATUS:5)
told() {
  local what=${1%%:*} request=${1#*:}
  [ -n "${value_of[$request]:-}" ] || return 0
  grep -q "^lying .*: $what:${request%:*} ${value_of[$request]}\$" "$TMP/$2.log" ||
    fail "$1: it was another one: $(cat "$TMP/$2.log")"
}

# lie WHAT PATTERN: the first connection sees it, the second is sound; some at once
lie() {
  n=$((n + 1))
  beside 4 lie_is_met "$n" "$@"
}
lie_is_met() {
  local name=lie$1 iface=v$1
  shift
  start_peer "peer$name" --socket "$TMP/$name.sock" --mode reflect --mtu 1500 --misbehave "$1" \
    --misbehave-times 1
  start_vubridge "$name" "$NS_A" --path "$TMP/$name.sock" --iface "$iface"
  wait_until 20 grep -q 'carrier on' "$TMP/$name.log" || fail "$1: no recovery"
  [ "$(log_lines "$name" 'cannot use the backend|disconnecting')" = 1 ] ||
    fail "$1: not one line: $(cat "$TMP/$name.log")"
  grep -E 'cannot use the backend|disconnecting' "$TMP/$name.log" | grep -qE "$2" ||
    fail "$1: $(cat "$TMP/$name.log")"
  told "$1" "peer$name"
  alive "${PID[$name]}" || fail "$1: the daemon has ended"
  [ "$(log_lines "$name" 'carrier on')" = 1 ] || fail "$1: carrier before the handshake was done"
  stop "${PID[$name]}"
  stop "${PID[peer$name]}"
}

for request in GET_FEATURES GET_PROTOCOL_FEATURES GET_QUEUE_NUM GET_CONFIG GET_STATUS; do
  lie "truncate-reply:$request" "$request"
  lie "oversize-reply:$request" "$request"
  lie "wrong-reply:$request" "$request"
  lie "reply-fd:$request" "$request"
done
steps=(SET_OWNER GET_FEATURES GET_PROTOCOL_FEATURES SET_PROTOCOL_FEATURES GET_QUEUE_NUM
  SET_BACKEND_REQ_FD "${moves[@]}" GET_CONFIG SET_VRING_CALL SET_FEATURES GET_STATUS SET_MEM_TABLE
  SET_VRING_NUM SET_VRING_BASE SET_VRING_ADDR SET_VRING_KICK SET_VRING_ENABLE "${second[@]}"
  NET_SET_MTU SEND_RARP)
# what has no answer is found by the next request that has one
declare -A found_by=([SET_OWNER]=GET_FEATURES [SET_PROTOCOL_FEATURES]=GET_QUEUE_NUM)
find_by() { FOUND=${found_by[$1]:-${1%:*}}; }
for request in "${steps[@]}"; do
  find_by "$request"
  lie "close-at:$request" ": $FOUND: the peer hung up"
done
for request in SET_FEATURES SET_MEM_TABLE SET_VRING_NUM SET_VRING_BASE SET_VRING_ADDR SET_VRING_KICK \
  SET_VRING_ENABLE "${moves[@]}" "${second[@]}"; do
  lie "nack:$request" ": ${request%:*}: the peer refused it"
done
lie nack:SET_VRING_NUM 'may be smaller than 4096 \(--queue-size\)'
lie double-reply:GET_FEATURES ': GET_PROTOCOL_FEATURES: the peer sent what it was not asked for'
lie double-reply:SET_VRING_ENABLE ': SET_VRING_ENABLE: the peer sent what it was not asked for'
lie garbage 'GET_FEATURES'
lie queue-num:0 'GET_QUEUE_NUM'
beside_end

# a backend with one thread that asks something itself before it answers: no one waits for long
for request in SET_STATUS GET_CONFIG SET_VRING_CALL SET_FEATURES SET_VRING_ENABLE NET_SET_MTU SEND_RARP; do
  start_peer "peerask$request" --socket "$TMP/ask.sock" --mode reflect --mtu 1500 --misbehave "ask-first:$request"
  start_vubridge "ask$request" "$NS_A" --path "$TMP/ask.sock" --iface v%d
  wait_until 2 grep -q 'carrier on' "$TMP/ask$request.log" || fail "asked at $request: $(cat "$TMP/ask$request.log")"
  wait_until 2 grep -q '^asked .*: answered' "$TMP/peerask$request.log" || fail "no answer at $request"
  [ "$(log_lines "ask$request" 'cannot use|disconnecting')" = 0 ] || fail "asked at $request"
  stop "${PID[ask$request]}"
  stop "${PID[peerask$request]}"
done

# whoever waits for an answer waits alone: the control socket and the kernel are heard meanwhile,
# before the device is up and afterwards, when something is asked at run time
milliseconds() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }
patient() {
  local name=$1 since took
  since=$(milliseconds)
  "$VUBCTL" -i "$TMP/$name.control" show >"$TMP/show" || fail "$name: vubctl show: $(cat "$TMP/show")"
  took=$(($(milliseconds) - since))
  [ "$took" -lt 500 ] || fail "$name: vubctl show took $took ms"
  log "$name: vubctl show took $took ms"
}
# gone NAME IFACE: the interface is deleted, which ends the daemon at once
gone() {
  local since took
  since=$(milliseconds)
  ip -n "$NS_A" link del "$2"
  wait_until 5 ended "${PID[$1]}" || fail "$1: it does not end"
  took=$(($(milliseconds) - since))
  [ "$took" -lt 800 ] || fail "$1: it took $took ms to end"
}
start_peer peerpatient --socket "$TMP/patient.sock" --mode reflect --misbehave hang-at:GET_FEATURES
start_vubridge patient "$NS_A" --path "$TMP/patient.sock" --iface vpatient
wait_until 5 grep -q '^connected' "$TMP/peerpatient.log" || fail "nothing to wait for"
sleep 0.2
patient patient
gone patient vpatient
stop "${PID[peerpatient]}"
for request in GET_CONFIG NET_SET_MTU; do
  name=late$request
  mkfifo "$TMP/$name.in"
  : >"$TMP/peer$name.log"
  "$VU_PEER" --socket "$TMP/$name.sock" --mode reflect --mtu 1500 --commands --misbehave-late \
    "${PEER_ROLE[@]}" --misbehave "hang-at:$request" <"$TMP/$name.in" >>"$TMP/peer$name.log" 2>&1 &
  LIB_PIDS+=("$!")
  exec {commands}>"$TMP/$name.in"
  start_vubridge "$name" "$NS_A" --path "$TMP/$name.sock" --iface "v$request"
  wait_until 5 grep -q '^ready' "$TMP/peer$name.log" || fail "$name: $(cat "$TMP/$name.log")"
  echo link up >&"$commands" # GET_CONFIG; NET_SET_MTU comes by itself
  sleep 0.2
  patient "$name"
  gone "$name" "v$request"
  exec {commands}>&-
done

# answers that come one by one in time, but take too long in all; and too late each; meanwhile
start_peer peerslow --socket "$TMP/slow.sock" --mode reflect --misbehave slow:450 --misbehave-times 1
start_vubridge slow "$NS_A" --path "$TMP/slow.sock" --iface v%d
start_peer peerlate --socket "$TMP/late.sock" --mode reflect --misbehave slow:3500 --misbehave-times 1
start_vubridge late "$NS_A" --path "$TMP/late.sock" --iface v%d

# these take until the answer's time is over, so some at once
hang_at() { # REQUEST…
  local request name
  for request in "$@"; do
    name=${request/:/-}
    start_peer "peer$name" --socket "$TMP/$name.sock" --mode reflect --mtu 1500 \
      --misbehave "hang-at:$request" --misbehave-times 1
    start_vubridge "$name" "$NS_A" --path "$TMP/$name.sock" --iface v%d
  done
  for request in "$@"; do
    name=${request/:/-}
    find_by "$request"
    wait_until 20 grep -q 'carrier on' "$TMP/$name.log" || fail "hang at $request: no recovery"
    [ "$(log_lines "$name" 'cannot use the backend')" = 1 ] &&
      [ "$(log_lines "$name" "cannot use the backend.*: $FOUND: no answer in time")" = 1 ] ||
      fail "hang at $request: $(cat "$TMP/$name.log")"
    told "hang-at:$request" "peer$name"
    stop "${PID[$name]}"
    stop "${PID[peer$name]}"
  done
}
for ((i = 0; i < ${#steps[@]}; i += 10)); do hang_at "${steps[@]:i:10}"; done

# as for the slow and the late ones
wait_until 20 grep -q 'cannot use the backend.* GET_FEATURES: no answer in time' "$TMP/late.log" ||
  fail "late answers: $(cat "$TMP/late.log")"
wait_until 30 grep -q 'cannot use the backend.*: the answers take too long in all' "$TMP/slow.log" ||
  fail "slow answers: $(cat "$TMP/slow.log")"
for i in slow late; do
  wait_until 20 grep -q 'carrier on' "$TMP/$i.log" || fail "$i answers: no recovery"
  [ "$(log_lines "$i" 'cannot use the backend')" = 1 ] || fail "$i answers: not one line"
done
log "$((n + ${#steps[@]} + 2)) kinds of bad handshake"

# who takes long to say goodbye is not waited for: 16 rings, a second each
! is_veth || exit 0 # a veth has two
start_peer peerbye --socket "$TMP/bye.sock" --mode sink --queues 8 --misbehave slow-at:GET_VRING_BASE
start_vubridge bye "$NS_A" --path "$TMP/bye.sock" --iface v%d --queues 8
wait_until 5 grep -q 'carrier on' "$TMP/bye.log" || fail "no carrier to end with"
kill -TERM "${PID[bye]}"
wait_until 6 ended "${PID[bye]}" || fail "a slow goodbye holds up the end"

# a count of queues that lies upwards is cut to what is wanted
start_peer many --socket "$TMP/many.sock" --mode reflect --misbehave queue-num:4000000000
start_vubridge vmany "$NS_A" --path "$TMP/many.sock" --iface vmany
wait_until 5 grep -q '1 queue pair of' "$TMP/vmany.log" || fail "a queue count that lies"

# rings as large as the backend takes, unless a size was asked for
for size in 1024 512 256; do
  start_peer "peer$size" --socket "$TMP/$size.sock" --mode reflect --queue-size "$size"
  start_vubridge "v$size" "$NS_A" --path "$TMP/$size.sock" --iface v%d
  wait_until 10 grep -q 'carrier on' "$TMP/v$size.log" || fail "no carrier with rings of $size"
  "$VUBCTL" -i "$TMP/v$size.control" show >"$TMP/show"
  grep -q " size $((size == 512 ? 256 : size))\$" "$TMP/show" || fail "of rings of $size: $(cat "$TMP/show")"
  stop "${PID[v$size]}"
done
# without buffers that can be merged, which are long, no more than 1024 from the beginning
for size in 32768 256; do
  start_peer "peerwhole$size" --socket "$TMP/whole$size.sock" --mode reflect --no-feature MRG_RXBUF --queue-size "$size"
  start_vubridge "vwhole$size" "$NS_A" --path "$TMP/whole$size.sock" --iface v%d
  wait_until 10 grep -q 'carrier on' "$TMP/vwhole$size.log" || fail "no carrier without MRG_RXBUF"
  grep -q " of $((size == 256 ? 256 : 1024)) descriptors" "$TMP/vwhole$size.log" || fail "without MRG_RXBUF"
  [ "$(log_lines "vwhole$size" 'may be smaller than')" = $((size == 256)) ] || fail "$(cat "$TMP/vwhole$size.log")"
  stop "${PID[vwhole$size]}"
done
start_vubridge vasked "$NS_A" --path "$TMP/512.sock" --iface v%d --queue-size 1024
wait_until 5 grep -q 'may be smaller than 1024 (--queue-size)' "$TMP/vasked.log" || fail "it is asked for 1024"

# the same failure again and again is one line
start_peer never --socket "$TMP/never.sock" --mode reflect --misbehave close-at:GET_FEATURES
start_vubridge vnever "$NS_A" --path "$TMP/never.sock" --iface vnever
connections() { grep -c '^connected' "$TMP/$1.log" || true; }
tried() { [ "$(connections "$1")" -ge "$2" ]; }
wait_until 20 tried never 6 || fail "it was not tried again"
[ "$(log_lines vnever 'cannot use|waiting')" = 1 ] || fail "repeated: $(cat "$TMP/vnever.log")"

# one that comes up and goes at once, again and again: with pauses that grow to a second (7 are
# shorter)
start_peer flaps --socket "$TMP/flaps.sock" --mode reflect --misbehave close-at:SEND_RARP
begin=$SECONDS
start_vubridge vflaps "$NS_A" --path "$TMP/flaps.sock" --iface vflaps
wait_until 20 tried flaps 5 || fail "it was not tried again"
sleep 2
n=$(connections flaps)
[ "$n" -le $((SECONDS - begin + 9)) ] || fail "no back-off: $n connections in $((SECONDS - begin)) s"
[ "$(log_lines vflaps 'carrier on')" = 0 ] || fail "carrier on for a connection that was lost"
