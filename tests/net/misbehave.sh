#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 200
#
# A backend that lies in the rings costs itself the connection: one log line, carrier off,
# and the next connection, with a backend that behaves, works. The process never ends.
#
#   ns a: vnet0 ── vubridge ── $SOCK ── test peer (--mode reflect --swap-mac --misbehave …)
#
# LIES: those of the lies that are told, all of them without
. "$(dirname "$0")/lib.sh"
need_root
need python3 python3
ns_add a
n=0

# Broadcasts raw frames until the daemon's log has what is waited for.
TRAFFIC=$TMP/traffic.py
cat >"$TRAFFIC" <<'PY'
import socket, sys, time
iface, log, text = sys.argv[1:4]
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((iface, 0))
end = time.monotonic() + 5
while time.monotonic() < end:
    with open(log) as f:
        if text in f.read():
            sys.exit(0)
    try:
        for i in range(8):
            s.send(b"\xff" * 6 + b"\x02\0\0\0\0\1\x88\xb5" + bytes(100))
    except OSError:
        pass
    time.sleep(0.005)
sys.exit(1)
PY

received_since() {
  [ "$(in_ns "$NS_A" cat "/sys/class/net/v$n/statistics/rx_packets")" -gt $(($1 + 10)) ]
}

# lie WHAT PATTERN [PEER-ARGUMENT…]: some at once; PAIRS=N: with N queue pairs
lie() {
  case " ${LIES:-$1} " in *" $1 "*) ;; *) return 0 ;; esac
  n=$((n + 1))
  beside 4 lie_is_met "$@"
}
lie_is_met() {
  local what=$1 pattern=$2 name=lie$n before status
  shift 2
  start_peer "peer$name" --socket "$TMP/$name.sock" --mode reflect --swap-mac --misbehave "$what" \
    --misbehave-times 1 "$@"
  start_vubridge "$name" "$NS_A" --path "$TMP/$name.sock" --iface "v$n" --queues "${PAIRS:-1}"
  wait_iface "$NS_A" "v$n"
  in_ns "$NS_A" sysctl -qw "net.ipv6.conf.v$n.disable_ipv6=1"
  ip -n "$NS_A" link set "v$n" up
  wait_carrier "$NS_A" "v$n" up 5
  in_ns "$NS_A" python3 "$TRAFFIC" "v$n" "$TMP/$name.log" 'carrier off' ||
    fail "$what: the carrier stayed on"
  wait_until 5 sh -c "[ \$(grep -c 'carrier on' '$TMP/$name.log') = 2 ]" || fail "$what: no recovery"
  [ "$(log_lines "$name" 'broke the rules|disconnecting')" = 1 ] ||
    fail "$what: not one line: $(cat "$TMP/$name.log")"
  grep -E 'broke the rules|disconnecting' "$TMP/$name.log" | grep -qE "$pattern" ||
    fail "$what: $(cat "$TMP/$name.log")"
  alive "${PID[$name]}" || fail "$what: the daemon has ended"
  # and it forwards again
  before=$(in_ns "$NS_A" cat "/sys/class/net/v$n/statistics/rx_packets")
  wait_carrier "$NS_A" "v$n" up 5
  start "traffic$n" ip netns exec "$NS_A" python3 "$TRAFFIC" "v$n" "$TMP/$name.log" 'nothing says so'
  wait_until 5 received_since "$before" || fail "$what: no traffic afterwards"
  stop "${PID[traffic$n]}"
  kill -TERM "${PID[$name]}"
  status=0
  wait "${PID[$name]}" || status=$?
  [ "$status" = 0 ] || fail "$what: the daemon ended with $status"
  stop "${PID[peer$name]}"
  log "$what: $(grep -oE '(broke the rules|disconnecting from).*' "$TMP/$name.log" | cut -c1-90)"
}

lie used-jump 'rxq0.*used index jumped'
lie used-back 'rxq0.*used index (jumped|went back)'
lie used-id 'rxq0.*used id out of range'
lie used-id 'rxq0.*used id out of range' --no-feature IN_ORDER
lie used-repeat 'rxq0.*used id out of order'
lie used-repeat 'rxq0.*used id that the peer did not hold' --no-feature IN_ORDER
lie used-len-zero 'rxq0.*used length too short'
lie used-len-over 'rxq0.*used length beyond the buffer'
lie used-len-64k 'rxq0.*used length beyond the buffer'
lie used-len-over 'rxq0.*used length beyond' --no-feature MRG_RXBUF
lie used-len-merged 'rxq0.*frame longer than any may be'
lie num-buffers-zero 'rxq0.*number of buffers'
lie num-buffers-over 'rxq0.*number of buffers'
lie num-buffers:200 'rxq0.*frame scattered over too many buffers'
lie hdr-csum 'rxq0.*checksum offset outside'
lie hdr-csum 'rxq0.*checksum request that was not negotiated' --no-feature GUEST_CSUM
lie hdr-gso 'rxq0.*segmentation type that was not negotiated'
lie hdr-gso-size-zero 'rxq0.*segmentation size of 0'
lie scribble '(rxq0|txq0).*used '
# the same of the first transmit ring, and of the second pair's rings (a veth has one pair). In
# order the ids of what was sent say nothing, and are not looked at.
lie used-jump 'txq0.*used index jumped' --misbehave-ring 1
lie used-back 'txq0.*used index (jumped|went back)' --misbehave-ring 1
lie used-id 'txq0.*used id out of range' --no-feature IN_ORDER --misbehave-ring 1
lie used-repeat 'txq0.*used id that the peer did not hold' --no-feature IN_ORDER --misbehave-ring 1
if ! is_veth; then
  PAIRS=2
  lie used-jump 'rxq1.*used index jumped' --queues 2 --misbehave-ring 2
  lie used-id 'rxq1.*used id out of range' --queues 2 --misbehave-ring 2
  lie used-repeat 'rxq1.*used id out of order' --queues 2 --misbehave-ring 2
  unset PAIRS
fi
lie unasked-reply 'unasked|not asked'
lie news 'back-end channel: a message that was not agreed on'
lie news-half 'back-end channel: half a message'
beside_end

# two buffers for one: nothing says which of them lies, so the two frames come as one, and all
# goes on
cat >"$TMP/lengths.py" <<'PY'
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88b5))
s.bind((sys.argv[1], 0x88b5))
s.settimeout(10)
print("ready", flush=True)
single, joined = 114, 114 + 12 + 114
seen = []
while joined not in seen or seen[-1] != single:
    data, where = s.recvfrom(2000)
    if where[2] != socket.PACKET_OUTGOING:
        seen.append(len(data))
assert seen.count(joined) == 1 and set(seen) == {single, joined}, seen
PY
start_peer peertwo --socket "$TMP/two.sock" --mode reflect --swap-mac --misbehave num-buffers:2
start_vubridge two "$NS_A" --path "$TMP/two.sock" --iface vtwo
wait_iface "$NS_A" vtwo
in_ns "$NS_A" sysctl -qw net.ipv6.conf.vtwo.disable_ipv6=1
ip -n "$NS_A" link set vtwo up
wait_carrier "$NS_A" vtwo up
start lengths ip netns exec "$NS_A" python3 "$TMP/lengths.py" vtwo
wait_until 5 grep -q ready "$TMP/lengths.log" || fail "lengths.py does not listen"
start twotraffic ip netns exec "$NS_A" python3 "$TRAFFIC" vtwo "$TMP/two.log" 'nothing says so'
wait "${PID[lengths]}" || fail "num-buffers:2: $(cat "$TMP/lengths.log")"
grep -q '^lying .*: 2 buffers instead of 1' "$TMP/peertwo.log" || fail "num-buffers:2: no lie"
[ "$(log_lines two 'broke the rules|disconnecting|carrier off')" = 0 ] ||
  fail "num-buffers:2: $(cat "$TMP/two.log")"
stop "${PID[twotraffic]}"
stop "${PID[two]}"

# a ring that is written to after its pair was switched off: the other pair goes on, and it is
# found when the pair is used again
if [ "${IFACE_TYPE:-tap}" = tap ]; then
  start_peer peeroff --socket "$TMP/off.sock" --mode reflect --queues 2 --misbehave used-switched-off \
    --misbehave-times 1
  start_vubridge off "$NS_A" --path "$TMP/off.sock" --iface voff --queues 2
  wait_until 5 grep -q 'carrier on' "$TMP/off.log" || fail "used-switched-off: no carrier"
  "$VUBCTL" -i "$TMP/off.control" set queues 1 || fail "used-switched-off: set queues 1"
  wait_until 5 grep -q '^lying .*: used-switched-off' "$TMP/peeroff.log" || fail "used-switched-off: no lie"
  sleep 0.3
  [ "$(log_lines off 'broke the rules|disconnecting|carrier off')" = 0 ] ||
    fail "used-switched-off: $(cat "$TMP/off.log")"
  "$VUBCTL" -i "$TMP/off.control" set queues 2 || fail "used-switched-off: set queues 2"
  wait_until 5 sh -c "[ \$(grep -c 'carrier on' '$TMP/off.log') = 2 ]" ||
    fail "used-switched-off: $(cat "$TMP/off.log")"
  [ "$(log_lines off 'rxq1: the backend broke the rules: used index jumped')" = 1 ] ||
    fail "used-switched-off: $(cat "$TMP/off.log")"
  stop "${PID[off]}"
fi

# a ring that is written to before it is enabled: found at the first look, without a frame
start_peer peerearly --socket "$TMP/early.sock" --mode reflect --misbehave used-disabled --misbehave-times 1
start_vubridge early "$NS_A" --path "$TMP/early.sock" --iface vearly
wait_until 5 grep -q 'rxq0: the backend broke the rules' "$TMP/early.log" ||
  fail "used-disabled: $(cat "$TMP/early.log")"
wait_iface "$NS_A" vearly
ip -n "$NS_A" link set vearly up
wait_carrier "$NS_A" vearly up 5 # with the next connection, which is sound
grep -q '^lying' "$TMP/peerearly.log" || fail "used-disabled: no lie"
[ "$(log_lines early 'rxq0: the backend broke the rules: used index jumped')" = 1 ] &&
  [ "$(log_lines early 'disconnecting')" = 1 ] || fail "used-disabled: $(cat "$TMP/early.log")"
stop "${PID[early]}"

# the shared memory is sealed: who would take it away cannot, and all goes on
start_peer peerseal --socket "$TMP/seal.sock" --mode reflect --swap-mac --misbehave truncate-memory
start_vubridge seal "$NS_A" --path "$TMP/seal.sock" --iface vseal
wait_iface "$NS_A" vseal
ip -n "$NS_A" link set vseal up
wait_carrier "$NS_A" vseal up
grep -q 'truncate .*Operation not permitted' "$TMP/peerseal.log" || fail "sealed: $(cat "$TMP/peerseal.log")"
stop "${PID[seal]}"

# a kick that blocks holds up nothing: neither the end of the connection nor that of the daemon
start_peer peerkick --socket "$TMP/kick.sock" --mode reflect --swap-mac --misbehave kick-blocks
start_vubridge kick "$NS_A" --path "$TMP/kick.sock" --iface vkick
wait_iface "$NS_A" vkick
ip -n "$NS_A" link set vkick up
wait_carrier "$NS_A" vkick up
start kicktraffic ip netns exec "$NS_A" python3 "$TRAFFIC" vkick "$TMP/kick.log" 'nothing says so'
wait_until 5 grep -q 'lying' "$TMP/peerkick.log" || fail "kick-blocks: no lie"
sleep 1
kill -TERM "${PID[kick]}"
wait_until 8 ended "${PID[kick]}" || fail "a kick that blocks keeps the daemon from ending"
stop "${PID[kicktraffic]}"
stop "${PID[peerkick]}" KILL

# it dies in the middle of traffic, three ways
for way in die exit close; do
  name=dies-$way
  start_peer "peer$name" --socket "$TMP/$name.sock" --mode reflect --swap-mac --misbehave "$way"
  start_vubridge "$name" "$NS_A" --path "$TMP/$name.sock" --iface "d$way"
  wait_iface "$NS_A" "d$way"
  ip -n "$NS_A" link set "d$way" up
  wait_carrier "$NS_A" "d$way" up 5
  in_ns "$NS_A" python3 "$TRAFFIC" "d$way" "$TMP/$name.log" 'carrier off' || fail "$way: carrier on"
  alive "${PID[$name]}" || fail "$way: the daemon has ended"
  [ "$(log_lines "$name" 'the backend at .* disconnected')" -ge 1 ] || fail "$way: $(cat "$TMP/$name.log")"
done
log "$n lies of the rings, and a backend that dies"
