#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 240
#
# The units, as `make install` has them, under a real systemd (container.sh): start, what they
# are confined to, reload, restart, watchdog, wrong options, the socket unit, the recipes of
# README.md, and what is left after the stop: nothing.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/container.sh"
need_root
need systemd-analyze systemd
need jq jq
need make make

top=${top_builddir:-$PWD}
# variable NAME: as configure has found it out
variable() { make --no-print-directory -s -C "$top" -f Makefile -f <(echo "show: ; @echo '\$($1)'") show; }

make -C "$top" install DESTDIR="$DEST" >"$TMP/install.log" 2>&1 || fail "make install: $(tail -n 5 "$TMP/install.log")"
units=$(variable systemdsystemunitdir)
[ -n "$units" ] || skip "configured without systemd's units"
sbin=$(variable sbindir)
etc=$(variable sysconfdir)/vubridge
mkdir -p "$DEST/opt"
cp "$VU_PEER" "$DEST/opt/vu_peer"
UNIT_PATH=$units

# ---- what systemd says of the units themselves ----

rate() { systemd-analyze security --offline=yes --no-pager --threshold=20 "$DEST$units/vubridge@.service"; }
exposure=$(rate | tail -n 1) ||
  fail "the unit is too open: $exposure"
log "$exposure"

container_start
[ "$(inside systemctl is-system-running)" = running ] || fail "not running: $(inside systemctl --failed)"
inside systemd-sysusers "$(variable sysusersdir)/vubridge.conf"
inside systemd-tmpfiles --create "$(variable tmpfilesdir)/vubridge.conf"
inside systemd-analyze verify --man=no vubridge@vnet0.service vubridge@vnet0.socket 2>&1 | grep -i vubridge &&
  fail "systemd complains about the units"
version=$(inside systemctl --version | head -n 1)

# ---- helpers ----

property() { inside systemctl show -P "$2" "vubridge@$1"; }
journal() { inside journalctl -q -o cat -u "vubridge@$1"; }
# logged NAME PATTERN: the journal has it in a moment
in_journal() { journal "$1" | grep -- "$2"; }
logged() { wait_until 10 in_journal "$1" "$2" || fail "no line '$2' in the journal: $(journal "$1")"; }
# shellcheck disable=SC2053 # it is a pattern
status_is() { [[ $(property "$1" StatusText) == $2 ]]; }
wait_status() {
  wait_until 30 status_is "$1" "$2" ||
    fail "$1 is '$(property "$1" StatusText)', not '$2': $(journal "$1")"
}
wait_state() { wait_until 30 state_is "$1" "$2" || fail "$1 is $(property "$1" ActiveState), not $2: $(journal "$1")"; }
state_is() { [ "$(property "$1" ActiveState)" = "$2" ]; }
# conf NAME LINE…
conf() { printf '%s\n' '[vubridge]' "${@:2}" >"$ROOT$etc/$1.conf"; }
# dropin NAME LINE…: for that instance until the end
dropin() {
  mkdir -p "$ROOT/run/systemd/system/vubridge@$1.service.d"
  printf '%s\n' '[Service]' "${@:2}" >"$ROOT/run/systemd/system/vubridge@$1.service.d/test.conf"
  inside systemctl daemon-reload
}
systemctl_ok() { inside systemctl "$@" || fail "systemctl $*: $(journal "${2#*@}")"; }
# A backend to whose socket all may write.
peer() {
  : >"$TMP/$1.log"
  # not in the namespace of processes, which would take another process to wait for it
  start "$1" nsenter -t "$container_init" -m -n -- sh -c 'umask 0 && exec "$0" "$@"' /opt/vu_peer "${@:2}"
}
nothing_left() {
  local name=$1 what
  for what in "/run/dpdk/vubridge-$name" "/run/vubridge/$name" "/run/vubridge/$name.sock"; do
    [ ! -e "$ROOT$what" ] || fail "$what was left behind"
  done
  ! inside ip link show "$name" >/dev/null 2>&1 || fail "$name was left behind"
  [ "$(property "$name" MainPID)" = 0 ] || fail "a process was left behind"
}

# ---- start: a backend in /tmp, which PrivateTmp= would hide ----

conf vnet0 'path = /tmp/sock' 'cpus = 0' 'speed = 10000'
peer reflect --socket /tmp/sock --mode reflect
wait_until 5 grep -q '^listening' "$TMP/reflect.log" || fail "the peer: $(cat "$TMP/reflect.log")"
systemctl_ok start vubridge@vnet0
wait_status vnet0 'vnet0: carrier on, 1 of 1 queue pairs (/tmp/sock)'
inside ip link set vnet0 up
inside ip -o link show vnet0 | grep LOWER_UP >/dev/null || fail "no carrier"
[ "$(cat /proc/sys/kernel/io_uring_disabled 2>/dev/null || echo 0)" != 0 ] ||
  logged vnet0 'by io_uring' # or the unit refuses it
inside ip addr add 192.0.2.1/24 dev vnet0
inside ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:01 dev vnet0
inside ping -q -c 5 -i 0.1 -W 0.1 192.0.2.2 >/dev/null || true
stats() { inside "$sbin/vubctl" -j stats; }
forwarded() { stats | jq -e '.[0].queues[0] | .rx.frames >= 5 and .tx.frames >= 5'; }
wait_until 5 forwarded || fail "no frames: $(stats)"

# ---- what it is confined to ----

main=$(property vnet0 MainPID)
# of FIELD [PID]
of() { awk -v name="$1:" '$1 == name { print $2 }' "$ROOT/proc/${2:-$main}/status"; }
user=$(inside id -u vubridge)
[ "$(of Uid) $(of CapEff) $(of CapPrm) $(of CapAmb) $(of NoNewPrivs) $(of Seccomp)" = \
  "$user 0000000000000000 0000000000000000 0000000000000000 1 2" ] ||
  fail "what it is: $(cat "$ROOT/proc/$main/status")"
# its own view of the files
view() { inside nsenter -t "$main" -m -- "$@"; }
! view touch /etc/x 2>/dev/null || fail "the system is not read-only there"
! view touch /run/x 2>/dev/null || fail "/run is not read-only there"
view test -S /tmp/sock || fail "/tmp is another one there"
[ "$(view stat -c %a /home)" = 0 ] || fail "/home is open there"
# the group may look, nobody else
look() { inside setpriv --reuid 65534 --regid "$1" --clear-groups "$sbin/vubctl" show; }
look vubridge | grep vnet0 >/dev/null || fail "the group vubridge may not look"
! look 65534 2>/dev/null | grep vnet0 || fail "nobody may look"
logged vnet0 'carrier on'
[ -n "$(inside journalctl -q -o cat INTERFACE=vnet0 SOCKET=/tmp/sock)" ] || fail "no fields in the journal"

# ---- reload ----

conf vnet0 'path = /tmp/sock' 'cpus = 0' 'speed = 10000' 'log-level = debug' 'queue-size = 512'
systemctl_ok reload vubridge@vnet0
logged vnet0 'queue-size: takes a restart'
logged vnet0 'log-level debug, by'
[ "$(property vnet0 MainPID) $(property vnet0 ActiveState)" = "$main active" ] || fail "the reload ended it"

# ---- restart ----

systemctl_ok restart vubridge@vnet0
wait_status vnet0 'vnet0: carrier on*'
[ "$(property vnet0 MainPID)" != "$main" ] || fail "not restarted"
logged vnet0 'queue pair of 512 descriptors'

# ---- the backend leaves and comes ----

stop "${PID[reflect]}" KILL
wait_status vnet0 'vnet0: no carrier, backend not connected (/tmp/sock)'
rm -f "$ROOT/tmp/sock"
peer reflect --socket /tmp/sock --mode reflect
wait_status vnet0 'vnet0: carrier on*'

# ---- the watchdog ----

[ "$(property vnet0 WatchdogUSec)" = 30s ] || fail "the watchdog: $(property vnet0 WatchdogUSec)"
dropin vnet0 'WatchdogSec=4s' 'RestartSec=100ms'
systemctl_ok restart vubridge@vnet0
wait_status vnet0 'vnet0: carrier on*'
sleep 4.5
[ "$(property vnet0 NRestarts)" = 0 ] || fail "the watchdog bit one that lives"
main=$(property vnet0 MainPID)
inside kill -STOP "$main"
restarted() { [ "$(property vnet0 NRestarts)" -ge 1 ] && [ "$(property vnet0 MainPID)" != "$main" ]; }
wait_until 30 restarted || fail "the watchdog does not bite: $(journal vnet0)"
wait_status vnet0 'vnet0: carrier on*'

# ---- the end ----

systemctl_ok stop vubridge@vnet0
[ "$(property vnet0 Result)" = success ] || fail "the stop: $(property vnet0 Result)"
nothing_left vnet0

# ---- wrong options: no second try ----

conf vnet0 'path = /tmp/sock' 'mtu = 1'
! inside systemctl start vubridge@vnet0 2>/dev/null || fail "started with an error in its file"
sleep 0.5
[ "$(property vnet0 ActiveState) $(property vnet0 NRestarts) $(property vnet0 ExecMainStatus)" = "failed 0 2" ] ||
  fail "with an error in its file: $(inside systemctl status vubridge@vnet0)"
logged vnet0 "$etc/vnet0.conf:3: mtu '1': must be"
inside systemctl reset-failed

# ---- a veth, and another network namespace ----

conf vnet2 'path = /tmp/sock' 'iface-type = veth'
systemctl_ok start vubridge@vnet2
wait_status vnet2 'vnet2: carrier on*'
systemctl_ok stop vubridge@vnet2
nothing_left vnet2
inside ip netns add blue
conf vnet3 'path = /tmp/sock'
dropin vnet3 'NetworkNamespacePath=/run/netns/blue'
systemctl_ok start vubridge@vnet3
wait_status vnet3 'vnet3: carrier on*'
inside ip -n blue link show vnet3 >/dev/null || fail "vnet3 is not in its namespace"
systemctl_ok stop vubridge@vnet3
nothing_left vnet3
inside ip netns del blue

# ---- a backend's socket that only root may write to, and another name than the file's ----

start rooted nsenter -t "$container_init" -m -n -- sh -c 'umask 077 && exec "$0" "$@"' \
  /opt/vu_peer --socket /tmp/rooted --mode sink
wait_until 5 test -S "$ROOT/tmp/rooted" || fail "no peer"
conf vnet4 'path = /tmp/rooted' 'iface = other' 'keep-caps' 'control = /run/vubridge/vnet4/control'
! inside systemctl start vubridge@vnet4 2>/dev/null || fail "it may connect to root's socket"
logged vnet4 "vnet4.conf:2: path '/tmp/rooted': no permission to connect"
inside systemctl stop vubridge@vnet4
dropin vnet4 'User=root' 'Group=root'
systemctl_ok start vubridge@vnet4
wait_status vnet4 'other: carrier on*'
conf vnet4 'path = /tmp/rooted' 'iface = other' 'keep-caps' 'control = /run/vubridge/vnet4/control' 'mtu = 1400'
systemctl_ok reload vubridge@vnet4
other_has_mtu() { inside "$sbin/vubctl" -i /run/vubridge/vnet4/control -j show | jq -e '.[0].mtu == 1400'; }
wait_until 5 other_has_mtu || fail "the MTU is not the file's: $(journal vnet4)"
systemctl_ok stop vubridge@vnet4
nothing_left vnet4

# ---- the socket unit: the backend starts the service ----

conf vnet1 'path = /run/vubridge/vnet1.sock' 'server'
systemctl_ok start vubridge@vnet1.socket
[ "$(inside stat -c '%U:%G %a' /run/vubridge/vnet1.sock)" = "vubridge:vubridge 660" ] ||
  fail "the socket: $(inside stat /run/vubridge/vnet1.sock)"
[ "$(property vnet1 ActiveState)" = inactive ] || fail "the service runs without a backend"
peer client --client --socket /run/vubridge/vnet1.sock --mode sink
wait_state vnet1 active
wait_status vnet1 'vnet1: carrier on*'
main=$(property vnet1 MainPID)
systemctl_ok restart vubridge@vnet1
[ -S "$ROOT/run/vubridge/vnet1.sock" ] || fail "the socket was removed with the service"
[ "$(property vnet1 MainPID)" != "$main" ] || fail "not restarted"
stop "${PID[client]}"
peer client --client --socket /run/vubridge/vnet1.sock --mode sink
wait_status vnet1 'vnet1: carrier on*'
stop "${PID[client]}"
inside systemctl stop vubridge@vnet1.socket vubridge@vnet1.service
nothing_left vnet1

# ---- what README.md says, word for word; the switch is the test's peer ----

# recipe N: runs the Nth piece of code behind "Under systemd", without the switch's own commands
recipe() {
  awk -v n="$1" '/^Under systemd/ { on = 1 } !on { next }
    /^```$/ { fences++; next } fences == 2 * n - 1' "${top_srcdir:-$LIB_DIR/../..}/README.md" |
    awk '!/^ovs-vsctl / && !more; { more = /^ovs-vsctl .*\\$/ || (more && /\\$/) }' |
    sed "s,/etc/vubridge/,$etc/,g" >"$TMP/recipe"
  [ -s "$TMP/recipe" ] || fail "README.md has no recipe $1"
  inside sh -ex <"$TMP/recipe" >"$TMP/recipe.log" 2>&1 || fail "recipe $1 of README.md: $(cat "$TMP/recipe.log")"
}
# restarts NAME
restarts() { property "$1" NRestarts; }

recipe 1
wait_state vnet0 active
start client nsenter -t "$container_init" -m -n -- /opt/vu_peer --client --socket /run/vubridge/vnet0.sock --mode sink
wait_status vnet0 'vnet0: carrier on*'
[ "$(restarts vnet0)" = 0 ] || fail "recipe 1 restarts"
stop "${PID[client]}"
systemctl_ok disable --now vubridge@vnet0.socket vubridge@vnet0.service
nothing_left vnet0

# as OVS makes it: root's, which others may read
mkdir "$ROOT/run/openvswitch"
start switch nsenter -t "$container_init" -m -n -- sh -c 'umask 022 && exec "$0" "$@"' \
  /opt/vu_peer --socket /run/openvswitch/vhu2 --mode sink
wait_until 5 test -S "$ROOT/run/openvswitch/vhu2" || fail "no peer"
[ "$(inside stat -c '%U %a' /run/openvswitch/vhu2)" = 'root 755' ] || fail "not as OVS makes it"
recipe 2
wait_status vnet2 'vnet2: carrier on*'
[ "$(restarts vnet2)" = 0 ] || fail "recipe 2 restarts"
[ "$(of CapEff "$(property vnet2 MainPID)")" = 0000000000000000 ] || fail "root with its powers"
systemctl_ok disable --now vubridge@vnet2.service
nothing_left vnet2
stop "${PID[switch]}"
rm -r "$ROOT/etc/systemd/system/vubridge@vnet2.service.d"

# ---- as if nothing had been ----

[ "$(inside systemctl is-system-running)" = running ] || fail "something failed: $(inside systemctl --failed)"
make -C "$top" uninstall DESTDIR="$DEST" >"$TMP/uninstall.log" 2>&1 ||
  fail "make uninstall: $(cat "$TMP/uninstall.log")"
rm -r "$DEST/opt"
[ -z "$(find "$DEST" ! -type d)" ] || fail "make uninstall leaves $(find "$DEST" ! -type d)"
[ ! -e "$DEST$etc" ] || fail "make uninstall leaves $etc"
log "$version"
