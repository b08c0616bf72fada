#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 90
#
# The recipes of vubridge(7) for networkd and udev, as they stand there: networkd makes the TAP
# and gives it its address, vubridge needs no capability for it, and the address stays while
# the backend comes and goes. networkd runs in a namespace as in a container.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"
need_root
need setpriv util-linux
need udevadm "Debian udev, Fedora systemd-udev"
man=${top_srcdir:-$LIB_DIR/../..}/man/vubridge.7
networkd=/usr/lib/systemd/systemd-networkd
[ -x $networkd ] || networkd=/lib/systemd/systemd-networkd
[ -x $networkd ] || skip "systemd-networkd is missing (Debian systemd, Fedora systemd-networkd)"
id systemd-network >/dev/null 2>&1 || skip "there is no user systemd-network (of systemd)"

# recipe FILE: what the manual page has under its name, for a user that is here
mkdir "$TMP/files"
recipe() {
  awk -v head="# /etc/systemd/network/$1" '$0 == head { on = 1; next } /^# \/|^\.Ed/ { on = 0 } on' "$man" |
    sed 's/^User=vubridge$/User=nobody/' >"$TMP/files/$1"
  grep -q '^\[' "$TMP/files/$1" || fail "vubridge(7) has no $1"
}
recipe 10-vnet0.netdev
recipe 20-vnet0.network
grep -q '^User=nobody$' "$TMP/files/10-vnet0.netdev" || fail "the recipe names no user"

cat >"$TMP/inside" <<'SCRIPT'
set -e
mount --make-rprivate /
mount -t tmpfs none /run/systemd
mkdir -p /run/systemd/netif /etc/systemd/network
chown systemd-network: /run/systemd/netif
mount -t tmpfs none /etc/systemd/network
cp "$1"/* /etc/systemd/network
# no udev answers here
echo container >/run/systemd/container
mount -o remount,ro /sys
SYSTEMD_LOG_TARGET=console exec "$2"
SCRIPT
ns_add a
start networkd ip netns exec "$NS_A" unshare --mount sh "$TMP/inside" "$TMP/files" $networkd
wait_iface "$NS_A" vnet0
has_address() { ip -n "$NS_A" -br addr show dev vnet0 | grep -q ' 192\.0\.2\.1/24 '; }
wait_until 10 has_address || fail "networkd gives no address: $(ip -n "$NS_A" addr)"
has_mac() { [ "$(in_ns "$NS_A" cat /sys/class/net/vnet0/address)" = 02:00:00:00:00:01 ]; }
wait_until 5 has_mac || fail "another hardware address"
! grep -i ignor "$TMP/networkd.log" || fail "networkd ignores something of the recipe"
carrier_is "$NS_A" vnet0 down || fail "a carrier without vubridge"

chmod 755 "$TMP"
cp "$VUBRIDGE" "$TMP/vubridge"
peer_start peer
chmod 777 "$SOCK_A"
start va ip netns exec "$NS_A" setpriv --reuid nobody --regid "$(id -g nobody)" --clear-groups \
  "$TMP/vubridge" --path "$SOCK_A" --iface vnet0 --control none
wait_carrier "$NS_A" vnet0 up
wait_until 5 grep -q 'vnet0: Gained carrier' "$TMP/networkd.log" || fail "networkd has not seen the carrier"
index=$(in_ns "$NS_A" cat /sys/class/net/vnet0/ifindex)
peer_stop peer KILL
wait_carrier "$NS_A" vnet0 down
wait_until 5 grep -q 'vnet0: Lost carrier' "$TMP/networkd.log" || fail "networkd has not seen it go"
sleep 0.5
has_address || fail "the address went with the carrier"
stop "${PID[va]}"
has_address || fail "the address went with vubridge"
[ "$(in_ns "$NS_A" cat /sys/class/net/vnet0/ifindex)" = "$index" ] || fail "the interface is another one"
carrier_is "$NS_A" vnet0 down || fail "a carrier without vubridge"
stop "${PID[networkd]}"

# ---- udev: what it would make of an address that the kernel made up ----

rm "$TMP"/files/*
recipe 10-vubridge.link
cat >"$TMP/link" <<'SCRIPT'
set -e
mount --make-rprivate /
mount -t tmpfs none /etc/systemd/network
ip tuntap add dev vnet5 mode tap
cp "$1"/* /etc/systemd/network
cat /sys/class/net/vnet5/address
udevadm test-builtin net_setup_link /sys/class/net/vnet5 >"$2" 2>&1
cat /sys/class/net/vnet5/address
SCRIPT
ns_add link
in_ns "$NS_LINK" unshare --mount sh "$TMP/link" "$TMP/files" "$TMP/udev.log" >"$TMP/addresses" || fail "udevadm"
grep -q '10-vubridge.link' "$TMP/udev.log" || fail "udev does not use the recipe"
[ "$(sort -u "$TMP/addresses" | wc -l)" = 1 ] || fail "udev changed the address: $(cat "$TMP/addresses")"
log "networkd and udev do as vubridge(7) says"
