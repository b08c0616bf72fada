#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 200
#
# A backend that misbehaves on the socket, at each step of the handshake: one log line, the
# carrier stays off, and the next connection, with a backend that behaves, works.
#
#   ns a: vnet0 ── vubridge ── $SOCK ── test peer (--mode reflect --swap-mac --misbehave …)
. "$(dirname "$0")/lib.sh"
need_root
ns_add a
n=0

# lie WHAT PATTERN [LINES]: the first connection sees it, the second is sound
lie() {
  local name=lie$n
  n=$((n + 1))
  start_peer "peer$name" --socket "$TMP/$name.sock" --mode reflect --mtu 1500 --misbehave "$1" \
    --misbehave-times 1
  start_vubridge "$name" "$NS_A" --path "$TMP/$name.sock" --iface "v$n"
  wait_until 8 grep -q 'carrier on' "$TMP/$name.log" || fail "$1: no recovery"
  [ "$(log_lines "$name" 'cannot use the backend|disconnecting')" = 1 ] ||
    fail "$1: not one line: $(cat "$TMP/$name.log")"
  grep -E 'cannot use the backend|disconnecting' "$TMP/$name.log" | grep -qE "$2" ||
    fail "$1: $(cat "$TMP/$name.log")"
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
  SET_BACKEND_REQ_FD SET_STATUS GET_CONFIG SET_VRING_CALL SET_FEATURES GET_STATUS SET_MEM_TABLE
  SET_VRING_NUM SET_VRING_BASE SET_VRING_ADDR SET_VRING_KICK SET_VRING_ENABLE)
for request in "${steps[@]}"; do
  lie "close-at:$request" 'hung up|closed|reset|Connection|Broken'
done
for request in NET_SET_MTU SEND_RARP; do
  lie "close-at:$request" 'hung up|reset|Connection'
done
for request in SET_FEATURES SET_MEM_TABLE SET_VRING_NUM SET_VRING_ADDR SET_VRING_KICK SET_VRING_ENABLE SET_STATUS; do
  lie "nack:$request" "$request"
done
lie nack:SET_VRING_NUM 'may be smaller than 256 \(--queue-size\)'
lie double-reply:GET_FEATURES 'GET_FEATURES|PROTOCOL'
lie double-reply:SET_VRING_ENABLE 'SET_|unasked'
lie garbage 'GET_FEATURES'
lie queue-num:0 'GET_QUEUE_NUM'

# these take until the answer's time is over, so all at once; SET_OWNER has no answer yet
hangs=("${steps[@]:1}" NET_SET_MTU SEND_RARP)
for request in "${hangs[@]}"; do
  start_peer "peer$request" --socket "$TMP/$request.sock" --mode reflect --mtu 1500 --misbehave "hang-at:$request" \
    --misbehave-times 1
  start_vubridge "$request" "$NS_A" --path "$TMP/$request.sock" --iface v%d
done
for request in "${hangs[@]}"; do
  wait_until 8 grep -q 'carrier on' "$TMP/$request.log" || fail "hang at $request: no recovery"
  [ "$(log_lines "$request" "cannot use the backend.*$request")" = 1 ] || fail "hang at $request"
done

# answers that come one by one in time, but take too long in all; and too late each
start_peer peerslow --socket "$TMP/slow.sock" --mode reflect --misbehave slow:700 --misbehave-times 1
start_vubridge slow "$NS_A" --path "$TMP/slow.sock" --iface v%d
start_peer peerlate --socket "$TMP/late.sock" --mode reflect --misbehave slow:3500 --misbehave-times 1
start_vubridge late "$NS_A" --path "$TMP/late.sock" --iface v%d
wait_until 8 grep -q 'cannot use the backend.* GET_FEATURES: no answer in time' "$TMP/late.log" ||
  fail "late answers: $(cat "$TMP/late.log")"
wait_until 12 grep -q 'cannot use the backend.*: the answers take too long in all' "$TMP/slow.log" ||
  fail "slow answers: $(cat "$TMP/slow.log")"
for i in slow late; do
  wait_until 8 grep -q 'carrier on' "$TMP/$i.log" || fail "$i answers: no recovery"
  [ "$(log_lines "$i" 'cannot use the backend')" = 1 ] || fail "$i answers: not one line"
done
log "$((n + ${#hangs[@]} + 2)) kinds of bad handshake"

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

# the same failure again and again is one line
start_peer never --socket "$TMP/never.sock" --mode reflect --misbehave close-at:GET_FEATURES
start_vubridge vnever "$NS_A" --path "$TMP/never.sock" --iface vnever
wait_until 5 grep -q 'cannot use the backend' "$TMP/vnever.log" || fail "no line"
sleep 2
[ "$(log_lines vnever 'cannot use|waiting')" = 1 ] || fail "repeated: $(cat "$TMP/vnever.log")"
[ "$(grep -c '^connected' "$TMP/never.log")" -ge 4 ] || fail "it was not tried again"

# one that comes up and goes at once, again and again: a few flaps a second, at most
start_peer flaps --socket "$TMP/flaps.sock" --mode reflect --misbehave close-at:SEND_RARP
start_vubridge vflaps "$NS_A" --path "$TMP/flaps.sock" --iface vflaps
sleep 3
[ "$(grep -c '^connected' "$TMP/flaps.log")" -le 12 ] || fail "no back-off: $(grep -c '^connected' "$TMP/flaps.log")"
[ "$(log_lines vflaps 'carrier on')" = 0 ] || fail "carrier on for a connection that was lost"
