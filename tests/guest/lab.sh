# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2153 # ns_add sets NS_A, NS_B and NS_C
# The laboratory of the tests with vhost-net, and what they look at; sourced after guest.sh.
#
#   ns a                                                           ns b
#   vnet0 ── vubridge ── /dev/vhost-net ── vh0 ── br0 ── veth ── vnet0
#   10.0.0.1, fd00::1                                            10.0.0.2, fd00::2
#
# ns c is empty, for vh0 to be moved to. Time limits are for a host that has other things to
# do as well.

LAB_BYTES=$((4 << 20)) # of the file that is sent

lab() {
  ns_add a
  ns_add b
  ns_add c
  ip -n "$NS_A" link add br0 type bridge
  ip -n "$NS_A" link add veth0 type veth peer name vnet0 netns "$NS_B"
  ip -n "$NS_A" link set veth0 master br0 up
  ip -n "$NS_A" link set br0 up
  address "$NS_B" vnet0 10.0.0.2/24 fd00::2/64
  head -c "$LAB_BYTES" /dev/urandom >"$TMP/data"
  mkfifo "$TMP/fifo"
  exec 9<>"$TMP/fifo" # both ends, so that neither ends
}

# behind_vh0: puts it into the bridge that leads to ns b
behind_vh0() {
  ip -n "$NS_A" link set vh0 master br0 up
}

# start_va PAIRS ARGUMENT…: with a log of its own
start_va() {
  PAIRS=$1
  shift
  : >"$TMP/va.log"
  start_vubridge va "$NS_A" --path /dev/vhost-net --iface vnet0 --vhost-iface vh0 --queues "$PAIRS" "$@"
  wait_iface "$NS_A" vnet0
  wait_iface "$NS_A" vh0
  address "$NS_A" vnet0 10.0.0.1/24 fd00::1/64
}

# end_va STATUS: waits for its end; its interfaces must be gone
end_va() {
  local status=0 i
  wait_until 10 ended "${PID[va]}" || fail "vubridge has not ended"
  wait "${PID[va]}" || status=$?
  [ "$status" = "$1" ] || fail "vubridge ended with $status instead of $1"
  for i in vnet0 vnet0-vub vh0; do
    ip -n "$NS_A" link show dev "$i" 2>/dev/null && fail "$i is still there"
  done
  return 0
}

logged() { wait_until 10 grep -qE "$1" "$TMP/va.log" || fail "no line like '$1'"; }

# has_mtu NS IFACE MTU
has_mtu() { ip -n "$1" -o link show dev "$2" | grep -q " mtu $3 "; }

# send_file NS-FROM NS-TO ADDRESS: the file by TCP, the same at the other end
send_file() {
  local from=$1 to=$2 address=$3 server sum
  # it ends the connection when its standard input ends: this one does not
  in_ns "$to" nc -l -p 5300 <"$TMP/fifo" >"$TMP/received" &
  server=$!
  LIB_PIDS+=("$server")
  wait_until 10 in_ns "$to" sh -c 'grep -q ":14B4 .* 0A " /proc/net/tcp /proc/net/tcp6' ||
    fail "nc does not listen"
  # cat sends by sendfile: as long frames as there may be
  in_ns "$from" bash -c 'exec 3<>"/dev/tcp/$0/5300" && exec cat >&3' "$address" <"$TMP/data" ||
    fail "sending to $address"
  wait_until 40 ended "$server" || fail "the transfer to $address does not end"
  sum=$(sha256sum <"$TMP/received")
  [ "$sum" = "$(sha256sum <"$TMP/data")" ] || fail "what came from $from is not what was sent"
  log "$LAB_BYTES bytes to $address: ${sum%% *}"
}

# counters NAME: frames and bytes of all queues of that name
counters() {
  local lines
  lines=$(log_lines va overflow)
  kill -USR1 "${PID[va]}"
  wait_until 10 sh -c "[ \$(grep -c overflow '$TMP/va.log') -gt $lines ]" || fail "no counters"
  grep -E "${1}[0-9]+: frames" "$TMP/va.log" | tail -n "$PAIRS" |
    sed 's/.*frames \([0-9]*\) bytes \([0-9]*\).*/\1 \2/' | awk '{ f += $1; b += $2 } END { print f, b }'
}

# superframes NAME FRAMES BYTES: since then they were longer than the MTU of 1500, on average
superframes() {
  local now=0 bytes=0
  read -r now bytes < <(counters "$1")
  log "$1: $((now - $2)) frames, $((bytes - $3)) bytes"
  [ $((bytes - $3)) -ge "$LAB_BYTES" ] || fail "$1 carried less than the file"
  [ $(((bytes - $3) / (now - $2))) -gt 1518 ] || fail "$1 carried no segmentation frames"
}

# traffic PING-SIZE…: with an MTU of 1500
traffic() {
  local frames=0 bytes=0 size
  wait_until 10 ping_ok "$NS_A" 10.0.0.2 || fail "no ping to b"
  wait_until 10 ping_ok "$NS_A" fd00::2 || fail "no IPv6 ping to b"
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

# jumbo: frames of 9000 bytes, where vh0 has that MTU already
jumbo() {
  ip -n "$NS_A" link set veth0 mtu 9000
  ip -n "$NS_B" link set vnet0 mtu 9000
  wait_until 10 ping_ok "$NS_A" 10.0.0.2 -M "do" -s 8972 || fail "no ping of 9000 bytes to b"
  wait_until 10 ping_ok "$NS_B" 10.0.0.1 -M "do" -s 8972 || fail "no ping of 9000 bytes to a"
  ip -n "$NS_A" link set veth0 mtu 1500
  ip -n "$NS_B" link set vnet0 mtu 1500
}

# flows_prepare, flows: 16 of them, enough for two pairs, are answered
flows_prepare() { printf 'addr add 10.0.0.%s/24 dev vnet0\n' {101..116} | ip -n "$NS_B" -batch -; }
flows() {
  local i pings=()
  for i in {101..116}; do
    in_ns "$NS_A" ping -q -n -c 3 -i 0.2 -W 5 "10.0.0.$i" >"$TMP/ping-$i.log" &
    pings[i]=$!
  done
  for i in "${!pings[@]}"; do
    wait "${pings[i]}" || fail "no ping to 10.0.0.$i: $(tail -n 2 "$TMP/ping-$i.log")"
  done
}

# link_follows: vh0 is the link, down and up again
link_follows() {
  ip -n "$NS_A" link set vh0 down
  wait_carrier "$NS_A" vnet0 down
  logged 'carrier off: link down by the backend'
  ip -n "$NS_A" link set vh0 up
  wait_carrier "$NS_A" vnet0 up
  wait_until 10 ping_ok "$NS_A" 10.0.0.2 || fail "no ping after vh0 came up again"
  # a carrier that someone else takes away is put back
  ip -n "$NS_A" link set vh0 carrier off
  wait_carrier "$NS_A" vh0 up
}
