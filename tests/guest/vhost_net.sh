#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 120
#
# The kernel's own vhost-net serves the device, with one queue pair and with two, with and
# without mergeable buffers:
#
#   ns a                                                           ns b
#   vnet0 ── vubridge ── /dev/vhost-net ── vh0 ── br0 ── veth ── vnet0
#   10.0.0.1, fd00::1                                            10.0.0.2, fd00::2
#
# Ping and TCP both ways with small, large and segmentation frames; vh0 down, up and
# deleted; an orderly end.
. "$(dirname "$0")/guest.sh"

# behind_vh0: puts it into the bridge that leads to ns b
behind_vh0() {
  ip -n "$NS_A" link set vh0 master br0 up
}

start_va() {
  start_vubridge va "$NS_A" --path /dev/vhost-net --iface vnet0 --vhost-iface vh0 "$@"
  wait_iface "$NS_A" vnet0
  wait_iface "$NS_A" vh0
  address "$NS_A" vnet0 10.0.0.1/24 fd00::1/64
}

# end_va STATUS: waits for its end; both interfaces must be gone
end_va() {
  local status=0
  wait_until 5 ended "${PID[va]}" || fail "vubridge has not ended"
  wait "${PID[va]}" || status=$?
  [ "$status" = "$1" ] || fail "vubridge ended with $status instead of $1"
  for i in vnet0 vh0; do
    ip -n "$NS_A" link show dev "$i" 2>/dev/null && fail "$i is still there"
  done
  return 0
}

# send_file NS-FROM NS-TO ADDRESS: 8 MiB by TCP, the same at the other end
send_file() {
  local from=$1 to=$2 address=$3 server sum
  # it ends the connection when its standard input ends: this one does not
  in_ns "$to" nc -l -p 5300 <"$TMP/fifo" >"$TMP/received" &
  server=$!
  LIB_PIDS+=("$server")
  wait_until 5 in_ns "$to" sh -c 'grep -q ":14B4 .* 0A " /proc/net/tcp /proc/net/tcp6' ||
    fail "nc does not listen"
  # cat sends by sendfile: as long frames as there may be
  in_ns "$from" bash -c 'exec 3<>"/dev/tcp/$0/5300" && exec cat >&3' "$address" <"$TMP/data" ||
    fail "sending to $address"
  wait_until 20 ended "$server" || fail "the transfer to $address does not end"
  sum=$(sha256sum <"$TMP/received")
  [ "$sum" = "$(sha256sum <"$TMP/data")" ] || fail "what came from $from is not what was sent"
  log "8 MiB to $address: ${sum%% *}"
}

# counters NAME: frames and bytes of all queues of that name
counters() {
  local lines
  lines=$(log_lines va overflow)
  kill -USR1 "${PID[va]}"
  wait_until 5 sh -c "[ \$(grep -c overflow '$TMP/va.log') -gt $lines ]" || fail "no counters"
  grep -E "${1}[0-9]+: frames" "$TMP/va.log" | tail -n "$PAIRS" |
    sed 's/.*frames \([0-9]*\) bytes \([0-9]*\).*/\1 \2/' | awk '{ f += $1; b += $2 } END { print f, b }'
}

# frames_of QUEUE: its last count
frames_of() { grep -oE "$1: frames [0-9]+" "$TMP/va.log" | tail -n 1 | cut -d' ' -f3; }

# superframes NAME FRAMES BYTES: since then they were longer than any MTU, on average
superframes() {
  local now=0 bytes=0
  read -r now bytes < <(counters "$1")
  log "$1: $((now - $2)) frames, $((bytes - $3)) bytes"
  [ $((bytes - $3)) -ge 8388608 ] || fail "$1 carried less than the file"
  [ $(((bytes - $3) / (now - $2))) -gt 9018 ] || fail "$1 carried no segmentation frames"
}

# traffic PING-SIZE…
traffic() {
  local frames=0 bytes=0 size
  wait_until 5 ping_ok "$NS_A" 10.0.0.2 || fail "no ping to b"
  wait_until 5 ping_ok "$NS_A" fd00::2 || fail "no IPv6 ping to b"
  for size in "$@"; do
    ping_ok "$NS_A" 10.0.0.2 -s "$size" || fail "no ping of $size bytes to b"
    ping_ok "$NS_B" 10.0.0.1 -s "$size" || fail "no ping of $size bytes to a"
  done
  read -r frames bytes < <(counters txq)
  send_file "$NS_A" "$NS_B" 10.0.0.2
  superframes txq "$frames" "$bytes"
  read -r frames bytes < <(counters rxq)
  send_file "$NS_B" "$NS_A" 10.0.0.1
  superframes rxq "$frames" "$bytes"
}

lab() {
  ns_add a
  ns_add b
  ip -n "$NS_A" link add br0 type bridge
  ip -n "$NS_A" link add veth0 type veth peer name vnet0 netns "$NS_B"
  ip -n "$NS_A" link set veth0 master br0 up
  ip -n "$NS_A" link set br0 up
  address "$NS_B" vnet0 10.0.0.2/24 fd00::2/64
  dd if=/dev/urandom of="$TMP/data" bs=1M count=8 2>/dev/null
  mkfifo "$TMP/fifo"
  exec 9<>"$TMP/fifo" # both ends, so that neither ends
}

lab
PAIRS=1
start_va
# served, but not before its own TAP is up
wait_carrier "$NS_A" vnet0 down
wait_until 5 grep -q 'carrier stays off: link down' "$TMP/va.log" || fail "vh0 is down: no line"
behind_vh0
wait_carrier "$NS_A" vnet0 up
carrier_is "$NS_A" vh0 up || fail "vh0 has no carrier"
grep -q 'connected to /dev/vhost-net: 1 queue pair .* MRG_RXBUF EVENT_IDX VERSION_1' "$TMP/va.log" ||
  fail "the features: $(cat "$TMP/va.log")"
for feature in CSUM GUEST_CSUM GUEST_TSO4 GUEST_TSO6 HOST_TSO4 HOST_TSO6; do
  grep -qw "$feature" "$TMP/va.log" || fail "without $feature"
done
traffic 18 1472 8000

# jumbo frames
for i in vnet0 vh0 veth0 br0; do ip -n "$NS_A" link set "$i" mtu 9000; done
ip -n "$NS_B" link set vnet0 mtu 9000
ping_ok "$NS_A" 10.0.0.2 -M "do" -s 8972 || fail "no ping of 9000 bytes to b"
ping_ok "$NS_B" 10.0.0.1 -M "do" -s 8972 || fail "no ping of 9000 bytes to a"

# its TAP is the link: down and up again
ip -n "$NS_A" link set vh0 down
wait_carrier "$NS_A" vnet0 down
grep -q 'carrier off: link down by the backend' "$TMP/va.log" || fail "no line for vh0 down"
ip -n "$NS_A" link set vh0 up
wait_carrier "$NS_A" vnet0 up
wait_until 5 ping_ok "$NS_A" 10.0.0.2 || fail "no ping after vh0 came up again"
# a carrier that someone else takes away is put back
ip -n "$NS_A" link set vh0 carrier off
wait_carrier "$NS_A" vh0 up

kill -TERM "${PID[va]}"
end_va 0

# without mergeable buffers each has room for the longest frame
start_va --mrg-rxbuf 0 --mtu 9000
[ "$(in_ns "$NS_A" cat /sys/class/net/vh0/mtu)" = 9000 ] || fail "--mtu has not reached vh0"
behind_vh0
wait_carrier "$NS_A" vnet0 up
grep 'connected to' "$TMP/va.log" | tail -n 1 | grep -q MRG_RXBUF && fail "MRG_RXBUF in spite of --mrg-rxbuf 0"
traffic 8000
kill -TERM "${PID[va]}"
end_va 0

PAIRS=2
start_va --queues 2 --mtu 9000
behind_vh0
wait_carrier "$NS_A" vnet0 up
grep -q '2 of 2 queue pairs active\|connected to /dev/vhost-net: 2 queue pairs' "$TMP/va.log" ||
  fail "not two queue pairs"
ip -n "$NS_A" -d link show vh0 | grep -q 'numqueues 2' || fail "vh0 has not two queues"
traffic 56
# flows enough for both pairs
for i in $(seq 101 116); do
  ip -n "$NS_B" addr add "10.0.0.$i/24" dev vnet0
  in_ns "$NS_A" ping -q -n -c 1 -W 2 "10.0.0.$i" >>"$TMP/ping.log" || fail "no ping to 10.0.0.$i"
done
counters txq >/dev/null
for queue in rxq0 rxq1 txq0 txq1; do
  [ "$(frames_of "$queue")" -gt 0 ] || fail "$queue carried nothing"
done

# deleted: the backend is lost, for good
: >"$TMP/va.log"
ip -n "$NS_A" link del vh0
end_va 1
grep -q 'vh0.* is gone' "$TMP/va.log" || fail "no line for the end of vh0"
grep -q 'carrier off: ' "$TMP/va.log" || fail "no line for the carrier"
[ "$(wc -l <"$TMP/va.log")" = 2 ] || fail "more lines than two: $(cat "$TMP/va.log")"
log "the guest took $(cut -d' ' -f1 /proc/uptime) s"
