#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 90
#
# A file of options, read again at SIGHUP: what can be set while it runs is set, each of the rest
# is named, and a file with an error changes nothing. What a service manager is told meanwhile,
# and that its watchdog hears of a worker that hangs.
. "$(dirname "$0")/lib.sh"
need_root
need python3 python3
need jq jq

sock=$TMP/a.sock
conf=$TMP/vnet0.conf
ns_add a

# told PATTERN: the service manager was told so
told() { wait_until 5 grep -qE "$1" "$TMP/manager.log" || fail "not told: $1 ($(cat "$TMP/manager.log"))"; }
said_va() { wait_until 5 grep -qF -- "$1" "$TMP/va.log" || fail "no line: $1"; }
show() { "$VUBCTL" -i "$TMP/va.control" -j show | jq -r "if type == \"array\" then .[0] else . end | $1"; }
# reload: returns when it is done; the log has what was said of this one alone
reload() {
  local before
  before=$(grep -c READY=1 "$TMP/manager.log")
  : >"$TMP/va.log"
  kill -HUP "${PID[va]}"
  wait_until 5 eval "[ \$(grep -c READY=1 '$TMP/manager.log') -gt $before ]" || fail "the reload does not end"
}
# file LINE…
file() { printf '%s\n' '[vubridge]' "path = $sock" 'keep-caps' 'queues = 2' "$@" >"$conf"; }

start manager python3 "$LIB_DIR/notify.py" listen "$TMP/notify"
wait_until 5 grep -q ready "$TMP/manager.log" || fail "no manager"
start_peer peer --socket "$sock" --mode sink --queues 2
file 'mtu = 1400'
start va ip netns exec "$NS_A" env NOTIFY_SOCKET="$TMP/notify" WATCHDOG_USEC=2000000 "$VUBRIDGE" \
  --config "$conf" --control "$TMP/va.control" --idle-us 60

# ---- the start: the interface has the name of the file, the options are the file's ----

wait_iface "$NS_A" vnet0
told '^READY=1'
told "^STATUS=vnet0: carrier on, 2 of 2 queue pairs \\($sock\\)\$"
told '^WATCHDOG=1$'
ip -n "$NS_A" -o link show vnet0 | grep -q 'mtu 1400 ' || fail "the MTU is not the file's"

# ---- what can be set while it runs ----

file 'mtu = 1300' 'poll = busy' 'log-level = debug' 'mac = 02:00:00:00:00:77'
sed -i 's/queues = 2/queues = 1/' "$conf"
reload
ip -n "$NS_A" -o link show vnet0 | grep -q 'mtu 1300 .*02:00:00:00:00:77' || fail "MTU or MAC was not set"
for line in "mtu 1300, by $conf" "poll busy, by $conf" "log-level debug, by $conf" "queues 1, by $conf" \
  "mac 02:00:00:00:00:77, by $conf" "read $conf again"; do
  said_va "$line"
done
! grep -q restart "$TMP/va.log" || fail "something takes a restart: $(cat "$TMP/va.log")"
told '^RELOADING=1 \| MONOTONIC_USEC=[0-9]+$'
told "STATUS=vnet0: carrier on, 1 of 2 queue pairs"

# once more, and nothing is done; back to the defaults, where there are any
reload
said_va 'it says what it said before'
file
reload
said_va "poll adaptive, by $conf"
said_va "log-level info, by $conf"
said_va 'mtu (not in the file any more): takes a restart'
said_va 'mac (not in the file any more): takes a restart'
[ "$(log_lines va restart)" = 2 ] || fail "not two lines: $(cat "$TMP/va.log")"

# ---- what cannot ----

file 'queue-size = 512' 'persist = 1' 'io = plain' 'idle-us = 70' 'control-group = no such group' 'mtu = 1350'
sed -i 's/queues = 2/queues = 3/' "$conf"
reload
said_va "$conf:4: queues '3': must be at most 2 (--queues); it takes a restart"
said_va "$conf:5: queue-size: takes a restart"
said_va "$conf:6: persist: takes a restart"
said_va "$conf:7: io: takes a restart"
said_va "$conf:8: idle-us: the command line says otherwise"
said_va "$conf:9: control-group: takes a restart"
said_va "mtu 1350, by $conf"
[ "$(log_lines va restart)" = 5 ] || fail "not five lines: $(cat "$TMP/va.log")"
# it is not forgotten (and the log holds back no line that is a second old)
sleep 1.2
reload
[ "$(log_lines va restart)" = 5 ] || fail "not five lines again: $(cat "$TMP/va.log")"

# ---- errors change nothing ----

file 'mtu = 1200' 'nonsense'
reload
said_va "$conf:6: nonsense: unknown key, see vubridge.conf(5); nothing was changed"
rm "$conf"
reload
said_va "--config '$conf': No such file or directory; nothing was changed"
ip -n "$NS_A" -o link show vnet0 | grep -q 'mtu 1350 ' || fail "the MTU was changed by a file with an error"
[ "$(show .state)" != null ] || fail "it does not answer any more"

# ---- status and watchdog ----

stop "${PID[peer]}"
told "^STATUS=vnet0: no carrier, backend not connected \\($sock\\)\$"
start_peer peer --socket "$sock" --mode sink --queues 2
wait_until 5 grep -q 'carrier on' "$TMP/va.log" || fail "no carrier again"
pings() { grep -c '^WATCHDOG=1$' "$TMP/manager.log" || true; }
worker=$(worker_of "${PID[va]}")
: >"$TMP/hold.log"
start hold python3 "$LIB_DIR/notify.py" hold "$worker"
wait_until 5 grep -q held "$TMP/hold.log" || fail "cannot hold a thread: $(cat "$TMP/hold.log")"
sleep 1.5 # it was told before, perhaps
before=$(pings)
sleep 2.5
[ "$(pings)" = "$before" ] || fail "the watchdog hears nothing of a worker that hangs"
stop "${PID[hold]}" KILL
wait_until 5 eval "[ \$(grep -c '^WATCHDOG=1' '$TMP/manager.log') -gt $before ]" || fail "the watchdog is not fed again"

# ---- the end ----

kill -TERM "${PID[va]}"
wait "${PID[va]}" || fail "it ended with $?"
told '^STOPPING=1'

# without the right to change an interface
file 'mtu = 1400'
sed -i /keep-caps/d "$conf"
: >"$TMP/va.log"
start va ip netns exec "$NS_A" env NOTIFY_SOCKET="$TMP/notify" "$VUBRIDGE" --config "$conf" --control none
wait_until 5 grep -q 'carrier on' "$TMP/va.log" || fail "no carrier"
file 'mtu = 1300'
sed -i /keep-caps/d "$conf"
reload
said_va "$conf:4: mtu '1300': no permission ("
log "$(grep -c RELOADING "$TMP/manager.log") reloads"
