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
  start_peer "peer$name" --socket "$TMP/$name.sock" --mode reflect --misbehave "$1" --misbehave-times 1
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

for request in GET_FEATURES GET_PROTOCOL_FEATURES GET_QUEUE_NUM; do
  lie "truncate-reply:$request" "$request"
  lie "oversize-reply:$request" "$request"
  lie "wrong-reply:$request" "$request"
  lie "reply-fd:$request" "$request"
done
for request in SET_OWNER GET_FEATURES GET_PROTOCOL_FEATURES SET_PROTOCOL_FEATURES GET_QUEUE_NUM SET_STATUS \
  SET_FEATURES SET_MEM_TABLE SET_VRING_NUM SET_VRING_BASE SET_VRING_ADDR SET_VRING_KICK SET_VRING_CALL \
  SET_VRING_ENABLE; do
  lie "close-at:$request" 'hung up|closed|reset|Connection|Broken'
done
for request in SET_FEATURES SET_MEM_TABLE SET_VRING_NUM SET_VRING_ADDR SET_VRING_KICK SET_VRING_ENABLE SET_STATUS; do
  lie "nack:$request" "$request"
done
lie double-reply:GET_FEATURES 'GET_FEATURES|PROTOCOL'
lie double-reply:SET_VRING_ENABLE 'SET_|unasked'
lie garbage 'GET_FEATURES'
lie queue-num:0 'GET_QUEUE_NUM'

# these take until the answer's time is over, so all at once
hangs=(GET_FEATURES GET_QUEUE_NUM SET_MEM_TABLE SET_VRING_ENABLE)
for request in "${hangs[@]}"; do
  start_peer "peer$request" --socket "$TMP/$request.sock" --mode reflect --misbehave "hang-at:$request" \
    --misbehave-times 1
  start_vubridge "$request" "$NS_A" --path "$TMP/$request.sock" --iface v%d
done
for request in "${hangs[@]}"; do
  wait_until 8 grep -q 'carrier on' "$TMP/$request.log" || fail "hang at $request: no recovery"
  [ "$(log_lines "$request" "cannot use the backend.*$request")" = 1 ] || fail "hang at $request"
done
log "$((n + ${#hangs[@]})) kinds of bad handshake"

# a count of queues that lies upwards is cut to what is wanted
start_peer many --socket "$TMP/many.sock" --mode reflect --misbehave queue-num:4000000000
start_vubridge vmany "$NS_A" --path "$TMP/many.sock" --iface vmany
wait_until 5 grep -q '1 queue pair of' "$TMP/vmany.log" || fail "a queue count that lies"

# the same failure again and again is one line
start_peer never --socket "$TMP/never.sock" --mode reflect --misbehave close-at:GET_FEATURES
start_vubridge vnever "$NS_A" --path "$TMP/never.sock" --iface vnever
wait_until 5 grep -q 'cannot use the backend' "$TMP/vnever.log" || fail "no line"
sleep 2
[ "$(said vnever | wc -l)" = 1 ] || fail "repeated: $(cat "$TMP/vnever.log")"
[ "$(grep -c '^connected' "$TMP/never.log")" -ge 4 ] || fail "it was not tried again"
