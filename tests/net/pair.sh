# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# The usual laboratory, for tests to source after lib.sh:
#
#   ns a                                                  ns b
#   vnet0 ── vubridge ── $SOCK_A ── backend ── $SOCK_B ── vubridge ── vnet0
#   10.0.0.1, fd00::1                                     10.0.0.2, fd00::2
SOCK_A=$TMP/a.sock
SOCK_B=$TMP/b.sock

# pair_start [ARGUMENT…]: both vubridges (named va and vb), addresses set
pair_start() {
  ns_add a
  ns_add b
  start_vubridge va "$NS_A" --path "$SOCK_A" --iface vnet0 "$@"
  start_vubridge vb "$NS_B" --path "$SOCK_B" --iface vnet0 "$@"
  wait_iface "$NS_A" vnet0
  wait_iface "$NS_B" vnet0
  address "$NS_A" vnet0 10.0.0.1/24 fd00::1/64
  address "$NS_B" vnet0 10.0.0.2/24 fd00::2/64
}

# pair_wait up|down [SECONDS]
pair_wait() {
  wait_carrier "$NS_A" vnet0 "$1" "${2:-10}"
  wait_carrier "$NS_B" vnet0 "$1" "${2:-10}"
}

# The test peer as a cross-connect of both sockets; more arguments are its own.
cross_start() { start_peer peer --socket "$SOCK_A" --socket "$SOCK_B" --mode cross "$@"; }

pair_mtu() {
  ip -n "$NS_A" link set vnet0 mtu "$1"
  ip -n "$NS_B" link set vnet0 mtu "$1"
}

pair_ping() {
  wait_until 5 ping_ok "$NS_A" 10.0.0.2 || fail "ping"
  wait_until 5 ping_ok "$NS_A" fd00::2 || fail "IPv6 ping"
}

# Addresses resolved for good: a lost ARP request would cost a second at each restart.
pair_neighbours() {
  local mac_a mac_b
  mac_a=$(in_ns "$NS_A" cat /sys/class/net/vnet0/address)
  mac_b=$(in_ns "$NS_B" cat /sys/class/net/vnet0/address)
  ip -n "$NS_A" neigh replace 10.0.0.2 lladdr "$mac_b" nud permanent dev vnet0
  ip -n "$NS_B" neigh replace 10.0.0.1 lladdr "$mac_a" nud permanent dev vnet0
}

# peer_start NAME ARGUMENT…: instead, one at $SOCK_A alone, which sends back what comes and
# takes commands (tell); peer_stop NAME [SIGNAL]
peer_start() {
  local name=$1
  shift
  if [ ! -p "$TMP/$name.in" ]; then mkfifo "$TMP/$name.in"; fi
  : >"$TMP/$name.log"
  "${URGENT[@]}" "$VU_PEER" --socket "$SOCK_A" --mode reflect --commands "${PEER_ROLE[@]}" "$@" <"$TMP/$name.in" \
    >>"$TMP/$name.log" 2>&1 &
  PID[$name]=$!
  LIB_PIDS+=("$!")
  exec {COMMANDS}>"$TMP/$name.in"
  server_role || wait_until 5 grep -q '^listening' "$TMP/$name.log" || fail "the test peer does not listen"
}

tell() { echo "$*" >&"$COMMANDS"; }

peer_stop() {
  stop "${PID[$1]}" "${2:-TERM}"
  exec {COMMANDS}>&-
}
