#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 240
#
# Confined by its AppArmor profile vubridge does all that it does, and nothing is denied: its
# socket at the usual places, as client and as server, with a long path; a veth, another
# namespace, another user, huge pages, vhost-net; the control socket. No socket is made at a
# place that the profile does not name. The host translates the profile, and the guest's kernel
# enforces it.
GUEST_TOOLS="${VU_PEER:-$PWD/tests/peer/vu_peer} ${VUBCTL:-$PWD/vubctl}"

# guest_more FOLDER: what else the guest shall have
guest_more() {
  local features=/etc/apparmor.d/abi/kernel-5.4-vanilla
  guest_need apparmor_parser "Debian apparmor"
  [ -r $features ] || guest_skip "$features is missing (Debian apparmor)"
  apparmor_parser -Q -K --kernel-features $features --stdout \
    "$GUEST_DIR/../../apparmor/usr.sbin.vubridge" >"$1/etc/profile.bin" || exit 1
}
. "$(dirname "$0")/guest.sh"
# shellcheck source=../net/pair.sh
. "$(dirname "$0")/../net/pair.sh"

denied() { dmesg | grep 'apparmor="DENIED"'; }

# nothing_denied WHAT: by now
nothing_denied() {
  if denied; then fail "$1: the profile denies what is above"; fi
  log "$1: nothing denied"
}

# confined NAME: that process is under the profile
confined() {
  grep -qx 'vubridge (enforce)' "/proc/${PID[$1]}/attr/current" ||
    fail "$1 is not confined: $(cat "/proc/${PID[$1]}/attr/current")"
}

# works WHAT ARGUMENT…: it connects to a backend that is there, and ends
works() {
  local what=$1
  shift
  : >"$TMP/va.log"
  CONTROL=default start_vubridge va "$NS_A" --iface vnet0 "$@"
  wait_until 20 grep -q 'carrier on' "$TMP/va.log" || { denied; fail "$what"; }
  confined va
  "$VUBCTL" -i vnet0 show >/dev/null || fail "$what: vubctl show"
  stop "${PID[va]}"
  nothing_denied "$what"
}

mkdir -p /sys/kernel/security /etc/vubridge /srv/switch /var/lib/switch
mount -t securityfs securityfs /sys/kernel/security
[ -d /sys/kernel/security/apparmor ] || skip "the guest's kernel has no AppArmor"
# in one piece
dd if=/etc/profile.bin of=/sys/kernel/security/apparmor/.load bs=1M 2>/dev/null || fail "the profile is not loaded"
cp "$VUBRIDGE" /usr/sbin/vubridge
VUBRIDGE=/usr/sbin/vubridge VU_PEER=/bin/vu_peer VUBCTL=/bin/vubctl
printf 'root:x:0:0::/:\nnobody:x:65534:65534::/:\n' >/etc/passwd
printf 'root:x:0:\nnogroup:x:65534:\n' >/etc/group
head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' >/etc/machine-id
dmesg -c >/dev/null

pair_start
cross_start
pair_wait up
wait_until 10 ping_ok "$NS_A" 10.0.0.2 || fail "no ping"
confined va
kill -USR1 "${PID[va]}"
stop "${PID[va]}"
stop "${PID[vb]}"
stop "${PID[peer]}"
nothing_denied "two of them, and a ping"

SOCK_A=/run/switch.sock
peer_start reflect
ip netns add vut-far
at_exit "ip netns del vut-far"
works "--netns" --path "$SOCK_A" --netns vut-far
works "--iface-type veth" --path "$SOCK_A" --iface-type veth
works "--keep-caps" --path "$SOCK_A" --keep-caps --mac 02:00:00:00:00:01 --mtu 1400
echo 16 >/proc/sys/vm/nr_hugepages
works "--hugepages" --path "$SOCK_A" --hugepages
chmod 666 "$SOCK_A"
works "--user" --path "$SOCK_A" --user nobody --control-group nogroup
peer_stop reflect

long=/var/lib/switch/$(printf 'a%.0s' {1..120})
mkdir "$long"
SOCK_A=$long/sock
start client "$VU_PEER" --client --socket "$SOCK_A" --mode reflect
works "--server, with a long path" --path "$SOCK_A" --server --socket-mode 0660 --socket-group nogroup
stop "${PID[client]}"

: >"$TMP/va.log"
start_vubridge va "$NS_A" --iface vnet0 --path /dev/vhost-net --vhost-iface vh0
wait_iface "$NS_A" vh0
address "$NS_A" vnet0 10.0.0.1/24
ip -n "$NS_A" link set vh0 up
wait_carrier "$NS_A" vnet0 up
confined va
stop "${PID[va]}"
nothing_denied "vhost-net"

# The guest's kernel asks nobody about a connection to a socket's file, but about making one.
: >"$TMP/va.log"
start_vubridge va "$NS_A" --iface vnet0 --path /srv/switch/sock --server
wait_until 20 ended "${PID[va]}" || fail "a socket in /srv is made"
[ ! -e /srv/switch/sock ] || fail "there is a socket in /srv"
log "denied: $(denied | head -n 1)"
