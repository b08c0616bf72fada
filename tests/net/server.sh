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
need setpriv util-linux

client_start() { start "$1" "$VU_PEER" --client --socket "$SOCK_A" --socket "$SOCK_B" "${@:2}"; }
inode() { stat -c %i "$1"; }

# a group that is not ours, which the files would have anyway
pair_start --server --socket-mode 0660 --socket-group 4242
[ "$(stat -c '%a %u %g' "$SOCK_A")" = '660 0 4242' ] || fail "mode and group: $(stat "$SOCK_A")"
wait_until 5 grep -q 'listening for the backend' "$TMP/va.log" || fail "it does not say that it listens"
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

# It leaves and comes back, at once or later, with other features each time, or with none: each
# difference from the last connection is one line, whatever that one had.
# comes_back LINE ARGUMENT…: the differences, '' of none
comes_back() {
  local line=$1
  shift
  before=$(fds "${PID[va]}")
  stop "${PID[peer]}" KILL
  pair_wait down
  : >"$TMP/va.log"
  client_start peer "$@"
  pair_wait up
  pair_ping
  [ "$(fds "${PID[va]}")" = "$before" ] || fail "descriptors leak"
  [ "$(grep 'than last time' "$TMP/va.log")" = "${line:+vnet0: other features than last time: $line}" ] ||
    fail "not '$line': $(cat "$TMP/va.log")"
}
comes_back ''
comes_back 'without MRG_RXBUF' --no-feature MRG_RXBUF
comes_back 'with MRG_RXBUF ANY_LAYOUT, without VERSION_1 IN_ORDER' --no-feature VERSION_1
comes_back 'with VERSION_1 IN_ORDER, without GUEST_TSO4 ANY_LAYOUT' --no-feature GUEST_TSO4
none="$(grep -o 'descriptors, .*' "$TMP/va.log")"
none=${none#descriptors, }
comes_back "without $none; headers of 10 bytes instead of 12" --features 0x40000000
comes_back "with $none; headers of 12 bytes instead of 10" --no-feature GUEST_TSO4
comes_back 'with GUEST_TSO4'

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
memory=$(rss_kb "${PID[va]}")
flood
client_start peer
pair_wait up 20
wait_until 10 ping_ok "$NS_A" 10.0.0.2 || fail "after the flood"
offs=$(log_times va 'carrier off')
flood
wait_until 10 ping_ok "$NS_A" 10.0.0.2 || fail "after the second flood"
[ "$(log_times va 'carrier off')" = "$offs" ] || fail "the flood cost the carrier"
[ "$(fds "${PID[va]}")" = "$before" ] || fail "descriptors leak: $before, $(fds "${PID[va]}")"
[ "$(rss_kb "${PID[va]}")" -lt $((memory + ${RSS_SLACK_KB:-1024})) ] || fail "memory leaks"
[ "$(wc -l <"$TMP/va.log")" -lt 60 ] || fail "a line for each: $(wc -l <"$TMP/va.log")"

# ---- those who connect and say nothing hold up nobody, not even if they never stop coming ----
cat >"$TMP/silent.py" <<'PY'
import socket, sys, time
path, at_once, every = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
open_sockets = []
def add():
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    open_sockets.append(s)
for i in range(at_once):
    add()
print("silent", flush=True)
while True:
    time.sleep(every)
    add()
    del open_sockets[:-2000]
PY
# beside_silent NAME AT-ONCE EVERY: how long the backend takes to connect
beside_silent() {
  local since took
  stop "${PID[peer]}" KILL
  pair_wait down
  sleep 1.1 # a pause after a connection that has not lasted
  ups=$(log_lines va 'carrier on')
  : >"$TMP/$1.log"
  start "$1" python3 "$TMP/silent.py" "$SOCK_A" "$2" "$3"
  wait_until 5 grep -q silent "$TMP/$1.log" || fail "$1: $(cat "$TMP/$1.log")"
  since=${EPOCHREALTIME/[.,]/}
  client_start peer
  wait_until 8 sh -c "[ \$(grep -c 'carrier on' '$TMP/va.log') -gt $ups ]" || fail "$1: no carrier"
  took=$(((${EPOCHREALTIME/[.,]/} - since) / 1000))
  log "$1: the backend was there after $took ms"
  [ "$took" -lt 1500 ] || fail "$1: the backend was there after $took ms"
  stop "${PID[$1]}" KILL
}
beside_silent three 3 1000
beside_silent crowd 60 1000
beside_silent stream 100 0.005
pair_wait up
# and they are dropped when their time is over, with one line
stop "${PID[peer]}" KILL
pair_wait down
sleep 1.1
before=$(fds "${PID[va]}")
: >"$TMP/last.log"
start last python3 "$TMP/silent.py" "$SOCK_A" 5 1000
wait_until 5 grep -q silent "$TMP/last.log" || fail "last: $(cat "$TMP/last.log")"
wait_until 3 grep -q 'cannot use the backend.*GET_FEATURES: no answer in time' "$TMP/va.log" ||
  fail "silent ones are not dropped"
wait_until 3 sh -c "[ \$(find /proc/${PID[va]}/fd -mindepth 1 | wc -l) -le $before ]" ||
  fail "descriptors of silent ones leak"
[ "$(log_lines va 'GET_FEATURES: no answer in time')" -le 2 ] || fail "a line for each silent one"
stop "${PID[last]}" KILL
client_start peer
pair_wait up

# ---- the socket file ----
first=$(inode "$SOCK_A")
status=0
in_ns "$NS_B" timeout 5 "$VUBRIDGE" --path "$SOCK_A" --server --iface v9 2>"$TMP/other" || status=$?
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

# a killed one's TAP goes with it, a veth stays
after_kill() {
  ! is_veth || ip -n "$NS_A" link del vnet0
  wait_until 5 sh -c "! ip -n '$NS_A' link show vnet0" || fail "vnet0 stays"
}

# --user: socket and lock are his, so that he can remove them, or use them again
uid=$(id -u nobody)
chmod 755 "$TMP"
mkdir "$TMP/his" "$TMP/roots"
chown nobody "$TMP/his"
for dir in his roots; do
  start_vubridge "$dir" "$NS_A" --path "$TMP/$dir/s" --server --iface vnet0 --user nobody
  wait_until 5 grep -q 'listening for the backend' "$TMP/$dir.log" || fail "--server --user does not listen"
  [ "$(stat -c %u "$TMP/$dir/s" "$TMP/$dir/s.lock" | sort -u)" = "$uid" ] ||
    fail "socket and lock are not the user's: $(ls -ln "$TMP/$dir")"
  stop "${PID[$dir]}"
  wait_until 5 sh -c "! ip -n '$NS_A' link show vnet0" || fail "vnet0 stays"
done
[ -z "$(ls "$TMP/his")" ] || fail "left behind: $(ls "$TMP/his")"
[ "$(log_lines his 'stay behind')" = 0 ] || fail "what can be removed is said to stay"
# where he may not, they stay as the log has said, in nobody's way
[ "$(log_lines roots 'stay behind')" = 1 ] || fail "it does not say that they stay"
[ -S "$TMP/roots/s" ] && [ -e "$TMP/roots/s.lock" ] || fail "how were they removed?"
start_vubridge roots2 "$NS_A" --path "$TMP/roots/s" --server --iface vnet0 --user nobody
wait_until 5 grep -q 'listening for the backend' "$TMP/roots2.log" || fail "it does not start a second time"
stop "${PID[roots2]}" KILL
after_kill
# after a kill, without any privileges
start_vubridge his2 "$NS_A" --path "$TMP/his/s" --server --iface vnet0 --user nobody
wait_until 5 grep -q 'listening for the backend' "$TMP/his2.log" || fail "it does not start again"
stop "${PID[his2]}" KILL
after_kill
ip -n "$NS_A" tuntap add dev vnet7 mode tap user nobody
start his3 ip netns exec "$NS_A" setpriv --reuid nobody --clear-groups --inh-caps=-all --bounding-set=-all \
  "$VUBRIDGE" --path "$TMP/his/s" --server --iface vnet7 --control none
wait_until 5 grep -q 'listening for the backend' "$TMP/his3.log" || fail "the user may not take their place"
stop "${PID[his3]}"
[ -z "$(ls "$TMP/his")" ] || fail "left behind: $(ls "$TMP/his")"

# a dead socket of another user's, to which he may not connect: he cannot know that it is dead,
# and is told so; likewise of a lock
python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$TMP/his/s"
ip -n "$NS_A" tuntap add dev vnet8 mode tap user nobody
# refused_as_nobody PATTERN
refused_as_nobody() {
  local status=0
  in_ns "$NS_A" timeout 5 setpriv --reuid nobody --clear-groups --inh-caps=-all --bounding-set=-all \
    "$VUBRIDGE" --path "$TMP/his/s" --server --iface vnet8 --control none 2>"$TMP/other" || status=$?
  [ "$status" = 1 ] && [ "$(wc -l <"$TMP/other")" = 1 ] || fail "status $status: $(cat "$TMP/other")"
  grep -qE -- "$1" "$TMP/other" || fail "it said: $(cat "$TMP/other")"
}
refused_as_nobody "^vubridge: --path '$TMP/his/s': a socket is there that we may not connect to"
[ -S "$TMP/his/s" ] || fail "another user's socket was removed"
[ ! -e "$TMP/his/s.lock" ] || fail "a lock was left behind"
: >"$TMP/his/s.lock"
chmod 600 "$TMP/his/s.lock"
refused_as_nobody "^vubridge: --path '$TMP/his/s': no permission for the lock file"
rm "$TMP/his/s" "$TMP/his/s.lock"

# a socket that someone else listens on, and one that was handed over
# (which it does not yet as soon as its file is there: that would be a dead one)
start theirs python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
print("listening", flush=True)
time.sleep(60)' "$TMP/theirs"
wait_until 5 grep -q listening "$TMP/theirs.log" || fail "nobody listens: $(cat "$TMP/theirs.log")"
status=0
in_ns "$NS_A" timeout 5 "$VUBRIDGE" --path "$TMP/theirs" --server --iface v9 2>"$TMP/other" || status=$?
[ "$status" = 1 ] && grep -q 'another process listens there' "$TMP/other" || fail "$(cat "$TMP/other")"
[ -S "$TMP/theirs" ] || fail "somebody else's socket was removed"

cat >"$TMP/activate.py" <<'PY'
"""ADDRESS[,ADDRESS] COMMAND...: hands over sockets that listen there"""
import os, socket, sys
listening = []
for path in sys.argv[1].split(","):
    s = socket.socket(socket.AF_UNIX)
    s.bind(path.replace("@", "\0"))
    s.listen()
    listening.append(socket.socket(fileno=os.dup(s.fileno())))
for i, s in enumerate(listening):
    os.dup2(s.fileno(), 3 + i)
    os.set_inheritable(3 + i, True)
os.environ.update(LISTEN_FDS=str(len(listening)), LISTEN_PID=str(os.getpid()))
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

# the same file by another path
rm "$TMP/given"
mkdir "$TMP/link"
ln -s ../given "$TMP/link/s"
start linked ip netns exec "$NS_A" python3 "$TMP/activate.py" "$TMP/given" "$VUBRIDGE" \
  --path "$TMP/link/s" --server --iface vnet0
wait_until 5 grep -q 'listening for the backend' "$TMP/linked.log" || fail "a path with a link"
stop "${PID[linked]}"

# handed_over_but PATTERN ADDRESSES ARGUMENT…: refused as a wrong argument, in one line
handed_over_but() {
  local pattern=$1 addresses=$2 status=0
  shift 2
  rm -f "$TMP/given" "$TMP/given2"
  in_ns "$NS_A" timeout 5 python3 "$TMP/activate.py" "$addresses" "$VUBRIDGE" --iface v9 "$@" 2>"$TMP/other" ||
    status=$?
  [ "$status" = 2 ] || fail "handed over, with $*: status $status ($(cat "$TMP/other"))"
  [ "$(wc -l <"$TMP/other")" = 1 ] || fail "not one line: $(cat "$TMP/other")"
  grep -qE -- "$pattern" "$TMP/other" || fail "$* said: $(cat "$TMP/other")"
}
handed_over_but "^vubridge: --path '$TMP/given': .*--server" "$TMP/given" --path "$TMP/given"
handed_over_but '^vubridge: --server: 2 sockets' "$TMP/given,$TMP/given2" --path "$TMP/given" --server
handed_over_but '^vubridge: --socket-mode: .*SocketMode=' "$TMP/given" --path "$TMP/given" --server --socket-mode 600
handed_over_but '^vubridge: --socket-group: .*SocketGroup=' "$TMP/given" --path "$TMP/given" --server --socket-group 0
handed_over_but "^vubridge: --path '$TMP/mistyped': .* listens at '$TMP/given'" "$TMP/given" \
  --path "$TMP/mistyped" --server
handed_over_but "^vubridge: --path '@$$-b': .* listens at '@$$-a'" "@$$-a" --path "@$$-b" --server
start abstract ip netns exec "$NS_A" python3 "$TMP/activate.py" "@$$-a" "$VUBRIDGE" --path "@$$-a" --server --iface v9
wait_until 5 grep -q 'listening for the backend' "$TMP/abstract.log" || fail "an abstract socket handed over"
stop "${PID[abstract]}"
log "server mode"
