#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 240
#
# The control socket: DPDK's own tool finds it and reads it; who may look and who may change;
# clients of every kind; what can be changed at run time, and the events of it.
#
#   ns a                                                  ns b
#   vnet0 ── vubridge ── $SOCK_A ── backend ── $SOCK_B ── vubridge ── vnet0
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"
need_root
need dpdk-telemetry.py dpdk
need jq jq
need setpriv util-linux

chmod 755 "$TMP"
client=$LIB_DIR/telemetry.py
uid=$(id -u nobody) gid=$(id -g nobody)
ctl=$TMP/va.control # lib.sh's own choice
iface=vut$$         # a name that no other test has at the same time
place=/run/dpdk/vubridge-$iface
dpdk_socket=$place/dpdk_telemetry.v2
at_exit "rm -rf $place"

# ask REQUEST…: the answers of va
ask() { python3 "$client" "$ctl" ask "$@"; }
# is FILTER VALUE REQUEST: what jq finds in the answer
is() {
  local got
  got=$(ask "$3" | jq -cr "$1")
  [ "$got" = "$2" ] || fail "$3: $1 is $got, not $2"
}
shows() { wait_until 5 sh -c "python3 '$client' '$ctl' ask /vubridge/show |
  jq -e '.\"/vubridge/show\" | $1' >/dev/null" || fail "show has not come to be: $1"; }
# changed COMMAND: it is answered with true
changed() { [ "$(ask "$1" | jq -c '.[]')" = true ] || fail "$1: $(ask "$1")"; }
# refused PATTERN REQUEST: null, with a reason
refused() {
  local got
  got=$(ask "$2")
  jq -e '.[keys[0]] == null or .[keys[1]] == null' <<<"$got" >/dev/null || fail "$2 was not refused: $got"
  jq -r .error <<<"$got" | grep -qE -- "$1" || fail "$2: $got"
}
dpdk() { printf '%s\n' "$@" | dpdk-telemetry.py -f "vubridge-$iface"; }

# ---- DPDK's tool, at the usual place ----

ns_add c
ns_add d
start usual ip netns exec "$NS_C" "$VUBRIDGE" --path "$SOCK_A" --iface "$iface"
wait_until 5 test -S "$dpdk_socket" || fail "no $dpdk_socket"
[ "$(stat -c %a "$dpdk_socket")" = 660 ] || fail "its mode is $(stat -c %a "$dpdk_socket")"
dpdk / >"$TMP/list" || fail "dpdk-telemetry.py cannot connect"
mapfile -t commands < <(jq -r '."/"[]' "$TMP/list")
[ "$(dpdk /ethdev/list /ethdev/link_status,0)" = '{"/ethdev/list": [0]}
{"/ethdev/link_status": {"status": "DOWN"}}' ] || fail "list and link_status"
# all that telegraf asks for, and each help text; there is no other port
mapfile -t ethdev < <(grep ethdev <(printf '%s,0\n' "${commands[@]}"))
dpdk "${ethdev[@]}" | jq -se 'length > 4 and all(.[]; .[keys[0]] != null and (has("error") | not))' \
  >/dev/null || fail "an /ethdev command has no answer"
dpdk /ethdev/{info,link_status,stats,xstats},1 | jq -se 'length == 4 and all(.[]; has("error"))' >/dev/null ||
  fail "there is a port 1"
dpdk "${commands[@]/#//help,}" | jq -se --argjson n "${#commands[@]}" \
  'length == $n and all(.[]; ."/help" | .[keys[0]] | length > 5)' >/dev/null || fail "help texts"
dpdk-telemetry.py -l >"$TMP/sockets"
grep -q "vubridge-$iface" "$TMP/sockets" || fail "dpdk-telemetry.py -l does not list it"
! grep -q lock "$TMP/sockets" || fail "dpdk-telemetry.py takes the lock for a socket"

# another one of that name, elsewhere
start second ip netns exec "$NS_D" "$VUBRIDGE" --path "$SOCK_A" --iface "$iface"
wait_until 5 test -S "$dpdk_socket:1" || fail "no second socket"
[ "$(echo /info | dpdk-telemetry.py -f "vubridge-$iface" -i 1 | jq '."/info".pid')" = "${PID[second]}" ] ||
  fail "the second socket is not the second's"
[ "$(dpdk /info | jq '."/info".pid')" = "${PID[usual]}" ] || fail "the first socket is not the first's"

# who is killed leaves a socket, which the next one replaces; who ends leaves nothing
stop "${PID[usual]}" KILL
[ -S "$dpdk_socket" ] || fail "no stale socket to test with"
wait_until 5 sh -c "! ip -n '$NS_C' link show dev '$iface'" || fail "kill -9 left the interface behind"
start third ip netns exec "$NS_C" "$VUBRIDGE" --path "$SOCK_A" --iface "$iface"
wait_until 5 sh -c "echo /info | dpdk-telemetry.py -f 'vubridge-$iface' | grep -q '${PID[third]}'" ||
  fail "a stale socket was not replaced"
stop "${PID[third]}"
[ ! -e "$dpdk_socket" ] || fail "the socket was left behind"
[ -S "$dpdk_socket:1" ] || fail "the socket of another one was removed"
stop "${PID[second]}"
[ ! -e "$place" ] || fail "left behind: $(find "$place")"

# also as another user, who needs no right but that to its directory
start nobody ip netns exec "$NS_C" "$VUBRIDGE" --path "$SOCK_A" --iface "$iface" --user nobody
wait_until 5 test -S "$dpdk_socket" || fail "no socket with --user"
dpdk /info | grep -q "${PID[nobody]}" || fail "root cannot connect to nobody's"
python3 "$client" "$dpdk_socket" "as=$uid:4242" ask /vubridge/set/log-level,debug | grep -q true ||
  fail "nobody may not change what runs as nobody"
stop "${PID[nobody]}"
[ -z "$(find "$place" -mindepth 1)" ] || fail "--user: left behind: $(find "$place")"
start root ip netns exec "$NS_C" "$VUBRIDGE" --path "$SOCK_A" --iface "$iface"
wait_until 5 test -S "$dpdk_socket" || fail "no socket in a place that was nobody's"
stop "${PID[root]}"
[ ! -e "$place" ] || fail "left behind: $(find "$place")"

# a user without a right to /run has it in his own place
mkdir -m 700 "$TMP/runtime"
chown nobody "$TMP/runtime"
ip -n "$NS_C" tuntap add dev own0 mode tap user nobody
start own ip netns exec "$NS_C" setpriv --reuid nobody --clear-groups --inh-caps=-all \
  env XDG_RUNTIME_DIR="$TMP/runtime" "$VUBRIDGE" --path "$SOCK_A" --iface own0
wait_until 5 test -S "$TMP/runtime/dpdk/vubridge-own0/dpdk_telemetry.v2" || fail "no socket in XDG_RUNTIME_DIR"
stop "${PID[own]}"
start homeless ip netns exec "$NS_C" setpriv --reuid nobody --clear-groups --inh-caps=-all \
  env -u XDG_RUNTIME_DIR "$VUBRIDGE" --path "$SOCK_A" --iface own0
wait_until 5 grep -q 'waiting for the backend' "$TMP/homeless.log" || fail "it does not run without a socket"
grep -q 'no control socket in /run/dpdk/vubridge-own0: Permission denied; --control' "$TMP/homeless.log" ||
  fail "said: $(cat "$TMP/homeless.log")"
stop "${PID[homeless]}"

# ---- --control ----

: >"$TMP/plain"
for bad in "$TMP/plain:no socket" "$TMP/none/x:directory '$TMP/none' does not exist" \
  "$TMP/plain/x:not a directory" "@name:abstract"; do
  status=0
  in_ns "$NS_C" "$VUBRIDGE" --path "$SOCK_A" --iface "$iface" --control "${bad%:*}" >"$TMP/refused" 2>&1 || status=$?
  [ "$status" = 1 ] || fail "--control ${bad%:*}: status $status"
  grep -q "^vubridge: --control '${bad%:*}': .*${bad##*:}" "$TMP/refused" || fail "said: $(cat "$TMP/refused")"
done
start without ip netns exec "$NS_C" "$VUBRIDGE" --path "$SOCK_A" --iface "$iface" --control none
wait_until 5 grep -q 'waiting for the backend' "$TMP/without.log" || fail "--control none: it does not run"
[ ! -e "$place" ] || fail "--control none: there is a socket"
stop "${PID[without]}"

# ---- under traffic ----

cross_start --queues 2
pair_start --queues 2 --keep-caps --control-group "$gid"
pair_wait up
pair_ping
is '."/ethdev/link_status".status' UP /ethdev/link_status,0
is '."/ethdev/stats" | .ipackets > 0 and .opackets > 0 and .ibytes > .ipackets' true /ethdev/stats,0
is '."/ethdev/stats" | .ipackets == (.q_ipackets | add) and .obytes == (.q_obytes | add)' true /ethdev/stats,0
is '."/ethdev/info" | .nb_rx_queues, .rxq_state' "2
[1,1]" /ethdev/info,0
# every output has the same numbers
ask /vubridge/stats,0 /vubridge/stats,1 /ethdev/xstats,0 | jq -se '
  [.[0,1]["/vubridge/stats"].rx.frames] == [.[2]["/ethdev/xstats"] | .rx_q0_frames, .rx_q1_frames]' >/dev/null ||
  fail "stats and xstats differ"

# ---- who may ----

as_nobody() { python3 "$client" "$ctl" "as=$uid:$1" ask /vubridge/show /vubridge/set/mtu,1400; }
! as_nobody 4242 >/dev/null 2>&1 || fail "anyone may connect"
as_nobody "$gid" >"$TMP/nobody.txt" || fail "the group may not look"
jq -se '.[0]["/vubridge/show"].interface == "vnet0"' "$TMP/nobody.txt" >/dev/null || fail "$(cat "$TMP/nobody.txt")"
jq -se '.[1].error | test("no permission")' "$TMP/nobody.txt" >/dev/null || fail "$(cat "$TMP/nobody.txt")"
shows '.mtu == 1500'

# ---- what can be changed, and what the monitor tells of it ----

start watch python3 "$client" "$ctl" watch
wait_until 5 grep -q vubridge/monitor "$TMP/watch.log" || fail "no monitor"
told() { wait_until 5 sh -c "tail -n +2 '$TMP/watch.log' | jq -e '.\"/vubridge/monitor\" | $1' | grep -q true" ||
  fail "the monitor has not told: $1: $(cat "$TMP/watch.log")"; }

changed /vubridge/set/mtu,1400
shows '.mtu == 1400'
[ "$(in_ns "$NS_A" cat /sys/class/net/vnet0/mtu)" = 1400 ] || fail "the interface's MTU"
changed /vubridge/set/mac,02:00:00:00:00:77
shows '.mac == "02:00:00:00:00:77"'
[ "$(in_ns "$NS_A" cat /sys/class/net/vnet0/address)" = 02:00:00:00:00:77 ] || fail "the interface's address"
in_ns "$NS_B" ip neigh flush dev vnet0
pair_ping
changed /vubridge/set/queues,1
shows '.queues.active == 1'
pair_ping
changed /vubridge/set/poll,busy
shows '.workers.poll == "busy"'
changed /vubridge/set/poll,adaptive
changed /vubridge/set/idle-us,7
shows '.workers | .poll == "adaptive" and .idle_us == 7'
changed /vubridge/set/log-level,debug
shows '.log_level == "debug"'
told '.mtu == 1400'
told '.mac == "02:00:00:00:00:77"'
told '.queues.active == 1'
told '.workers.poll == "busy"'
told '.log_level == "debug"'

changed /vubridge/link,down
shows '.carrier.on == false and .carrier.reason == "link set down" and .link == "down"'
wait_carrier "$NS_A" vnet0 down
! ping_ok "$NS_A" 10.0.0.2 || fail "frames pass while the link is down"
# also through a reconnect, and the number of queues too
changed /vubridge/reconnect
shows '.backend.connects == 2 and .state == "connected" and .carrier.on == false and .queues.active == 1'
told '.backend.connects == 2'
changed /vubridge/link,up
wait_carrier "$NS_A" vnet0 up
pair_ping
told '.link == "down" and .carrier.reason == "link set down"'
told '.carrier.on and .carrier.reason == null'
changed /vubridge/set/queues,2
shows '.queues.active == 2'

refused "^mtu '9': must be a whole number from 68" /vubridge/set/mtu,9
refused "^mtu '': must be" /vubridge/set/mtu
refused "^mac 'x': must be a unicast address" /vubridge/set/mac,x
refused "^queues '3': must be at most 2 \(--queues\)" /vubridge/set/queues,3
refused "^queues '0': must be a whole number" /vubridge/set/queues,0
refused "^poll 'often': must be one of adaptive, busy" /vubridge/set/poll,often
refused "^log-level 'loud': must be one of" /vubridge/set/log-level,loud
refused "^idle-us '-1'" /vubridge/set/idle-us,-1
refused "^link 'left': must be one of up, down" /vubridge/link,left
refused "^link '': must be one of up, down" /vubridge/link
refused "must be a number below 2" /vubridge/stats,2
refused "there is no such command" /vubridge/set/nothing,1
pair_ping

# without the capability the MTU stays, the TAP's address does not need one
start plain ip netns exec "$NS_C" "$VUBRIDGE" --path "$SOCK_A" --iface "$iface" --control "$TMP/plain.control"
wait_until 5 test -S "$TMP/plain.control" || fail "no socket"
python3 "$client" "$TMP/plain.control" ask /vubridge/set/mtu,1400 /vubridge/set/mac,02:00:00:00:00:78 >"$TMP/plain.txt"
jq -se '(.[0].error | test("no permission .*--keep-caps")) and .[1]["/vubridge/set/mac"]' "$TMP/plain.txt" >/dev/null ||
  fail "without capabilities: $(cat "$TMP/plain.txt")"
[ "$(in_ns "$NS_C" cat "/sys/class/net/$iface/address")" = 02:00:00:00:00:78 ] || fail "the TAP's address"
stop "${PID[plain]}"

# ---- clients of every kind ----

# watch is one of the ten
mkfifo "$TMP/hold.in"
python3 "$client" "$ctl" hold 12 <"$TMP/hold.in" >"$TMP/hold.log" 2>&1 &
LIB_PIDS+=("$!")
exec {HOLD}>"$TMP/hold.in"
wait_until 10 grep -q '^served 9$' "$TMP/hold.log" || fail "12 more clients: $(cat "$TMP/hold.log")"
exec {HOLD}>&-
wait_until 5 ask /info || fail "no client after the many"
for i in 1 2 3; do start "flood$i" python3 "$client" "$ctl" flood; done
for i in 1 2 3; do wait_until 10 grep -q stuck "$TMP/flood$i.log" || fail "a flood does not get stuck"; done
for i in 1 2 3; do ask "/vubridge/show" >/dev/null || fail "slow clients stall others"; done
ping_ok "$NS_A" 10.0.0.2 -c 20 || fail "slow clients stall frames"
stop "${PID[peer]}" KILL
wait_carrier "$NS_A" vnet0 down 1
cross_start --queues 2
pair_wait up
for i in 1 2 3; do stop "${PID[flood$i]}"; done

start deaf python3 "$client" "$ctl" deaf
wait_until 5 grep -q deaf "$TMP/deaf.log" || fail "no deaf client"
# shellcheck disable=SC2046 # words are wanted
ask $(for ((i = 0; i < 600; i++)); do echo "/vubridge/set/idle-us,$i"; done) >/dev/null
grep -q 'dropped a client of the control socket' "$TMP/va.log" || fail "a deaf client is kept for ever"
alive "${PID[watch]}" || fail "the good client was dropped with it"

for seed in 1 2 3; do
  python3 "$client" "$ctl" noise $seed | grep -q '"pid": '"${PID[va]}" || fail "noise $seed"
done
pair_ping
log "the control socket: DPDK's tool, permissions, changes, events, slow clients"
