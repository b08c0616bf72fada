#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 120
#
# What is left of root's powers once the daemon runs: none, in all of its threads, and all
# that it does works without: forwarding, carrier, reconnecting, counters, cleaning up.
# --user changes the user and its groups; --keep-caps keeps two capabilities. A veth keeps
# CAP_NET_ADMIN, for its carrier, and gives up the CAP_NET_RAW that its socket took.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"
need_root
need setpriv util-linux

uid=$(id -u nobody) gid=$(id -g nobody)
NONE=0000000000000000 NET_ADMIN=0000000000001000 BOTH=0000000000201000
if is_veth; then
  KEPT=$NET_ADMIN KEPT_TEXT='CAP_NET_ADMIN alone: the interface is not watched' TAKES=,+net_raw
else
  KEPT=$NONE KEPT_TEXT='no capability, as intended: the MTU ' TAKES=
fi
chmod 755 "$TMP"

# field NAME FIELD: of each of its threads, once if all are the same
field() { sort -u < <(sed -n "s/^$2:[[:blank:]]*//p" "/proc/${PID[$1]}"/task/*/status) | tr -s '\t ' '  '; }

# has NAME FIELD VALUE: once the thread of the self-test, which has none, has ended
has() { wait_until 5 field_is "$@" || fail "$1 has $2 '$(field "$1" "$2")', not '$3'"; }
field_is() {
  local value
  value=$(field "$1" "$2")
  [ "${value% }" = "$3" ]
}

# capabilities_are NAME EFFECTIVE: and no others anywhere
capabilities_are() {
  [ "$(find "/proc/${PID[$1]}/task" -mindepth 1 -maxdepth 1 | wc -l)" -ge 2 ] || fail "$1 has no worker"
  has "$1" CapEff "$2"
  has "$1" CapPrm "$2"
  has "$1" CapInh $NONE
  has "$1" CapBnd $NONE
  has "$1" CapAmb $NONE
  has "$1" NoNewPrivs 1
}

# works: frames, carrier, reconnecting, counters
works() {
  pair_wait up
  pair_ping
  stop "${PID[peer]}" KILL
  pair_wait down
  cross_start
  chmod 777 "$SOCK_A" "$SOCK_B"
  pair_wait up
  pair_ping
  transfer "$NS_A" "$NS_B" 10.0.0.2 8
  kill -USR1 "${PID[va]}"
  wait_until 2 grep -q 'tx: drops: overflow [0-9]' "$TMP/va.log" || fail "SIGUSR1 logged no counters"
}

# ends NAME NS: by SIGTERM with status 0, and the interface is gone
ends() {
  local status=0
  kill -TERM "${PID[$1]}"
  wait "${PID[$1]}" || status=$?
  [ "$status" = 0 ] || fail "SIGTERM ended $1 with status $status"
  ! ip -n "$2" link show dev vnet0 >/dev/null 2>&1 || fail "$1 left its interface behind"
}

# va_start ARGUMENT…: va anew, with what says() looks at
va_start() {
  : >"$TMP/va.log"
  start_vubridge va "$NS_A" --path "$SOCK_A" --iface vnet0 "$@"
  wait_iface "$NS_A" vnet0
  address "$NS_A" vnet0 10.0.0.1/24 fd00::1/64
  pair_wait up
}

says() {
  [ "$(log_lines va ': running .*with ')" = 1 ] || fail "what is left was not logged once"
  grep -qE -- "$1" "$TMP/va.log" || fail "not logged: $1"
}

# ---- by default: root without its powers; a veth goes on with one ----

cross_start
pair_start
pair_wait up
capabilities_are va $KEPT
capabilities_are vb $KEPT
has va Uid '0 0 0 0'
says "vnet0: running with $KEPT_TEXT"
works
ends va "$NS_A"

# ---- another user ----

# with a supplementary group, that only the daemon is shown
cp /etc/group "$TMP/group"
echo 'vubridge-test:x:4242:nobody' >>"$TMP/group"
own_group=(unshare --mount sh -c "mount --bind '$TMP/group' /etc/group && exec \"\$@\"" sh)
: >"$TMP/va.log"
start va ip netns exec "$NS_A" "${own_group[@]}" "$VUBRIDGE" \
  ${IFACE_TYPE:+--iface-type "$IFACE_TYPE"} --path "$SOCK_A" --iface vnet0 --user nobody
wait_iface "$NS_A" vnet0
address "$NS_A" vnet0 10.0.0.1/24 fd00::1/64
pair_wait up
capabilities_are va $KEPT
has va Uid "$uid $uid $uid $uid"
has va Gid "$gid $gid $gid $gid"
[[ " $(field va Groups) " == *" 4242 "* ]] || fail "its groups are $(field va Groups)"
[[ " $(field va Groups) " != *" 0 "* ]] || fail "root's group is among $(field va Groups)"
says "running as nobody with $KEPT_TEXT"
works
ends va "$NS_A"

# ---- what is to be kept ----

va_start --keep-caps
capabilities_are va $BOTH
has va Uid '0 0 0 0'
says 'running with CAP_NET_ADMIN and CAP_SYS_ADMIN alone'
ends va "$NS_A"
va_start --keep-caps --user nobody --io plain
capabilities_are va $BOTH
has va Uid "$uid $uid $uid $uid"
works
ends va "$NS_A"

# no more than there is
: >"$TMP/va.log"
start va ip netns exec "$NS_A" setpriv --inh-caps=-all --bounding-set=-all,+net_admin$TAKES "$VUBRIDGE" \
  ${IFACE_TYPE:+--iface-type "$IFACE_TYPE"} --path "$SOCK_A" --iface vnet0 --keep-caps
wait_until 5 grep -q 'carrier on' "$TMP/va.log" || fail "CAP_NET_ADMIN alone is not enough"
has va CapEff $NET_ADMIN
says 'running with CAP_NET_ADMIN alone: '
ends va "$NS_A"

# ---- a socket of another user's ----

chown nobody "$SOCK_A"
chmod 700 "$SOCK_A"
status=0
in_ns "$NS_A" "$VUBRIDGE" ${IFACE_TYPE:+--iface-type "$IFACE_TYPE"} --path "$SOCK_A" --iface vnet0 \
  >"$TMP/refused" 2>&1 || status=$?
[ "$status" = 1 ] || fail "a socket of another user's: status $status"
grep -q "^vubridge: --path '$SOCK_A': no permission .*--user" "$TMP/refused" || fail "said: $(cat "$TMP/refused")"
va_start --user nobody
ends va "$NS_A"

# the carrier goes, and the interface, also without notice; a veth waits for the next one
is_veth && exit 0
va_start --user nobody
stop "${PID[va]}" KILL
wait_until 2 sh -c "! ip -n '$NS_A' link show dev vnet0" || fail "kill -9 left the interface behind"
