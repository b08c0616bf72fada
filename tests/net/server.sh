#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 200
#
# Server mode: vubridge listens, the backend connects, leaves and comes back.
#
#   the laboratory of pair.sh, with the test peer as a client of both sockets
#
# FLOOD: how many connect and go; 10,000
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"
need_root
need python3 python3

client_start() { start "$1" "$VU_PEER" --client --socket "$SOCK_A" --socket "$SOCK_B" "${@:2}"; }
inode() { stat -c %i "$1"; }

pair_start --server --socket-mode 0660 --socket-group 0
[ "$(stat -c '%a %g' "$SOCK_A")" = '660 0' ] || fail "mode and group: $(stat "$SOCK_A")"
grep -q 'listening for the backend' "$TMP/va.log" || fail "it does not say that it listens"
client_start peer
pair_wait up
pair_ping
pair_neighbours
transfer "$NS_A" "$NS_B" 10.0.0.2 50

# a second backend is refused, and logged once; the first one notices nothing
start second "$VU_PEER" --client --socket "$SOCK_A" --mode sink
wait_until 5 grep -q 'refused a second backend' "$TMP/va.log" || fail "a second backend"
wait_until 5 sh -c "[ \$(grep -c '^disconnected' '$TMP/second.log') -ge 3 ]" || fail "it was not cut off"
[ "$(log_lines va 'refused a second backend')" = 1 ] || fail "refusals: $(cat "$TMP/va.log")"
stop "${PID[second]}"
pair_ping
[ "$(log_lines va 'carrier off')" = 0 ] || fail "the first backend was disturbed"

# it leaves and comes back, at once or later, with other features each time
for features in '' '--no-feature MRG_RXBUF' '--no-feature VERSION_1' '--no-feature GUEST_TSO4'; do
  before=$(fds "${PID[va]}")
  stop "${PID[peer]}" KILL
  pair_wait down
  # shellcheck disable=SC2086
  client_start peer $features
  pair_wait up
  pair_ping
  [ "$(fds "${PID[va]}")" = "$before" ] || fail "descriptors leak"
done
wait_until 2 grep -q 'other features than last time: with .*, without ' "$TMP/va.log" ||
  grep -q 'other features than last time' "$TMP/va.log" || fail "a difference was not logged"

# a replacement that connects while the old one dies is not refused
start next "$VU_PEER" --client --socket "$SOCK_A" --socket "$SOCK_B"
sleep 0.3
stop "${PID[peer]}" KILL
pair_wait up
wait_until 5 ping_ok "$NS_A" 10.0.0.2 || fail "the replacement"
stop "${PID[next]}"
pair_wait down

# 10,000 (FLOOD) that connect and go, within a minute: it lives, and serves the next one; and when one
# is connected it notices nothing of as many others
cat >"$TMP/flood.py" <<'PY'
import socket, sys, time
start = time.monotonic()
for i in range(int(sys.argv[2])):
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    try:
        if i % 3 == 0:
            s.send(b"\0" * 12)
    except OSError:
        pass
    s.close()
took = time.monotonic() - start
print("%s connections in %.1f s" % (sys.argv[2], took))
sys.exit(took > 60)
PY
flood() {
  python3 "$TMP/flood.py" "$SOCK_A" "${FLOOD:-10000}" >"$TMP/flood.log" || fail "10,000 a minute"
  log "$(tail -n 1 "$TMP/flood.log")"
  alive "${PID[va]}" || fail "the daemon has ended"
}
# AddressSanitizer keeps what was freed for a while
[ "${SANITIZERS:-no}" = no ] || RSS_SLACK_KB=300000
memory=$(rss_kb "${PID[va]}")
flood
client_start peer
pair_wait up 20
wait_until 10 ping_ok "$NS_A" 10.0.0.2 || fail "after the flood"
offs=$(log_lines va 'carrier off')
flood
wait_until 10 ping_ok "$NS_A" 10.0.0.2 || fail "after the second flood"
[ "$(log_lines va 'carrier off')" = "$offs" ] || fail "the flood cost the carrier"
[ "$(fds "${PID[va]}")" = "$before" ] || fail "descriptors leak: $before, $(fds "${PID[va]}")"
[ "$(rss_kb "${PID[va]}")" -lt $((memory + ${RSS_SLACK_KB:-1024})) ] || fail "memory leaks"
[ "$(wc -l <"$TMP/va.log")" -lt 60 ] || fail "a line for each: $(wc -l <"$TMP/va.log")"

# ---- the socket file ----
first=$(inode "$SOCK_A")
status=0
in_ns "$NS_B" "$VUBRIDGE" --path "$SOCK_A" --server --iface v9 2>"$TMP/other" || status=$?
[ "$status" = 1 ] || fail "a live socket: status $status"
grep -q 'another vubridge listens there' "$TMP/other" || fail "$(cat "$TMP/other")"
[ "$(wc -l <"$TMP/other")" = 1 ] || fail "not one line: $(cat "$TMP/other")"
[ "$(inode "$SOCK_A")" = "$first" ] || fail "a live socket was replaced"
ip -n "$NS_B" link show v9 2>/dev/null && fail "v9 was left behind"

# one that was killed leaves its socket, and the next one takes its place
stop "${PID[va]}" KILL
[ -S "$SOCK_A" ] || fail "no stale socket to test with"
if is_veth; then
  carrier_is "$NS_A" vnet0 up || fail "the killed one's interface is gone"
else
  wait_until 5 sh -c "! ip -n '$NS_A' link show vnet0" || fail "the killed one's interface stays"
fi
start_vubridge va2 "$NS_A" --path "$SOCK_A" --server --iface vnet0
wait_iface "$NS_A" vnet0
is_veth || address "$NS_A" vnet0 10.0.0.1/24 fd00::1/64
wait_until 10 grep -q 'carrier on' "$TMP/va2.log" || fail "no carrier after a stale socket"
pair_wait up
wait_until 10 ping_ok "$NS_A" 10.0.0.2 || fail "after a stale socket"

# at the end nothing is left
stop "${PID[va2]}"
stop "${PID[vb]}"
[ ! -e "$SOCK_A" ] && [ ! -e "$SOCK_A.lock" ] && [ ! -e "$SOCK_B" ] || fail "left behind: $(ls "$TMP")"

# a socket that someone else listens on, and one that was handed over
python3 - "$TMP/theirs" <<'PY' &
import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
time.sleep(60)
PY
LIB_PIDS+=("$!")
wait_until 5 test -S "$TMP/theirs"
status=0
in_ns "$NS_A" "$VUBRIDGE" --path "$TMP/theirs" --server --iface v9 2>"$TMP/other" || status=$?
[ "$status" = 1 ] && grep -q 'another process listens there' "$TMP/other" || fail "$(cat "$TMP/other")"
[ -S "$TMP/theirs" ] || fail "somebody else's socket was removed"

cat >"$TMP/activate.py" <<'PY'
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
os.dup2(s.fileno(), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.set_inheritable(3, True)
os.execv(sys.argv[2], sys.argv[2:])
PY
start activated ip netns exec "$NS_A" python3 "$TMP/activate.py" "$TMP/given" "$VUBRIDGE" \
  --path "$TMP/given" --server --iface vnet0
wait_iface "$NS_A" vnet0
ip -n "$NS_A" link set vnet0 up
start apeer "$VU_PEER" --client --socket "$TMP/given" --mode sink
wait_carrier "$NS_A" vnet0 up
stop "${PID[activated]}"
[ -S "$TMP/given" ] || fail "a socket that was handed over was removed"
log "server mode"
