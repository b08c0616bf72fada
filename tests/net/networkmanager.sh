#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 120
#
# The recipes of vubridge(7) for NetworkManager, as they stand there: it leaves an interface
# alone; and it makes the TAP and gives it its address, so that vubridge needs no capability, and
# the address stays while the backend comes and goes. NetworkManager runs in namespaces, on a bus
# of its own: the one that is installed, or what scripts/install-deps has unpacked.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"
need_root
need setpriv util-linux
need dbus-daemon "Debian dbus, Fedora dbus-daemon"
man=${top_srcdir:-$LIB_DIR/../..}/man/vubridge.7
unpacked=/var/cache/vubridge-networkmanager
[ -n "$(type -P NetworkManager)" ] || [ -x $unpacked/usr/sbin/NetworkManager ] ||
  skip "NetworkManager is missing (scripts/install-deps test fetches it)"

# ---- the recipes ----

# literal HEAD: the lines of the manual page from one that begins so to the end of the example
literal() { awk -v head="$1" 'index($0, head) == 1 { on = 1 } /^\.Ed/ { on = 0 } on' "$man" | sed 's/\\e$/\\/'; }
literal '# /etc/NetworkManager/conf.d/vubridge.conf' >"$TMP/unmanaged.conf"
grep -q '^unmanaged-devices=' "$TMP/unmanaged.conf" || fail "vubridge(7) has no configuration"
literal 'nmcli connection add' | sed 's/id -u vubridge/id -u nobody/' >"$TMP/add"
grep -q 'id -u nobody' "$TMP/add" || fail "the recipe names no user"

# ---- NetworkManager ----

mkdir "$TMP/etc" "$TMP/etc/conf.d" "$TMP/etc/system-connections" "$TMP/var" "$TMP/run"
printf '[main]\nplugins=keyfile\nauth-polkit=false\ndns=none\n' >"$TMP/etc/NetworkManager.conf"
cat >"$TMP/bus.conf" <<END
<busconfig>
  <type>system</type>
  <listen>unix:path=$TMP/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/> <allow own="*"/> <allow send_destination="*"/> <allow receive_sender="*"/>
  </policy>
</busconfig>
END
cat >"$TMP/inside" <<'SCRIPT'
set -e
tmp=$1 unpacked=$2
mount --make-rprivate /
if ! command -v NetworkManager >/dev/null; then
  mount -t overlay -o "ro,lowerdir=$unpacked/usr:/usr" overlay /usr
fi
mount -t tmpfs none /var/lib
mkdir /var/lib/NetworkManager
mount -t tmpfs none /run
# where a package makes it this is a folder, and else only here
mkdir -p /run/NetworkManager
mount -t overlay -o "lowerdir=/etc,upperdir=$tmp/over/up,workdir=$tmp/over/work" overlay /etc
mkdir -p /etc/NetworkManager
mount --bind "$tmp/etc" /etc/NetworkManager
# no udev answers here, which is told by this
mount -o remount,ro /sys
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$tmp/bus
exec NetworkManager --no-daemon --log-level=INFO
SCRIPT
mkdir "$TMP/over"
mount -t tmpfs none "$TMP/over" # an overlay does not lie on another one
at_exit "umount -l $TMP/over"
mkdir "$TMP/over/up" "$TMP/over/work"
start bus dbus-daemon --config-file="$TMP/bus.conf" --nofork --nopidfile
wait_until 5 test -S "$TMP/bus" || fail "no bus: $(cat "$TMP/bus.log")"
ns_add a
start nm ip netns exec "$NS_A" unshare --mount sh "$TMP/inside" "$TMP" $unpacked
in_nm() { nsenter -t "${PID[nm]}" -m -n -- env DBUS_SYSTEM_BUS_ADDRESS="unix:path=$TMP/bus" "$@"; }
is_running() { [ "$(in_nm nmcli -g RUNNING general 2>/dev/null)" = running ]; }
wait_until 20 is_running || fail "NetworkManager does not run: $(cat "$TMP/nm.log")"
# state NAME: of that interface, as NetworkManager sees it
state() { in_nm nmcli -g GENERAL.STATE device show "$1" 2>/dev/null; }
# shellcheck disable=SC2053 # it is a pattern
state_is() { [[ $(state "$1") == $2 ]]; }
wait_state() { wait_until 15 state_is "$1" "$2" || fail "$1 is '$(state "$1")', not '$2': $(in_nm nmcli device)"; }

# ---- it makes the TAP ----

chmod 755 "$TMP"
in_nm bash -e "$TMP/add" >"$TMP/add.log" 2>&1 || fail "nmcli: $(cat "$TMP/add.log")"
wait_iface "$NS_A" vnet0
has_address() { ip -n "$NS_A" -br addr show dev vnet0 | grep -q ' 192\.0\.2\.1/24 '; }
wait_until 10 has_address || fail "it gives no address: $(ip -n "$NS_A" addr)"
wait_state vnet0 '100 *'
carrier_is "$NS_A" vnet0 down || fail "a carrier without vubridge"

cp "$VUBRIDGE" "$TMP/vubridge"
peer_start peer
chmod 777 "$SOCK_A"
start va ip netns exec "$NS_A" setpriv --reuid nobody --regid "$(id -g nobody)" --clear-groups \
  "$TMP/vubridge" --path "$SOCK_A" --iface vnet0 --control none
wait_carrier "$NS_A" vnet0 up
index=$(in_ns "$NS_A" cat /sys/class/net/vnet0/ifindex)
peer_stop peer KILL
wait_carrier "$NS_A" vnet0 down
sleep 8 # it waits 6 s before it believes that a carrier is gone
has_address || fail "the address went with the carrier: $(in_nm nmcli device)"
state_is vnet0 '100 *' || fail "it gave the interface up: $(in_nm nmcli device)"
stop "${PID[va]}"
has_address || fail "the address went with vubridge"
[ "$(in_ns "$NS_A" cat /sys/class/net/vnet0/ifindex)" = "$index" ] || fail "the interface is another one"

# ---- it leaves interfaces alone ----

ip -n "$NS_A" tuntap add dev vnet1 mode tap
address "$NS_A" vnet1 192.0.2.9/24
wait_state vnet1 '100 *' # "connected (externally)": it takes it in
cp "$TMP/unmanaged.conf" "$TMP/etc/conf.d/vubridge.conf"
in_nm nmcli general reload || fail "no reload"
wait_state vnet1 '10 *'
log "$(in_nm NetworkManager --version): as vubridge(7) says"
