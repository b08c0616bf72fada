#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
#
# RESTARTS (25) restarts each of testpmd and OVS-DPDK, half by kill -9, under traffic, on the
# laboratory of pair.sh. PEERS ("testpmd ovs") chooses.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/peers.sh"
. "$(dirname "$0")/pair.sh"
need_root
restarts=${RESTARTS:-12}

measure() {
  for x in va vb; do echo "$(fds "${PID[$x]}") $(own_kb "${PID[$x]}")"; done
}

same_as_first() {
  local f0 r0 f1 r1
  while read -r f0 r0 f1 r1; do
    [ "${2:-}" = quietly ] || log "$1: descriptors $f0 -> $f1, memory of its own $r0 -> $r1 KiB"
    [ "$f0" = "$f1" ] || fail "$1: descriptors leak"
    [ "$r1" -le $((r0 + 1024)) ] || fail "$1: memory leaks"
  done < <(paste -d ' ' <(echo "$first") <(measure))
}

# life PEER START STOP: the restarts; STOP is given a signal
life() {
  local i signal
  first=
  for ((i = 0; i <= restarts; i++)); do
    $2
    pair_wait up 40
    wait_until 10 ping_ok "$NS_A" 10.0.0.2 || fail "$1: no ping after restart $i"
    if [ -z "$first" ]; then
      sleep 0.5
      first=$(measure)
    fi
    same_as_first "$1" quietly
    sleep 0.0$((RANDOM % 10))
    [ "$i" = "$restarts" ] && break
    signal=TERM
    [ $((RANDOM % 2)) = 0 ] && signal=KILL
    $3 $signal
    pair_wait down
  done
  sleep 0.5
  same_as_first "$1"
  log "$1: $restarts restarts"
  $3 TERM
  pair_wait down
}

pmd_up() { testpmd_start pmd huge io "$SOCK_A" "$SOCK_B"; }
pmd_down() { stop "${PID[pmd]}" "$1"; }
ovs_up() {
  # OVS does not replace the file of one that was killed: its start scripts have to
  rm -f "$TMP/ovs/vhu-a" "$TMP/ovs/vhu-b"
  ovs_daemon
  wait_until 10 test -S "$TMP/ovs/vhu-a" || fail "OVS did not make its socket"
}
ovs_down() {
  stop "${PID[ovs]}" "$1"
}

traffic() {
  local x
  pair_neighbours
  for x in "$NS_A 10.0.0.2" "$NS_B 10.0.0.1"; do
    # shellcheck disable=SC2086
    set -- $x
    in_ns "$1" ping -q -i 0.002 -s 1000 "$2" >/dev/null 2>&1 &
    LIB_PIDS+=("$!")
  done
}

for peer in ${PEERS:-testpmd ovs}; do
  case $peer in
  testpmd)
    need_testpmd
    pair_start
    traffic
    life testpmd pmd_up pmd_down
    stop "${PID[va]}"
    stop "${PID[vb]}"
    for ns in "$NS_A" "$NS_B"; do
      for p in $(ip netns pids "$ns"); do stop "$p" KILL; done
      ip netns del "$ns"
    done
    ;;
  ovs)
    need_ovs
    ovs_start
    ovs_bridge br0
    ovs_port br0 vhu-a dpdkvhostuser
    ovs_port br0 vhu-b dpdkvhostuser
    stop "${PID[ovs]}"
    SOCK_A=$TMP/ovs/vhu-a
    SOCK_B=$TMP/ovs/vhu-b
    pair_start
    traffic
    life OVS ovs_up ovs_down
    ;;
  esac
done
