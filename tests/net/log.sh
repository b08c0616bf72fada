#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The log of a running daemon: fields for the journal, its level at run time, and one line of
# those that would come without end. The journal is a socket of this test's, in a /run/systemd
# of its own.
if [ "$(id -u)" = 0 ] && [ -z "${LOG_UNSHARED:-}" ]; then
  LOG_UNSHARED=1 exec unshare --mount "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
need_root
need python3 python3

sock=$TMP/a.sock
mkdir -p /run/systemd
mount -t tmpfs none /run/systemd
mkdir /run/systemd/journal

# Prints each entry of the journal's own protocol as "FIELD=value" on one line.
cat >"$TMP/journal.py" <<'PY'
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("/run/systemd/journal/socket")
print("ready", flush=True)
while True:
    print(s.recv(65536).decode().strip().replace("\n", " | "), flush=True)
PY
start journal python3 "$TMP/journal.py"
wait_until 5 grep -q ready "$TMP/journal.log" || fail "no journal"

# ---- fields ----

ns_add a
: >"$TMP/journalled.log"
start journalled ip netns exec "$NS_A" sh -c "JOURNAL_STREAM=\$(stat -L -c %d:%i /proc/self/fd/2) exec '$VUBRIDGE' \
  --path '$sock' --iface vnet0 --control '$TMP/journalled.control'"
start_peer peer --socket "$sock" --mode reflect --misbehave used-jump --misbehave-times 1
entry() { wait_until 5 grep -qE "$1" "$TMP/journal.log" || fail "no entry like $1: $(cat "$TMP/journal.log")"; }
common="SYSLOG_IDENTIFIER=vubridge \\| INTERFACE=vnet0 \\| SOCKET=$sock"
entry "^MESSAGE=vnet0: carrier on \\| PRIORITY=5 \\| $common\$"
address "$NS_A" vnet0 10.0.0.1/24
ip -n "$NS_A" neigh add 10.0.0.2 lladdr 02:00:00:00:00:01 dev vnet0
in_ns "$NS_A" ping -q -c 5 -i 0.1 -W 0.1 10.0.0.2 >/dev/null || true
entry "^MESSAGE=vnet0: rxq0: the backend broke the rules: .* \\| PRIORITY=4 \\| $common \\| QUEUE=rxq0\$"
kill -USR1 "${PID[journalled]}"
entry "^MESSAGE=vnet0: txq0: frames .* QUEUE=txq0\$"
stop "${PID[journalled]}"
entry "^MESSAGE=vnet0: ending on SIGTERM \\| PRIORITY=5 \\| $common\$"
[ ! -s "$TMP/journalled.log" ] || fail "it also wrote to standard error: $(cat "$TMP/journalled.log")"

# the journal is gone: the stream that it reads is left, with priorities
stop "${PID[journal]}"
rm /run/systemd/journal/socket
start orphan ip netns exec "$NS_A" sh -c "JOURNAL_STREAM=\$(stat -L -c %d:%i /proc/self/fd/2) exec '$VUBRIDGE' \
  --path '$sock' --iface vnet0 --control none"
wait_until 5 grep -q '^<5>vnet0: carrier on$' "$TMP/orphan.log" || fail "without a journal: $(cat "$TMP/orphan.log")"
stop "${PID[orphan]}"

# ---- the level, and repetitions ----

start_vubridge va "$NS_A" --path "$sock" --iface vnet0
wait_until 5 grep -q 'carrier on' "$TMP/va.log" || fail "no carrier"
reassert() {
  ip -n "$NS_A" link set vnet0 carrier off
  wait_until 2 carrier_is "$NS_A" vnet0 up || fail "the carrier was not put back"
}
ip -n "$NS_A" link set vnet0 up
reassert
sleep 0.3
! grep -q 'setting it again' "$TMP/va.log" || fail "a debug line at level info"
"$VUBCTL" -i "$TMP/va.control" set log-level debug
reassert
wait_until 2 grep -q 'setting it again' "$TMP/va.log" || fail "no debug line at level debug"
"$VUBCTL" -i "$TMP/va.control" set log-level info

mkfifo "$TMP/hold.in"
python3 "$LIB_DIR/telemetry.py" "$TMP/va.control" hold 10 <"$TMP/hold.in" >"$TMP/hold.log" 2>&1 &
LIB_PIDS+=("$!")
exec {HOLD}>"$TMP/hold.in"
wait_until 10 grep -q '^served 10$' "$TMP/hold.log" || fail "ten clients: $(cat "$TMP/hold.log")"
for ((i = 0; i < 20; i++)); do "$VUBCTL" -i "$TMP/va.control" version >/dev/null 2>&1 || true; done
wait_until 3 grep -qE 'closed a connection to the control socket: 10 are open \([0-9]+ times more\)$' "$TMP/va.log" ||
  fail "repetitions are not told: $(cat "$TMP/va.log")"
[ "$(log_lines va 'closed a connection')" -le 4 ] || fail "one line repeated: $(cat "$TMP/va.log")"
[ "$(log_times va 'closed a connection')" = 20 ] || fail "not 20 times: $(cat "$TMP/va.log")"
exec {HOLD}>&-
log "journal fields, level at run time, repetitions"
