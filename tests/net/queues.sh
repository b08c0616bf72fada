#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 200
#
# Several queue pairs and workers, on the laboratory of pair.sh: traffic on each pair,
# backends that serve fewer of them, and nothing handed to a queue that nobody reads.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"
need_root
need jq jq
need iperf3 iperf3

# frames of a queue by its name (rxq0, txq1, …) in the log of va
frames_of() { grep -oE "$1: frames [0-9]+" "$TMP/va.log" | tail -n 1 | grep -oE '[0-9]+$'; }
count() {
  local lines
  lines=$(log_lines va 'overflow')
  kill -USR1 "${PID[va]}"
  wait_until 5 sh -c "[ \$(grep -c overflow '$TMP/va.log') -gt $lines ]" || fail "no counters"
}
# queues that the kernel uses of vnet0
queues_used() { ip -n "$NS_A" -d link show vnet0 | grep -oE 'numqueues [0-9]+' | cut -d' ' -f2; }
many_flows() {
  iperf "$NS_B" "$NS_A" 10.0.0.2 -t 1 -P 16 || fail "iperf3 to b"
  iperf "$NS_A" "$NS_B" 10.0.0.1 -t 1 -P 16 || fail "iperf3 to a"
}

pair_start --queues 4 --workers 2
cross_start --queues 4
pair_wait up
pair_ping
pair_neighbours
# the two, the one that runs the loop, and the one that talks to the backend
[ "$(grep -lx worker "/proc/${PID[va]}/task"/*/comm | wc -l)" = 2 ] || fail "--workers 2"
[ "$(queues_used)" = 4 ] || fail "$(queues_used) queues in use instead of 4"
many_flows
count
for i in 0 1 2 3; do
  [ "$(frames_of "rxq$i")" -gt 0 ] && [ "$(frames_of "txq$i")" -gt 0 ] || fail "pair $i carried nothing"
done
transfer "$NS_A" "$NS_B" 10.0.0.2 100

# the answers of a flow go back on the pair that it came by
cat >"$TMP/echo.py" <<'PY'
import socket, sys
server, here, there, port = sys.argv[1:5]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.bind((here, 7 if server == "server" else int(port)))
for i in range(200):
    if server == "server":
        data, peer = s.recvfrom(100)
        s.sendto(data, peer)
    else:
        s.sendto(b"x" * 64, (there, 7))
        s.recvfrom(100)
PY
for port in 40001 40002 40003 40004 40005 40006; do
  in_ns "$NS_A" python3 "$TMP/echo.py" server 10.0.0.1 10.0.0.2 "$port" &
  echo=$!
  wait_until 5 sh -c "ip netns exec '$NS_A' ss -Hlun 'sport = :7' | grep -q ." || fail "no echo"
  count
  for i in 0 1 2 3; do RX[i]=$(frames_of "rxq$i") TX[i]=$(frames_of "txq$i"); done
  in_ns "$NS_B" python3 "$TMP/echo.py" client 10.0.0.2 10.0.0.1 "$port" || fail "datagrams from port $port"
  wait "$echo" || fail "the echo of port $port"
  count
  used=
  for i in 0 1 2 3; do
    rx=$(($(frames_of "rxq$i") - RX[i])) tx=$(($(frames_of "txq$i") - TX[i]))
    [ "$rx" -lt 200 ] || used=$i
    # the first answer may have gone by the kernel's own guess
    [ "$rx" -lt 200 ] || [ "$tx" -ge 195 ] || fail "pair $i: $rx received, only $tx sent"
  done
  log "port $port: by pair ${used:-none}"
  [ -n "$used" ] || fail "200 datagrams did not come by one pair"
done

# fewer: one line, the rest detached, every flow goes on; then all of them again
for n in 2 1 3 4; do
  stop "${PID[peer]}"
  pair_wait down
  cross_start --queues "$n"
  pair_wait up
  [ "$(queues_used)" = "$n" ] || fail "$(queues_used) queues in use instead of $n"
  pair_ping
  many_flows
  transfer "$NS_A" "$NS_B" 10.0.0.2 20
done
grep -q 'the backend serves 2 of the 4 queue pairs' "$TMP/va.log" || fail "no line of fewer pairs"
grep -q '3 queue pairs instead of 1 last time' "$TMP/va.log" || fail "no line of other pairs"
count
drops=$(grep -oE 'drops: .*' "$TMP/va.log" | tail -n 5 |
  grep -oE '(overflow|refused|iface_down|no_memory|other_error) [0-9]+' |
  awk '{ n += $2 } END { print n + 0 }')
[ "$drops" = 0 ] || fail "dropped: $(tail -n 9 "$TMP/va.log")"

# A count of pairs that lies. Where the configuration tells the truth, that counts; where it does
# not (without CONFIG) the refusal of a ring does, for as long as the peer says the same; what it
# told is tried once more after a connection that lasted.
lies() { grep -c "^lying $SOCK_A: queue-num" "$TMP/peer.log" || true; }
# lying_peer REFUSALS ARGUMENT…: two pairs come of it, after so many attempts that fail
lying_peer() {
  local refusals=$1
  shift
  stop "${PID[peer]}"
  pair_wait down
  : >"$TMP/va.log"
  cross_start --queues 2 --misbehave queue-num:100 "$@"
  pair_wait up
  [ "$(lies)" = $((refusals + 1)) ] || fail "the lie was told $(lies) times: $(cat "$TMP/peer.log")"
  [ "$(log_lines va 'cannot use the backend')" = "$refusals" ] || fail "not $refusals: $(cat "$TMP/va.log")"
  [ "$(queues_used)" = 2 ] || fail "$(queues_used) queues in use instead of 2"
  pair_ping
}
lying_peer 0
lying_peer 1 --protocol-features 0x1001d
grep -q 'SET_VRING_CALL: no such ring: the peer has fewer queue pairs than it says; trying again' "$TMP/va.log" ||
  fail "it does not say why: $(cat "$TMP/va.log")"
many_flows
lying_peer 1 --protocol-features 0x1001d
many_flows
lying_peer 0 --protocol-features 0x1001d
stop "${PID[peer]}"
stop "${PID[va]}"
stop "${PID[vb]}"

# A peer that says how many rings it has, and refuses the first one beyond, or hangs up. It
# serves half of them as pairs: that is found out once, and kept for its next connection; but
# it is tried once more after a connection that lasted.
# (Without CONFIG among the protocol features, which would tell the number of pairs.)
rings() {
  local lines=$1 features=$2 trials=$3
  start_peer peer --socket "$SOCK_A" --mode reflect --queues 2 --protocol-features "$features" \
    --misbehave count-rings
  : >"$TMP/va.log"
  start_vubridge va "$NS_A" --path "$SOCK_A" --iface vnet0 --queues 4
  wait_until 5 grep -q 'carrier on' "$TMP/va.log" || fail "a peer that counts rings: $(cat "$TMP/va.log")"
  [ "$(log_lines va 'cannot use the backend')" = "$lines" ] || fail "not $lines: $(cat "$TMP/va.log")"
  grep -q 'cannot use .*: no such ring: the peer counts rings, not queue pairs' "$TMP/va.log" ||
    fail "it does not say why: $(cat "$TMP/va.log")"
  [ "$(log_lines va 'the backend serves 2 of the 4 queue pairs')" = 1 ] || fail "not 2 pairs"
  [ "$(queues_used)" = 2 ] || fail "$(queues_used) queues in use instead of 2"
  for carriers in 2 3; do
    sleep 1.1 # so that it lasts
    stop "${PID[peer]}" KILL
    start_peer peer --socket "$SOCK_A" --mode reflect --queues 2 --protocol-features "$features" \
      --misbehave count-rings
    wait_until 5 sh -c "[ \$(grep -c 'carrier on' '$TMP/va.log') = $carriers ]" || fail "it does not come back"
    [ "$(log_lines va 'cannot use the backend')" = $((lines + trials)) ] || fail "it forgot: $(cat "$TMP/va.log")"
    [ "$(grep -c '^connected' "$TMP/peer.log")" = $((carriers == 2 ? 1 + trials : 1)) ] ||
      fail "it tried all of them again"
  done
  # one that counts pairs says another number, and has all of them
  stop "${PID[peer]}" KILL
  start_peer peer --socket "$SOCK_A" --mode reflect --queues 3 --protocol-features "$features"
  wait_until 5 grep -q 'the backend serves 3 of the 4' "$TMP/va.log" || fail "not 3 pairs"
  stop "${PID[va]}"
  stop "${PID[peer]}"
}
rings 1 0x1001d 1 # with REPLY_ACK it refuses, and the second time is proof
rings 2 0x10015 1 # without it hangs up, which says so the second time; the third is proof

# a burst while vubridge cannot run: 4000 frames wait in the TAP's queue, and none is lost; those
# beyond what it is long are, and are counted
cat >"$TMP/burst.py" <<'PY'
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
for i in range(int(sys.argv[2])):
    try:
        s.send(b"\xff" * 6 + b"\x02\0\0\0\0\1\x88\xb5" + i.to_bytes(2, "big") + bytes(50))
    except OSError:  # of a queue that is full
        pass
PY
overflows() {
  count
  grep -oE 'overflow [0-9]+' "$TMP/va.log" | tail -n 1 | grep -oE '[0-9]+'
}
sent_of_burst() {
  count
  echo $(($(frames_of txq0) - sent))
}
# burst FRAMES SENT: returns when so many of them have been sent
burst() {
  sent=$(frames_of txq0)
  kill -STOP "${PID[va]}"
  in_ns "$NS_A" python3 "$TMP/burst.py" vnet0 "$1"
  kill -CONT "${PID[va]}"
  wait_until 10 eval "[ \"\$(sent_of_burst)\" -ge $2 ]" || fail "of $1 frames $(sent_of_burst) were sent, not $2"
}
start_peer peer --socket "$SOCK_A" --mode sink
: >"$TMP/va.log"
start_vubridge va "$NS_A" --path "$SOCK_A" --iface vnet0
wait_iface "$NS_A" vnet0
in_ns "$NS_A" sysctl -qw net.ipv6.conf.vnet0.disable_ipv6=1
ip -n "$NS_A" link set vnet0 up
wait_carrier "$NS_A" vnet0 up
before=$(overflows)
burst 4000 4000
[ "$(overflows)" = "$before" ] || fail "a burst of 4000: $(overflows) overflows, not $before"
[ "$(sent_of_burst)" = 4000 ] || fail "of 4000 frames $(sent_of_burst) were sent"
burst 6000 4000
[ "$(overflows)" -gt "$before" ] || fail "6000 frames do not overflow a queue of 4096: nothing was tested"
log "queue pairs 4, 2, 1, 3, 4; 2 of 4 rings; a burst of 4000 frames"
