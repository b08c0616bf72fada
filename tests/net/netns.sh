#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 180
#
# Interfaces in other network namespaces: made there (--netns), moved at run time with and
# without the capabilities to follow, renamed, deleted; namespaces deleted.
#
#   ns a                   ns home                        ns b
#   vnet0 ─ vubridge va ─ $SOCK_A ─ test peer ─ $SOCK_B ─ vubridge vb ─ vnet0
#   10.0.0.1                                              10.0.0.2
#
# With IFACE_TYPE=veth the hidden end is in ns home, and nothing is followed.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"
need_root
need setpriv util-linux

# va_start ARGUMENT…: in ns home, its interface in ns a
va_start() {
  : >"$TMP/va.log"
  start_vubridge va "$NS_HOME" --path "$SOCK_A" --iface vnet0 "$@"
  wait_until 10 grep -q 'carrier on' "$TMP/va.log" || fail "no carrier: $*"
}

# arrive NS IFACE: in its new namespace an interface is down and has no address
arrive() {
  wait_iface "$1" "$2"
  address "$1" "$2" 10.0.0.1/24
  wait_carrier "$1" "$2" up
  wait_until 5 ping_ok "$1" 10.0.0.2 || fail "ping from $2 in $1"
}

# lost NAME PATTERN COMMAND…: by the command it ends with status 1 and one line, which matches
# (beside what the log had held back of earlier lines)
lost() {
  local name=$1 pattern=$2 status=0 lines
  shift 2
  lines=$(wc -l <"$TMP/$name.log")
  "$@"
  wait_until 15 ended "${PID[$name]}" || fail "$name goes on: $pattern"
  wait "${PID[$name]}" || status=$?
  [ "$status" = 1 ] || fail "$name ended with status $status: $pattern"
  tail -n "+$((lines + 1))" "$TMP/$name.log" | grep -vE '\((once|[0-9]+ times) more\)$' >"$TMP/lost" || true
  [ "$(wc -l <"$TMP/lost")" = 1 ] || fail "not one line: $(cat "$TMP/lost")"
  grep -q "$pattern" "$TMP/lost" || fail "not logged: $pattern"
}

# pin NS: a cable from ns home into it, which breaks when the namespace really ends
pin() {
  ip -n "$NS_HOME" link add pin0 type veth peer name pin1
  ip -n "$NS_HOME" link set pin1 netns "$1"
}
unpinned() { ! ip -n "$NS_HOME" link show dev pin0; }

# others_take_carrier NS IFACE: of a veth by its hidden end
others_take_carrier() {
  if is_veth; then
    ip -n "$NS_HOME" link set vnet0-vub down
  else
    ip -n "$1" link set "$2" carrier off
  fi
}

# refused STATUS PATTERN COMMAND…
refused() {
  local want=$1 pattern=$2 status=0
  shift 2
  in_ns "$NS_HOME" timeout 5 "$@" >"$TMP/refused" 2>&1 </dev/null || status=$?
  [ "$status" = "$want" ] || fail "status $status, not $want: $* ($(cat "$TMP/refused"))"
  [ "$(wc -l <"$TMP/refused")" = 1 ] || fail "not one line: $(cat "$TMP/refused")"
  grep -qE -- "$pattern" "$TMP/refused" || fail "$* said: $(cat "$TMP/refused")"
}

ns_add home
ns_add a
ns_add b
ns_add c

# ---- --netns, by name and by path ----

cross_start
va_start --netns "$NS_A"
start_vubridge vb "$NS_HOME" --path "$SOCK_B" --iface vnet0 --netns "/run/netns/$NS_B"
wait_iface "$NS_B" vnet0
address "$NS_B" vnet0 10.0.0.2/24
arrive "$NS_A" vnet0
here=$(ip -n "$NS_HOME" -o link | grep -cv ': lo:' || true)
if is_veth; then
  [ "$here" = 2 ] || fail "not both hidden ends are here: $(ip -n "$NS_HOME" -o link)"
  ip -n "$NS_HOME" link show dev vnet0-vub0 >/dev/null || fail "the second hidden end's name"
  [ "$(ip -n "$NS_A" -o link | grep -c -- "-vub[@:]")" = 0 ] || fail "a hidden end is in the interface's namespace"
else
  [ "$here" = 0 ] || fail "--netns made an interface here, too"
fi
kill -USR1 "${PID[va]}"
wait_until 2 grep -q 'tx: drops: overflow [0-9]' "$TMP/va.log" || fail "no counter of overflows"
stop "${PID[va]}"
! ip -n "$NS_A" link show dev vnet0 2>/dev/null || fail "the interface stayed in its namespace"
! ip -n "$NS_HOME" link show dev vnet0-vub 2>/dev/null || fail "the hidden end stayed"

: >"$TMP/file"
run=("$VUBRIDGE" --path "$SOCK_A" --iface vnet0 --iface-type "${IFACE_TYPE:-tap}" --netns)
refused 1 "^vubridge: --netns 'vut-none': .*ip netns add" "${run[@]}" vut-none
refused 1 "^vubridge: --netns '$TMP/none': .*no such file" "${run[@]}" "$TMP/none"
refused 1 "^vubridge: --netns '$TMP/file': .*not a network namespace" "${run[@]}" "$TMP/file"
refused 1 "^vubridge: --netns '/proc/self/ns/mnt': .*not a network namespace" "${run[@]}" /proc/self/ns/mnt
chmod 755 "$TMP"
chmod 666 "$SOCK_A"
refused 1 "^vubridge: --netns '$NS_A': .*CAP_SYS_ADMIN" setpriv --reuid 65534 --regid 65534 \
  --clear-groups "${run[@]}" "$NS_A"
# an abstract socket is one of the daemon's own namespace
: >"$TMP/va.log"
start abstract ip netns exec "$NS_HOME" "$VU_PEER" --socket "@$TMP/sock" --mode sink
start_vubridge va "$NS_HOME" --path "@$TMP/sock" --iface vnet0 --netns "$NS_A"
wait_until 5 grep -q 'carrier on' "$TMP/va.log" || fail "an abstract socket was not found"
stop "${PID[va]}"
stop "${PID[abstract]}"

# ---- renamed ----

va_start --netns "$NS_A"
arrive "$NS_A" vnet0
ip -n "$NS_A" link set vnet0 down
ip -n "$NS_A" link set vnet0 name eth9 up
wait_until 2 grep -q '^vnet0: the interface was renamed to eth9' "$TMP/va.log" || fail "a rename is not logged"
wait_carrier "$NS_A" eth9 up
wait_until 5 ping_ok "$NS_A" 10.0.0.2 || fail "ping after a rename"
stop "${PID[va]}"
grep -q '^eth9: carrier off' "$TMP/va.log" || fail "the log goes on with the old name"

# ---- moved, without the capabilities to follow ----

va_start --netns "$NS_A"
ip -n "$NS_A" link set vnet0 netns "$NS_C"
arrive "$NS_C" vnet0
[ "$(log_lines va 'the interface moved to .* may not be entered')" = 1 ] || fail "a move is not logged once"
stop "${PID[peer]}" KILL
wait_carrier "$NS_C" vnet0 down 3
cross_start
wait_carrier "$NS_C" vnet0 up
wait_until 5 ping_ok "$NS_C" 10.0.0.2 || fail "ping after a move and a reconnect"
others_take_carrier "$NS_C" vnet0
wait_carrier "$NS_C" vnet0 up 4
kill -USR1 "${PID[va]}"
is_veth || wait_until 2 grep -q 'overflow unknown' "$TMP/va.log" || fail "no word of the unknown counter"
ip -n "$NS_C" link set vnet0 down
ip -n "$NS_C" link set vnet0 name eth8 up
is_veth || wait_until 4 grep -q 'the interface was renamed to eth8' "$TMP/va.log" ||
  fail "an unseen rename is not logged"
# home again, with another index
ip -n "$NS_C" link set eth8 netns "$NS_A" index 77
arrive "$NS_A" eth8
wait_until 4 grep -q 'back in sight' "$TMP/va.log" || fail "a return is not logged"
kill -USR1 "${PID[va]}"
wait_until 2 grep -q 'eth8: tx: drops: overflow [0-9]' "$TMP/va.log" || fail "no counter after a return"
others_take_carrier "$NS_A" eth8
wait_carrier "$NS_A" eth8 up 2
lost va 'the interface is gone: it was deleted' ip -n "$NS_A" link del eth8

# deleted where it cannot be seen
va_start --netns "$NS_A"
ip -n "$NS_A" link set vnet0 netns "$NS_C"
wait_until 2 grep -q 'may not be entered' "$TMP/va.log" || fail "a move is not logged"
lost va 'the interface is gone: it was deleted' ip -n "$NS_C" link del vnet0

# ---- moved, and followed ----

followed() {
  va_start --keep-caps --netns "$NS_A"
  ip -n "$NS_A" link set vnet0 netns "$NS_C"
  arrive "$NS_C" vnet0
  wait_until 2 grep -q "the interface moved to network namespace $NS_C: following" "$TMP/va.log" ||
    fail "it was not followed"
  kill -USR1 "${PID[va]}"
  wait_until 2 grep -q 'overflow [0-9]' "$TMP/va.log" || fail "no counter after a move"
  stop "${PID[peer]}" KILL
  wait_carrier "$NS_C" vnet0 down
  cross_start
  wait_carrier "$NS_C" vnet0 up
  # to our own, back and forth, with a name that is taken there
  ip -n "$NS_HOME" tuntap add dev vnet0 mode tap
  ip -n "$NS_C" link set vnet0 down
  ip -n "$NS_C" link set vnet0 name eth7
  ip -n "$NS_C" link set eth7 netns "$NS_HOME"
  arrive "$NS_HOME" eth7
  wait_until 2 grep -q 'moved to our own network namespace' "$TMP/va.log" || fail "it was not followed home"
  ip -n "$NS_HOME" link set eth7 carrier off
  wait_carrier "$NS_HOME" eth7 up 2
  ip -n "$NS_HOME" link set eth7 netns "$NS_C"
  arrive "$NS_C" eth7
  pin "$NS_C"
  lost va 'the network namespace of the interface was deleted' ip netns del "$NS_C"
  wait_until 5 unpinned || fail "the namespace that was followed to lives on"
  ip -n "$NS_HOME" link del vnet0

  # into one without a name, which dies with its process
  va_start --keep-caps --netns "$NS_A"
  unshare -n sleep 60 &
  box=$!
  LIB_PIDS+=("$box")
  wait_until 5 sh -c "[ \"\$(readlink /proc/$box/ns/net)\" != \"\$(readlink /proc/self/ns/net)\" ]" ||
    fail "no namespace"
  ip -n "$NS_A" link set vnet0 netns "$box"
  wait_until 2 grep -q 'moved to a network namespace that has no name' "$TMP/va.log" || fail "it was not let go"
  nsenter --net="/proc/$box/ns/net" ip addr add 10.0.0.1/24 dev vnet0
  nsenter --net="/proc/$box/ns/net" ip link set vnet0 up
  wait_until 5 nsenter --net="/proc/$box/ns/net" ping -q -c 1 -W 1 10.0.0.2 || fail "ping from a nameless namespace"
  lost va 'the interface is gone: it was deleted' stop "$box" KILL
}
is_veth || followed

# ---- the namespace of --netns is deleted ----

va_start --netns "$NS_A"
pin "$NS_A"
lost va 'the network namespace of the interface was deleted' ip netns del "$NS_A"
wait_until 5 unpinned || fail "the namespace lives on"
