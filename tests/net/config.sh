#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the device's configuration says, the interface does, and back: link, MTU, address;
# announcements; a device that needs a reset.
#
#   ns a: vnet0 ── vubridge ── $SOCK_A ── test peer (--commands)
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"
need_root
need python3 python3

has_mtu() { [ "$(in_ns "$NS_A" cat /sys/class/net/vnet0/mtu)" = "$1" ]; }
has_mac() { [ "$(in_ns "$NS_A" cat /sys/class/net/vnet0/address)" = "$1" ]; }
logged() { wait_until 5 grep -qE "$2" "$TMP/$1.log" || fail "$1 has no line like '$2'"; }

ns_add a
mac_by_name=''

# ---- an address that stays the same ----
for i in 1 2; do
  start_vubridge "name$i" "$NS_A" --path "$SOCK_A" --iface vnet0
  wait_iface "$NS_A" vnet0
  mac=$(in_ns "$NS_A" cat /sys/class/net/vnet0/address)
  stop "${PID[name$i]}"
  if [ -r /etc/machine-id ]; then
    [ "${mac_by_name:-$mac}" = "$mac" ] || fail "another address after a restart"
  fi
  mac_by_name=$mac
done

# ---- the backend's configuration ----
peer_start peer --mtu 1400 --mac 02:00:00:00:00:07
control=(--queues 2)
! is_veth || control=(--cq 1)
start_vubridge va "$NS_A" --path "$SOCK_A" --iface vnet0 "${control[@]}" --keep-caps
wait_iface "$NS_A" vnet0
address "$NS_A" vnet0 10.0.0.1/24
wait_carrier "$NS_A" vnet0 up
wait_until 5 has_mac 02:00:00:00:00:07 || fail "the backend's address was not taken"
wait_until 5 has_mtu 1400 || fail "the backend's MTU was not taken"
logged va 'address 02:00:00:00:00:07, by the backend'
logged peer "^mtu .* 1400"
# announced by the backend, which agreed to
logged peer '^rarp .* 02:00:00:00:00:07'

# link down and up, each once
in_ns "$NS_A" stdbuf -oL ip -o monitor link dev vnet0 >"$TMP/monitor.txt" 2>&1 &
LIB_PIDS+=("$!")
sleep 0.3
tell link down
wait_carrier "$NS_A" vnet0 down 2
logged va 'carrier off: link down by the backend'
tell link up
wait_carrier "$NS_A" vnet0 up 2
sleep 1.2
[ "$(grep -c 'NO-CARRIER' "$TMP/monitor.txt")" = 1 ] || fail "link down: $(cat "$TMP/monitor.txt")"
[ "$(grep -c 'LOWER_UP' "$TMP/monitor.txt")" = 1 ] || fail "link up: $(cat "$TMP/monitor.txt")"
[ "$(grep -c '^connected' "$TMP/peer.log")" = 1 ] || fail "it reconnected for it"

# what the backend changes, the interface follows
tell mtu 1300
wait_until 5 has_mtu 1300 || fail "mtu 1300 was not taken"
logged peer '^mtu .* 1300'
tell mac 02:00:00:00:00:08
wait_until 5 has_mac 02:00:00:00:00:08 || fail "the new address was not taken"
before=$(grep -c '^rarp' "$TMP/peer.log")
tell announce
wait_until 5 sh -c "[ \$(grep -c '^rarp' '$TMP/peer.log') -gt $before ]" || fail "no announcement"

# what the kernel changes, the backend is told; a mismatch is named, once
ip -n "$NS_A" link set vnet0 mtu 1350
logged peer '^mtu .* 1350'
logged va 'mtu 1350 is larger than the backend.s 1300'
ip -n "$NS_A" link set vnet0 mtu 1200
logged peer '^mtu .* 1200'
[ "$(log_lines va 'is larger than')" = 1 ] || fail "a mismatch: $(cat "$TMP/va.log")"

# a device that needs a reset gets one
tell needs-reset
logged va 'the device needs a reset'
wait_carrier "$NS_A" vnet0 up 5
has_mtu 1200 || fail "an MTU that the user had set was changed"
peer_stop peer
wait_carrier "$NS_A" vnet0 down
stop "${PID[va]}"

# ---- frames that the backend queued while its link was down are not delivered late ----
peer_start peer5 --mode generate --rate 2000
start_vubridge ve "$NS_A" --path "$SOCK_A" --iface vnet0
wait_iface "$NS_A" vnet0
ip -n "$NS_A" link set vnet0 up
wait_carrier "$NS_A" vnet0 up
tell link down
wait_carrier "$NS_A" vnet0 down 2
sleep 0.5 # the ring's 256 buffers are full after an eighth of a second
tell link up
wait_carrier "$NS_A" vnet0 up 2
kill -USR1 "${PID[ve]}"
logged ve 'rxq0: .* stale [1-9]'
stale=$(grep -oE 'rxq0: .* stale [0-9]+' "$TMP/ve.log" | grep -oE '[0-9]+$')
[ "$stale" -gt 128 ] && [ "$stale" -le 256 ] || fail "$stale frames counted as stale, of a ring of 256"
before=$(in_ns "$NS_A" cat /sys/class/net/vnet0/statistics/rx_packets)
sleep 0.2
[ "$(in_ns "$NS_A" cat /sys/class/net/vnet0/statistics/rx_packets)" -gt "$before" ] || fail "it forwards no more"
peer_stop peer5
stop "${PID[ve]}"

# ---- without the capability to set them, address and MTU stay, and the log says so; a veth has
# ---- it
peer_start peer1 --mtu 1400 --mac 02:00:00:00:00:07
start_vubridge vd "$NS_A" --path "$SOCK_A" --iface vnet0
wait_iface "$NS_A" vnet0
ip -n "$NS_A" link set vnet0 up
wait_carrier "$NS_A" vnet0 up
if is_veth; then
  wait_until 5 has_mac 02:00:00:00:00:07 || fail "the backend's address was not taken"
  wait_until 5 has_mtu 1400 || fail "the backend's MTU was not taken"
else
  logged vd 'cannot set the address that the backend gives'
  logged vd "cannot set the backend's mtu 1400"
fi
peer_stop peer1
stop "${PID[vd]}"

# ---- options come first ----
peer_start peer2 --mtu 1400 --mac 02:00:00:00:00:07 --protocol-features 0x1020b
speed=(--speed 25000)
! is_veth || speed=() # its speed is the kernel's to say
start_vubridge vb "$NS_A" --path "$SOCK_A" --iface vnet0 --mtu 1500 --mac 02:00:00:00:00:99 \
  "${speed[@]}"
wait_iface "$NS_A" vnet0
ip -n "$NS_A" link set vnet0 up
wait_carrier "$NS_A" vnet0 up
has_mac 02:00:00:00:00:99 || fail "--mac does not come first"
has_mtu 1500 || fail "--mtu does not come first"
logged vb 'mtu 1500 is larger than the backend.s 1400'
is_veth || [ "$(in_ns "$NS_A" cat /sys/class/net/vnet0/speed)" = 25000 ] || fail "--speed"
peer_stop peer2
stop "${PID[vb]}"

# What comes back at once finds a veth without its carrier yet, and is lost.
if is_veth; then
  log "configuration followed both ways"
  exit 0
fi

# ---- without RARP in the protocol the announcement is a frame; the peer reflects it ----
peer_start peer3 --protocol-features 0x1020b
start_vubridge vc "$NS_A" --path "$SOCK_A" --iface vnet0 --mac 02:00:00:00:00:99
wait_iface "$NS_A" vnet0
ip -n "$NS_A" link set vnet0 up
wait_carrier "$NS_A" vnet0 up
kill -USR1 "${PID[peer3]}"
logged peer3 '^counters .* from_driver [1-9]'
peer_stop peer3
cat >"$TMP/rarp.py" <<'PY'
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x8035))
s.bind((sys.argv[1], 0x8035))
s.settimeout(10)
print("ready", flush=True)
f = s.recv(2000)
mac = bytes.fromhex("020000000099")
assert f[:6] == b"\xff" * 6 and f[6:12] == mac and f[20:22] == b"\0\3", f.hex()
assert f[22:28] == mac and f[32:38] == mac and len(f) >= 60, f.hex()
PY
in_ns "$NS_A" python3 "$TMP/rarp.py" vnet0 >"$TMP/rarp.log" 2>&1 &
rarp=$!
wait_until 5 grep -q ready "$TMP/rarp.log" || fail "rarp.py: $(cat "$TMP/rarp.log")"
peer_start peer4 --protocol-features 0x1020b
wait "$rarp" || fail "the announcement: $(cat "$TMP/rarp.log")"
log "configuration followed both ways"
