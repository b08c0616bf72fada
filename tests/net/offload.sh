#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 200
#
# vubctl set offload and set merge while traffic goes on: what is merged, cut and negotiated
# follows, and data arrives whole whatever is set. Merging changes without a new connection.
#
#   ns a                                                  ns b
#   vnet0 ── vubridge ── $SOCK_A ── backend ── $SOCK_B ── vubridge ── vnet0
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"
need_root
need ethtool ethtool
need jq jq
need python3 python3

ctl=$TMP/va.control
a() { "$VUBCTL" -i "$ctl" "$@"; }
# superframes rx|tx: merged, or cut, so far
superframes() { a -j stats | jq "first.queues[0].$1.superframes"; }
# rises rx|tx yes|no: does their number, while data go that way?
rises() {
  local before after way=$1
  before=$(superframes "$way")
  if [ "$way" = rx ]; then transfer "$NS_B" "$NS_A" 10.0.0.1 8; else transfer "$NS_A" "$NS_B" 10.0.0.2 8; fi
  after=$(superframes "$way")
  [ "$2" = "$([ "$after" -gt "$before" ] && echo yes || echo no)" ] ||
    fail "superframes $way: $before before, $after after"
}
shows() { a -j show | jq -e "first | $1" >/dev/null; }
reconnects() { log_lines va 'reconnecting, to negotiate other offloads'; }
# kernel on|off: does the kernel hand superframes to the interface?
kernel() { in_ns "$NS_A" ethtool -k vnet0 | grep -q "^tcp-segmentation-offload: $1"; }
cross() {
  cross_start --no-feature HOST_TSO4 --no-feature HOST_TSO6 --no-feature HOST_ECN \
    --no-feature GUEST_TSO4 --no-feature GUEST_TSO6 --no-feature GUEST_ECN
}
# again: they have come to one another again
again() {
  wait_until 10 shows ".carrier.on and .backend.connects == $1" || fail "no connection $1: $(a show)"
  pair_wait up
  wait_until 5 ping_ok "$NS_A" 10.0.0.2 || fail "ping"
}

cross
pair_start
pair_neighbours
again 1
shows '.offload == "auto" and .merge == "on"' || fail "$(a show)"
rises rx yes
rises tx yes
kernel on || fail "the kernel cuts by itself"

a set merge off
shows '.merge == "off"' || fail "$(a show)"
rises rx no
rises tx yes
a set merge strict
rises rx yes
# in the midst of it
start flip bash -c "while '$VUBCTL' -i '$ctl' set merge off && '$VUBCTL' -i '$ctl' set merge on; do :; done"
transfer "$NS_B" "$NS_A" 10.0.0.1 50
stop "${PID[flip]}"
a set merge on
shows '.backend.connects == 1' || fail "merging made a new connection"

a set offload on # what it is already
[ "$(reconnects)" = 0 ] || fail "a new connection for nothing"
a set offload off
again 2
[ "$(reconnects)" = 1 ] || fail "the log does not tell of the new connection"
# what was asked for stands before what comes of it
grep -A1 'offload off, by ' "$TMP/va.log" | grep -q 'reconnecting, to' ||
  fail "the log is out of order: $(cat "$TMP/va.log")"
shows '.offload == "off" and .merge == "on" and .offloads.rx == [] and .offloads.tx == []' || fail "$(a show)"
wait_until 5 kernel off || fail "the kernel goes on handing out superframes"
rises rx no
rises tx no
a set merge strict # of no effect yet
rises rx no
a set offload auto
again 3
shows '.merge == "strict" and (.offloads.rx | index("CSUM")) and (.offloads.tx | index("CSUM"))' || fail "$(a show)"
wait_until 5 kernel on || fail "the kernel cuts by itself"
rises rx yes
rises tx yes

# without a backend it counts for the next one
stop "${PID[peer]}"
pair_wait down
a set offload off
[ "$(reconnects)" = 2 ] || fail "it reconnects without a backend"
cross
again 4
shows '.offloads.rx == []' || fail "$(a show)"
rises rx no
# a server waits for the backend to come back
stop "${PID[peer]}"
pair_wait down
stop "${PID[va]}"
start_vubridge va "$NS_A" --path "$SOCK_A" --iface vnet0 --server
start_vubridge vb2 "$NS_B" --path "$TMP/c.sock" --iface vnet2 --server
wait_until 5 test -S "$SOCK_A" || fail "no socket"
wait_until 5 test -S "$TMP/c.sock" || fail "no socket"
start client "$VU_PEER" --client --socket "$SOCK_A" --socket "$TMP/c.sock" --mode cross
wait_iface "$NS_A" vnet0
address "$NS_A" vnet0 10.0.0.1/24
wait_carrier "$NS_A" vnet0 up
a set offload off
wait_until 10 shows '.carrier.on and .backend.connects == 2 and .offloads.tx == []' || fail "$(a show)"

for wrong in 'offload maybe' 'merge yes' 'offload 1'; do
  status=0
  # shellcheck disable=SC2086 # words are wanted
  a set $wrong >"$TMP/out" 2>&1 || status=$?
  [ $status = 1 ] && grep -q "must be one of" "$TMP/out" || fail "set $wrong: $status, $(cat "$TMP/out")"
done
log "offloads and merging follow"
