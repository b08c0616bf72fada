#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 120
#
# Bad arguments and a bad environment: one line on standard error that names the option,
# the value and the remedy, status 2 (usage) or 1 (system), no interface left behind.
. "$(dirname "$0")/lib.sh"
need_root
need python3 python3

ns_add a
cd "$TMP"
sock=$TMP/sock

# refused STATUS PATTERN ARGUMENT…: PATTERN must match the one line
refused() {
  local want=$1 pattern=$2 status=0
  shift 2
  in_ns "$NS_A" timeout 5 "${RUN[@]}" "$VUBRIDGE" "$@" >"$TMP/out" 2>"$TMP/err" </dev/null || status=$?
  [ "$status" = "$want" ] || fail "status $status, not $want: vubridge $* ($(cat "$TMP/err"))"
  [ "$(wc -l <"$TMP/err")" = 1 ] || fail "not one line: vubridge $*: $(cat "$TMP/err")"
  [ -s "$TMP/out" ] && fail "something on standard output: vubridge $*"
  grep -qE -- "$pattern" "$TMP/err" || fail "vubridge $* said: $(cat "$TMP/err")"
  [ "$(ip -n "$NS_A" -o link show | grep -cv ': lo:')" = "${LINKS:-0}" ] ||
    fail "vubridge $* left an interface behind"
  [ -e "$sock" ] && fail "vubridge $* left a socket behind"
  COUNT=$((${COUNT:-0} + 1))
}
RUN=(env)

# missing, unknown, repeated, empty, shortened
refused 2 '^vubridge: --path: must be given'
refused 2 '^vubridge: --path: must be given' --iface v0
refused 2 '--path: needs a value' --path
refused 2 "--path ''" --path ''
refused 2 '--nonsense' --path "$sock" --nonsense
refused 2 '--nonsense' --path "$sock" --nonsense=1
refused 2 "'word'" --path "$sock" word
refused 2 "--path.*given before" --path "$sock" --path "$sock"
refused 2 "--mtu.*given before" --path "$sock" --mtu 1500 --mtu 1500
refused 2 '--pat: unknown' --pat "$sock"
refused 2 '--queue: unknown' --path "$sock" --queue 256
for option in hugepages persist keep-caps; do
  refused 2 "^vubridge: --$option '1': takes no value" --path "$sock" "--$option=1"
done

refused 2 '^vubridge: -x: unknown' -x
refused 2 '^vubridge: -hx: unknown' -hx
refused 2 "^vubridge: --devargs 'foo': is not a key .* path, iface, .* packed_vq\$" --devargs foo=1

# values: option, value
for case in 'iface:' 'iface:sixteencharacter' 'iface:a/b' 'iface:a b' 'iface:.' 'iface:..' 'iface:a:b' \
  'iface:%d%d' 'iface:%s' 'mac:1' 'mac:00:00:00:00:00:00' 'mac:01:00:5e:00:00:01' 'mac:02:00:00:00:00:0g' \
  'mtu:67' 'mtu:65522' 'mtu:abc' 'mtu:12x' 'mtu:-1' 'mtu: 1500' 'mtu:' 'queue-size:0' 'queue-size:32' \
  'queue-size:100' 'queue-size:65536' 'queue-size:4294967552' 'queue-size:1e3' 'io:epoll' 'io:' 'poll:off' \
  'netns:' 'netns:.' 'netns:..' 'user:' 'user:no such user' 'user:0' \
  'idle-us:1000001' 'idle-us:99999999999999999999' 'idle-us:0x10' 'log-level:verbose'; do
  option=${case%%:*} value=${case#*:}
  refused 2 "^vubridge: --$option '$value': " --path "$sock" "--$option" "$value"
done

# the same from a file: its line is named
refused 2 "^vubridge: --config '$TMP/none.conf': No such file" --config "$TMP/none.conf"
refused 2 "^vubridge: --config '$TMP': is no regular file" --config "$TMP"
refused 2 "^vubridge: --config '': must be" --config ''
conf() { printf '[vubridge]\npath = %s\n' "$sock" >"$TMP/v0.conf" && printf '%s\n' "$@" >>"$TMP/v0.conf"; }
for case in 'mtu = 12x:must be a whole number from 68 to 65521' 'queue-size = 100:must be a power of two' \
  'io = epoll:must be one of auto, uring, plain' 'persist = yes:must be 0 or 1' 'nonsense = 1:unknown key' \
  'mtu:needs a value' "path = $sock:given before" '[other]:the only section is' 'mtu = 1500 # x:a comment needs' \
  'user = no such user:must be the name of a user' 'workers = 2:must be at most 1' \
  'netns = "a":values have no quotes'; do
  conf "${case%%:*}"
  refused 2 "^vubridge: $TMP/v0.conf:3: .*${case#*:}" --config "$TMP/v0.conf"
done
printf 'path = %s\n' "$TMP" >"$TMP/v0.conf"
refused 1 "^vubridge: $TMP/v0.conf:1: path '$TMP': is a directory" --config "$TMP/v0.conf"

# --path that is no socket
mkdir dir
: >file
mkfifo fifo
refused 1 "--path '$TMP/dir': is a directory" --path "$TMP/dir"
refused 1 "--path '$TMP/file': is a regular file" --path "$TMP/file"
refused 1 "--path '$TMP/fifo': " --path "$TMP/fifo"
refused 1 "--path '/dev/null': is a character device" --path /dev/null
refused 1 "directory '$TMP/none' does not exist" --path "$TMP/none/sock"
mknod net c 10 238
# where the kernel does not serve it (tests/guest is where it does)
if ! { : <>"$TMP/net"; } 2>/dev/null; then
  refused 1 "--path '$TMP/net': .*modprobe vhost_net" --path "$TMP/net"
fi
refused 2 '--server: needs a socket' --path "$TMP/net" --server
refused 2 "--vhost-iface 'vh0': needs --path /dev/vhost-net" --path "$sock" --vhost-iface vh0
python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$TMP/closed"
chmod 0 "$TMP/closed"
chmod 755 "$TMP"
RUN=(setpriv --reuid 65534 --regid 65534 --clear-groups)
refused 1 "--path '$TMP/closed': .*permission" --path "$TMP/closed"
refused 1 '--iface .*(CAP_NET_ADMIN|permission)' --path "$sock" --iface v0
RUN=(env)

# --iface that is taken, by something else or someone else
ip -n "$NS_A" link add dummy9 type veth peer name dummy8
LINKS=2
refused 1 "--iface 'dummy9': .*not a TAP" --path "$sock" --iface dummy9
ip -n "$NS_A" link del dummy9
ip -n "$NS_A" tuntap add dev tun9 mode tun
LINKS=1
refused 1 "--iface 'tun9': " --path "$sock" --iface tun9
ip -n "$NS_A" link del tun9
start_vubridge holder "$NS_A" --path "$TMP/other" --iface v0
wait_iface "$NS_A" v0
refused 1 "--iface 'v0': .*in use" --path "$sock" --iface v0
LINKS=0
stop "${PID[holder]}"

# no /dev/net/tun, seen from a mount namespace of its own
RUN=(unshare --mount sh -c "mount -t tmpfs none /dev/net && exec \"\$@\"" sh)
refused 1 "--iface '.*': .*/dev/net/tun" --path "$sock" --iface v0
RUN=(env)

# help and version are no errors
"$VUBRIDGE" --help >help || fail "--help ended with $?"
grep -q -- --queue-size help || fail "--help does not name --queue-size"
"$VUBRIDGE" --version | grep -qE '^vubridge [0-9]' || fail "--version"
"$VUBRIDGE" -h | cmp - help || fail "-h is not --help"
[ "$("$VUBRIDGE" -V)" = "$("$VUBRIDGE" --version)" ] || fail "-V is not --version"

# a processor that there is not; which there are is said
! in_ns "$NS_A" "$VUBRIDGE" --path "$sock" --control none --cpus 1023 >"$TMP/err" 2>&1 || fail "--cpus 1023"
grep -qE "^vubridge: --cpus '1023': a worker may not run there; it may on [0-9,-]+\$" "$TMP/err" ||
  fail "--cpus 1023 said: $(cat "$TMP/err")"

# a socket of another type
start holds-dgram python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
time.sleep(60)' "$TMP/dgram"
wait_until 5 test -S "$TMP/dgram" || fail "no datagram socket"
refused 1 'datagram' --path "$TMP/dgram" --iface v1

# first nothing there, then a dead socket: one line for both
start_vubridge dead "$NS_A" --path "$TMP/dead" --iface v3
wait_until 5 grep -q waiting "$TMP/dead.log" || fail "no word of a missing backend"
python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).bind(sys.argv[1])' "$TMP/dead"
sleep 0.5
[ "$(log_lines dead 'waiting|cannot use')" = 1 ] || fail "a dead socket: $(cat "$TMP/dead.log")"
stop "${PID[dead]}"

# a path longer than an address of a socket can be
long=$TMP/$(printf 'long%.0s' {1..30})/$(printf 'name%.0s' {1..30})
mkdir -p "$long"
cd "$long"
start_peer longpeer --socket sock --mode sink
cd "$TMP"
start_vubridge long "$NS_A" --path "$long/sock" --iface v2
wait_until 5 grep -q 'carrier on' "$TMP/long.log" || fail "a path of ${#long} bytes: $(cat "$TMP/long.log")"
log "$COUNT refusals, each with one line"
