#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 120
#
# A tour of vubctl: each verb as text and as JSON, with good and bad arguments, for one
# vubridge, for two of the same name, and for none. In a /run/dpdk of its own.
#
#   ns a                                                  ns b
#   vnet0 ── vubridge ── $SOCK_A ── backend ── $SOCK_B ── vubridge ── vnet0
#   "vnet0"                                               "vnet0:1"
if [ "$(id -u)" = 0 ] && [ -z "${VUBCTL_UNSHARED:-}" ]; then
  VUBCTL_UNSHARED=1 exec unshare --mount "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"
need_root
need jq jq
need python3 python3
need script util-linux
mkdir -p /run/dpdk
mount -t tmpfs none /run/dpdk
export TZ=UTC
unset XDG_RUNTIME_DIR NO_COLOR

ctl() { "$VUBCTL" "$@"; }
# gives PATTERN ARGUMENT…: status 0, nothing on stderr, and a line like that
gives() {
  local pattern=$1
  shift
  ctl "$@" >"$TMP/out" 2>"$TMP/err" || fail "vubctl $*: status $?: $(cat "$TMP/err")"
  [ ! -s "$TMP/err" ] || fail "vubctl $*: $(cat "$TMP/err")"
  grep -qE -- "$pattern" "$TMP/out" || fail "vubctl $* has no line like '$pattern': $(cat "$TMP/out")"
}
# json FILTER ARGUMENT…: what jq makes of the answer is true
json() {
  local filter=$1
  shift
  ctl -j "$@" >"$TMP/out" || fail "vubctl -j $*: status $?"
  jq -e "$filter" <"$TMP/out" >/dev/null || fail "vubctl -j $*: not $filter: $(cat "$TMP/out")"
}
# refused STATUS PATTERN ARGUMENT…: one line on stderr, nothing on stdout
refused() {
  local want=$1 pattern=$2 status=0
  shift 2
  ctl "$@" >"$TMP/out" 2>"$TMP/err" </dev/null || status=$?
  [ "$status" = "$want" ] || fail "vubctl $*: status $status, not $want: $(cat "$TMP/out" "$TMP/err")"
  [ "$(wc -l <"$TMP/err")" = 1 ] || fail "vubctl $*: not one line: $(cat "$TMP/err")"
  [ ! -s "$TMP/out" ] || fail "vubctl $* printed: $(cat "$TMP/out")"
  grep -qE -- "^vubctl: $pattern" "$TMP/err" || fail "vubctl $* said: $(cat "$TMP/err")"
}

# ---- nobody there, and what needs nobody ----

refused 1 'no vubridge with a control socket runs here$'
refused 1 'no vubridge with a control socket runs here$' stats
refused 1 'no vubridge with a control socket runs here$' -j monitor
refused 1 'no vubridge with a control socket runs here$' metrics
refused 1 'no vubridge with a control socket runs here$' link up
refused 1 'no vubridge with a control socket runs here$' capture "$TMP/file"
refused 1 'vnet0: no vubridge runs for it$' -i vnet0 show
refused 1 "$TMP/none: no vubridge runs there$" -i "$TMP/none" show
refused 1 "$TMP/none: no vubridge runs there$" -i "$TMP/none" set mtu 1400
gives '^vubctl [^ ]+$' version
json '.vubctl and .vubridge == []' version
gives '^vubctl [^ ]+$' -V
for word in help -h --help he; do gives '^Usage: vubctl ' $word; done
for verb in show stats set link monitor reconnect metrics capture version; do
  gives "^  $verb" help
  gives "^  $verb" help $verb
done
refused 2 "help 'frob': no such verb" help frob
refused 2 "'frob': no such verb, see help" frob
refused 2 "'': no such verb" ''
refused 2 '--frob: unknown option' --frob
refused 2 '-x: unknown option' -x show
refused 2 '-\+: unknown option' -+ show
refused 2 '-:: unknown option' -: show
refused 2 '-i: needs a value' -i
refused 2 '-i: needs a value' --interface
refused 2 '-o: unknown option' -json show # it is no iproute2, and says which letter it does not know
refused 2 '--json=x: takes no value' --json=x show
refused 2 '-i: needs a name' -i ''
refused 2 "-c 'blue': must be always, never or auto" -c=blue show
refused 2 "show 'vnet0': takes nothing" show vnet0
refused 2 "monitor 'x': takes nothing" monitor x
refused 2 "reconnect 'x': takes nothing" reconnect x
refused 2 "version 'x': takes nothing" version x
refused 2 "metrics 'x': takes nothing" metrics x
refused 2 'metrics: has no JSON' -j metrics
refused 2 'set: takes what to set' set
refused 2 'set mtu: needs a value' set mtu
refused 2 'set queues: needs a value' set mtu 1400 queues
refused 2 "set 'colour': must be one of mac, mtu" set colour blue
refused 2 'capture -: leaves no place for JSON' -j capture -
refused 2 'link: takes up or down' link
refused 2 'link: takes up or down' link sideways
refused 2 "stats 'x': takes -w" stats x
refused 2 "stats -w '0': must be seconds" stats -w 0
refused 2 "stats -w 'x': must be seconds" stats -w x
refused 2 "stats -n '0': must be a number" stats -w -n 0
refused 2 'stats -n: needs -w' stats -n 3

# ---- one ----

cross_start --queues 2
CONTROL=default
pair_start --queues 2 --keep-caps
pair_wait up
pair_ping
wait_until 5 test -S /run/dpdk/vubridge-vnet0/dpdk_telemetry.v2:1 || fail "no two sockets"
mac=$(in_ns "$NS_A" cat /sys/class/net/vnet0/address)
# which of the two was first
if [ "$(ctl -j -i vnet0:1 show | jq -r '.[0].mac')" = "$mac" ]; then a=vnet0:1 b=vnet0:0; else a=vnet0:0 b=vnet0:1; fi
number=${a#vnet0}
a_path=/run/dpdk/vubridge-vnet0/dpdk_telemetry.v2${number#:0}

for i in $a_path /run/dpdk/../dpdk/vubridge-vnet0/${a_path##*/}; do
  gives "^[0-9]+: vnet0: <UP> tap $mac mtu 1500$" -i $i
  for verb in show sho s; do gives "^[0-9]+: vnet0: <UP> tap $mac mtu 1500$" -i $i $verb; done
done
gives '^    carrier on since 20[0-9-]+ [0-9:]+ \([0-9]+s\)$' -i $a_path show
gives "^    backend $SOCK_A vhost-user connected since .* connects 1$" -i $a_path show
gives '^    queues 2 of 2, 2 by the backend, size 4096$' -i $a_path show
gives '^    workers 2 io uring poll adaptive idle-us 50$' -i $a_path show
gives '^    offloads rx CSUM TSO4 ' -i $a_path show
gives '^             tx CSUM TSO4 ' -i $a_path show
gives '^    features CSUM .* VERSION_1' -i $a_path show
gives '^    offload auto merge on log-level info$' -i $a_path show
json 'length == 1 and .[0].interface == "vnet0" and .[0].carrier.on and (.[0] | has("stats") | not)' -i $a_path show
json '.[0].stats.queues | length == 2' -s -i $a_path show
gives '^    frames  .*[1-9]' -s -i $a_path show
# -p is the same, for people
[ "$(ctl -j -i $a_path show | jq -c .)" = "$(ctl -j -p -i $a_path show | jq -c .)" ] || fail "-p"
[ "$(ctl -j -p -i $a_path show | wc -l)" -gt 20 ] || fail "-p is not for people"
[ "$(ctl -j -i $a_path show | wc -l)" = 1 ] || fail "-j is more than one line"
gives "^vnet0:0: vubridge [^ ]+, process [0-9]+$" version

# colours: when asked for, on a terminal, or always
! ctl -i $a_path show | grep -q $'\033' || fail "colours without being asked for"
! ctl -c=auto -i $a_path show | grep -q $'\033' || fail "-c=auto colours what is no terminal"
ctl -c -i $a_path show | grep -q $'carrier \033\\[32mon' || fail "-c alone, as ip's, is always"
ctl -c=always -i $a_path show | grep -q $'carrier \033\\[32mon' || fail "-c=always"
ctl --color=always -i $a_path show | grep -q $'\033' || fail "--color=always"
on_terminal() { TERM=xterm script -qec "$*" /dev/null </dev/null; }
on_terminal "$VUBCTL" -c=auto -i $a_path show | grep $'\033\\[32mon' >/dev/null || fail "-c=auto on a terminal"
! NO_COLOR=1 on_terminal "$VUBCTL" -c=auto -i $a_path show | grep $'\033' >/dev/null || fail "NO_COLOR"
! on_terminal "$VUBCTL" -c=never -i $a_path show | grep $'\033' >/dev/null || fail "-c=never"

# ---- two ----

# each by the name that -i takes
for name in vnet0:0 vnet0:1; do
  [ "$(ctl show | grep -c "^[0-9]*: $name: ")" = 1 ] || fail "show does not show $name: $(ctl show)"
  gives "^[0-9]+: $name: " -i $name show
  gives "^$name: vubridge " -i $name version
  gives "^$name\$" -i $name stats
  gives "^vubridge_info.interface=\"$name\"" -i $name metrics
done
json 'length == 2' show
json 'length == 2' -i vnet0 show
json 'length == 1' -i vnet0:1 show
json 'length == 2 and .[0].queues[1].queue == 1' stats
refused 1 'vnet: no vubridge runs for it' -i vnet show
refused 1 'vnet0:2: no vubridge runs for it' -i vnet0:2 show
for change in 'set mtu 1400' 'link down' reconnect 'capture file'; do
  # shellcheck disable=SC2086 # words are wanted
  refused 2 'several run \(vnet0:0, vnet0:1\): say which by -i' $change
done
a_name=$a
json 'length == 1' -i vnet0:0 show
[ "$(ctl -j -i $a_name show | jq -r '.[0].mac')" = "$mac" ] || fail "-i $a_name is another one"
a() { ctl -i $a_path "$@"; }

# ---- stats ----

a stats >"$TMP/stats.txt"
for name in frames bytes kicks calls 'drop refused' 'drop stale'; do
  [ "$(grep -c "^    $name  " "$TMP/stats.txt")" = 3 ] || fail "stats: $name is not there for all and each queue"
done
grep -qE '^  drop overflow +0$' "$TMP/stats.txt" || fail "stats: no overflow"
grep -qE '^  worker 1 sleeps +[0-9]+$' "$TMP/stats.txt" || fail "stats: no sleeps"
json '.[0] | (.queues | map(.rx.frames) | add) > 0 and .bridge.drops.overflow == 0' -i $a_path stats
json '.[0].workers[1].sleeps > 0' -i $a_path stats
# every drop has its reason: the interface is down when frames come
ip -n "$NS_B" neigh replace 10.0.0.1 lladdr "$mac" nud permanent dev vnet0
ip -n "$NS_A" link set vnet0 down
in_ns "$NS_B" ping -q -c 3 -i 0.05 -W 0.1 10.0.0.1 >/dev/null || true
json '.[0].queues | map(.rx.drops.iface_down) | add >= 3' -i $a_path stats
gives '^[0-9]+: vnet0: <DOWN> ' -i $a_path show
address "$NS_A" vnet0 fd00::1/64
ip -n "$NS_B" neigh del 10.0.0.1 dev vnet0
pair_wait up
# live: as many pictures as asked for, with rates; on a terminal over the last one
start pings ip netns exec "$NS_A" ping -q -i 0.01 10.0.0.2
ctl -i $a_path stats -w 0.3 -n 3 >"$TMP/live.txt"
[ "$(grep -c '^vnet0$' "$TMP/live.txt")" = 3 ] || fail "stats -w: $(cat "$TMP/live.txt")"
grep -qE '^    frames +[0-9]+ +[1-9][0-9]*/s +[0-9]+ +[1-9][0-9]*/s$' "$TMP/live.txt" ||
  fail "no rates: $(cat "$TMP/live.txt")"
[ "$(ctl -j -i $a_path stats -w 0.2 -n 2 | jq -s length)" = 2 ] || fail "stats -w -j"

# in a terminal: all that matters fits, without what is 0, and leaves the screen as it was
terminal() {
  python3 "$LIB_DIR/terminal.py" "$@" >"$TMP/terminal.txt" || fail "terminal $*: $(cat "$TMP/terminal.txt")"
}
alternate() { sed '/^-----/,$d' "$TMP/terminal.txt"; }
ordinary() { sed '1,/^-----/d' "$TMP/terminal.txt"; }
# pictured PATTERN
pictured() { alternate | grep -qE "$1" || fail "no '$1' in the live view: $(cat "$TMP/terminal.txt")"; }
rate='[0-9]+(\.[0-9]+)?[KMG]?/s'
terminal 24 80 -- "$VUBCTL" -i $a_path stats -w 0.3 -n 3
[ "$(alternate | wc -l)" -le 24 ] || fail "more lines than the terminal has"
[ "$(alternate | head -n 1)" = vnet0 ] || fail "it does not begin with the interface"
pictured '^  all queues +rx +tx$'
pictured "^    frames +[0-9]+ +$rate +[0-9]+ +$rate\$"
! alternate | grep -E '^ .* 0( +0/s)? +0( +0/s)?$' || fail "rows of nothing but 0"
ordinary | grep -q '^  all queues ' || fail "the last picture is gone with the view"
# smaller: what counts comes first, and the rest is told of; narrow: rates alone
terminal 8 80 -- "$VUBCTL" -i $a_path stats -w 0.3 -n 2
pictured '^  all queues'
pictured '^\([0-9]+ lines more: '
terminal 24 50 -- "$VUBCTL" -i $a_path stats -w 0.3 -n 2
pictured "^    frames +$rate +$rate\$"
terminal 2 10 -- "$VUBCTL" -i $a_path stats -w 0.3 -n 2
terminal 1 1 -- "$VUBCTL" -i $a_path stats -w 0.3 -n 2
# it follows the terminal's size at once, and a signal ends it, with nothing left behind
terminal 8 50 --then 50 80 --end INT -- "$VUBCTL" -i $a_path stats -w 60
! alternate | grep 'lines more' || fail "it does not follow the size: $(cat "$TMP/terminal.txt")"
pictured '^  queue 1 +rx +tx$'
terminal 24 80 --stop --end TERM -- "$VUBCTL" -i $a_path stats -w 0.2
pictured '^  all queues'
# an error is seen when the screen is the ordinary one again
start going ip netns exec "$NS_A" "$VUBRIDGE" --path "$SOCK_A.none" --iface going --control "$TMP/going.control"
wait_until 5 test -S "$TMP/going.control" || fail "no control socket"
# while that hangs, for which it would wait 10 seconds, a signal is heeded all the same
kill -STOP "${PID[going]}"
for signal in INT TERM HUP; do
  terminal 24 80 --end $signal -- timeout 5 "$VUBCTL" -i "$TMP/going.control" stats -w 0.2
  ! ordinary | grep . || fail "it was ended by SIG$signal and says $(ordinary)"
done
terminal 24 80 --stop --end INT -- "$VUBCTL" -i "$TMP/going.control" stats -w 0.2
kill -CONT "${PID[going]}"
{ sleep 1 && kill -TERM "${PID[going]}"; } &
status=0
python3 "$LIB_DIR/terminal.py" 24 80 -- "$VUBCTL" -i "$TMP/going.control" stats -w 0.2 >"$TMP/terminal.txt" || status=$?
wait $!
[ "$status" = 1 ] || fail "it ends with $status when the vubridge has: $(cat "$TMP/terminal.txt")"
ordinary | grep -q '^vubctl: .*going' || fail "no error is left to be seen: $(cat "$TMP/terminal.txt")"
stop "${PID[going]}"
stop "${PID[pings]}"

# ---- monitor ----

start monitor "$VUBCTL" -i $a_path monitor
start monitor-json "$VUBCTL" -j monitor
wait_until 5 sh -c "[ \$(wc -l <'$TMP/monitor-json.log') = 2 ]" || fail "monitor -j does not begin with both states"
jq -se 'map(.carrier.on) == [true, true]' "$TMP/monitor-json.log" >/dev/null || fail "$(cat "$TMP/monitor-json.log")"
# a subscription is told after it has begun: until something is heard, say something
heard() { a set idle-us "$((RANDOM % 1000))" && grep -q idle-us "$TMP/monitor.log"; }
wait_until 5 heard || fail "monitor: $(cat "$TMP/monitor.log")"

# ---- set, link, reconnect ----

has() { json ".[0] | $1" -i $a_path show; }
a set mtu 1400 || fail "set mtu"
has '.mtu == 1400'
a set mtu 1500 queues 1 poll busy log debug || fail "several settings, shortened"
has '.mtu == 1500 and .queues.active == 1 and .workers.poll == "busy" and .log_level == "debug"'
gives '^    queues 1 of 2, 2 by the backend' -i $a_path show
a se q 2 po adaptive id 20 mac 02:00:00:00:00:79
has '.queues.active == 2 and .workers.idle_us == 20 and .mac == "02:00:00:00:00:79"'
refused 1 "vnet0.*: mtu '9': must be a whole number from 68 to 65521" -i $a_name set mtu 9
refused 1 "vnet0.*: queues '3': must be at most 2" -i $a_name set queues 3
refused 1 "vnet0.*: mac 'ff:ff:ff:ff:ff:ff': must be a unicast" -i $a_name set mac ff:ff:ff:ff:ff:ff
# until the first that is refused
refused 1 "vnet0.*: poll 'x'" -i $a_name set idle-us 30 poll x idle-us 40
has '.workers.idle_us == 30'
a li down || fail "link down"
wait_carrier "$NS_A" vnet0 down
gives '^    carrier off since .*: link set down$' -i $a_path show
a link up
wait_carrier "$NS_A" vnet0 up
in_ns "$NS_B" ip neigh flush dev vnet0
pair_ping
a rec || fail "reconnect"
wait_until 5 sh -c "'$VUBCTL' -j -i $a_path show | jq -e '.[0].backend.connects == 2' >/dev/null" || fail "reconnect"
pair_wait up

for line in ': mtu 1400$' ': carrier off \(link set down\)$' ': carrier on$' ': queues 1 of 2$' \
  ': poll busy$' ': log-level debug$' ": backend $SOCK_A disconnected$" \
  ": backend $SOCK_A connected$" ': link down$'; do
  wait_until 5 grep -qE "^20[0-9-]+ [0-9:]+ [^ ]+$line" "$TMP/monitor.log" ||
    fail "monitor has no $line: $(cat "$TMP/monitor.log")"
done
[ -z "$(grep -n "$SOCK_B" "$TMP/monitor.log")" ] || fail "monitor -i tells of another one"
jq -se '[.[2:][] | select(.carrier)] | length >= 2 and all(.[]; .daemon and .time)' \
  "$TMP/monitor-json.log" >/dev/null ||
  fail "monitor -j: $(cat "$TMP/monitor-json.log")"

# ---- metrics ----

wait_until 5 ping_ok "$NS_A" 10.0.0.2 || fail "ping"
ctl metrics >"$TMP/metrics.txt" || fail "metrics"
python3 "$LIB_DIR/openmetrics.py" --self-test "$TMP/metrics.txt" || fail "the checker misses mistakes"
python3 "$LIB_DIR/openmetrics.py" "$TMP/metrics.txt" >"$TMP/metrics.json" || fail "$(cat "$TMP/metrics.txt")"
jq -e --arg a $a --arg b $b '
  .["vubridge_frames_total{interface=\($a),queue=0,direction=rx}"] > 0 and
  .["vubridge_frames_total{interface=\($b),queue=1,direction=tx}"] != null and
  .["vubridge_drops_total{interface=\($a),queue=0,direction=rx,reason=iface_down}"] != null and
  .["vubridge_drops_total{interface=\($a),direction=tx,reason=overflow}"] >= 0 and
  .["vubridge_sleeps_total{interface=\($a),worker=1}"] > 0 and
  .["vubridge_connects_total{interface=\($a)}"] == 2 and
  .["vubridge_carrier{interface=\($b)}"] == 1 and
  .["vubridge_mtu_bytes{interface=\($b)}"] == 1500' "$TMP/metrics.json" >/dev/null || fail "$(cat "$TMP/metrics.txt")"
# what the manual page names is there, and the other way round
sed -n '/BEGIN COUNTERS/,/END GAUGES/s/^\.It Cm //p' "${top_srcdir:-$LIB_DIR/../..}/man/vubridge.8" |
  sort >"$TMP/in-manual"
{
  sed -nE 's/^# TYPE vubridge_([a-z_]+) .*/\1/p' "$TMP/metrics.txt" | grep -vx drops
  grep -oE 'reason="[a-z_]+' "$TMP/metrics.txt" | sed 's/.*"//' | sort -u
} | sort >"$TMP/in-metrics"
diff "$TMP/in-manual" "$TMP/in-metrics" || fail "the manual page (<) and the metrics (>) differ"

# ---- who may not, and who goes ----

nobody=$(id -u nobody) nogroup=$(id -g nobody)
as_nobody() { setpriv --reuid "$nobody" --regid "$nogroup" --clear-groups "$TMP/vubctl" -i $a_path "$@"; }
cp "$VUBCTL" "$TMP/vubctl"
chmod 755 "$TMP"
! as_nobody show >"$TMP/out" 2>"$TMP/err" || fail "nobody may look"
grep -q 'no permission; be root' "$TMP/err" || fail "nobody: $(cat "$TMP/err")"
chgrp "$nogroup" $a_path
as_nobody show | grep -q 'vnet0' || fail "the group may not look"
status=0
as_nobody set mtu 1400 2>"$TMP/err" || status=$?
[ $status = 1 ] && grep -q 'vubctl: .*: no permission: only root' "$TMP/err" || fail "the group may change: $status"
stop "${PID[va]}"
wait_until 5 ended "${PID[monitor]}" || fail "monitor does not end with its vubridge"
wait "${PID[monitor]}" && fail "monitor ended with status 0"
grep -q 'the connection has ended' "$TMP/monitor.log" || fail "monitor: $(cat "$TMP/monitor.log")"
alive "${PID[monitor-json]}" || fail "monitor ended though one is left"
# what a dead one leaves counts for nothing
stop "${PID[vb]}" KILL
[ -n "$(find /run/dpdk -type s)" ] || fail "no stale socket to test with"
refused 1 'no vubridge with a control socket runs here$' show
log "vubctl: each verb, text and JSON, for one, two and none"
