#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 280
#
# A whole life, with a TAP and with a veth: the backend connects, gets ready, says link down
# and up in its configuration, is killed, comes back; the interface is set down and up by its
# user, and moved to another namespace, where the backend is killed and comes back once more.
# sysfs and "ip monitor link" show each change once, neither more nor less; sysfs within 10 ms
# of what vubridge heard, the event within 1.1 s (as late as that where the kernel holds it
# back). What the user does is the kernel's own to show.
#
#   ns home: vubridge ── $SOCK_A ── test peer (--commands)
#      vnet0, later in ns away
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"
. "$(dirname "$0")/record.sh"
need_root
need python3 python3
lives=0

# in_time WHAT RECORD STATE [MS]: since the mark the interface came to be "on" or "off" (that
# of an interface that is down, too), in sysfs within MS. How long that took is noted; whether
# it happened is not a matter of time. A second too late is no busy machine, and fails at once.
in_time() {
  local what=$1 name=$2 limit=${4:-10} sysfs event
  local -A carrier=([on]=' carrier on' [off]=' carrier (off|down|gone)')
  local -A told=([on]=' event .*LOWER_UP' [off]=' event ([^<]*<[A-Z,-]*>|Deleted) ')
  wait_until 5 first "$name" "$MARK" "${carrier[$3]}" || fail "$what: the carrier is not $3: $(carriers "$name")"
  wait_until 5 first "$name" "$MARK" "${told[$3]}" || fail "$what: ip monitor tells of nothing"
  sysfs=$(ms "$MARK" "$(first "$name" "$MARK" "${carrier[$3]}")")
  event=$(ms "$MARK" "$(first "$name" "$MARK" "${told[$3]}")")
  log "  $what: sysfs after $sysfs ms, event after $event ms"
  awk -v s="$sysfs" -v e="$event" -v l="$limit" 'BEGIN { exit !(s <= l + 1000 && e <= 2100 + l) }' ||
    fail "$what: sysfs after $sysfs ms, event after $event ms"
  awk -v s="$sysfs" -v e="$event" -v l="$limit" 'BEGIN { exit !(s <= l && e <= 1100) }' && return
  LATE_TIMES[$what]=$((${LATE_TIMES[$what]:-0} + 1))
}

# mark_said RECORD PATTERN: marks when the backend's log said that, by the record of it
mark_said() {
  wait_until 8 first "$1" "$MARK" " line $2" || fail "the backend does not say: $2"
  MARK=$(first "$1" "$MARK" " line $2")
}

# connected WHAT RECORD: to the backend that was started since the mark; what counts from is
# when this took DRIVER_OK
connected() {
  mark_said "$2" "ready $SOCK_A"
  in_time "$1" "$2" on
}

# calm_mark: marks the time when more than a second is over since what was before, so that no
# line is held back as a repeated one, nor an event of the kernel
calm_mark() {
  sleep 1.1
  mark
}

# heard WHAT RECORD STATE: of the backend; what counts from is when this was about to say it
heard() {
  calm_mark
  tell "$1"
  mark_said "$2" "telling $SOCK_A: $1"
  in_time "$1" "$2" "$3"
}

# From the kill itself, before vubridge can know of it.
killed() {
  calm_mark
  peer_stop "peer$lives" KILL
  in_time "$1" "$2" off
}

# What was shown, and nothing else: that is not a matter of time.
check_shown() {
  sleep 1.2 # whatever the kernel might announce late
  # on its way out an interface is down for a moment
  [[ $(carriers home) =~ ^off\ on\ off\ on\ off\ on\ down\ on\ (down\ )?gone$ ]] ||
    fail "sysfs at home: $(carriers home)"
  [[ $(carriers away) =~ ^gone\ down\ (off\ )?on\ off\ on$ ]] || fail "sysfs away: $(carriers away)"
  [ "$(lower_up_changes home)" = 8 ] || fail "$(lower_up_changes home) changes of LOWER_UP at home, not 8"
  [ "$(lower_up_changes away)" = 3 ] || fail "$(lower_up_changes away) changes of LOWER_UP away, not 3"
  [ "$(log_lines va ': carrier on$')" = 4 ] && [ "$(log_lines va ': carrier off: ')" = 3 ] ||
    fail "vubridge saw other changes: $(cat "$TMP/va.log")"
}

# Fails if anything but the time is wrong; what came late is counted in LATE_TIMES.
life() {
  local home=home$lives away=away$lives ns
  ns_add "$home"
  ns_add "$away"
  ns=NS_${home^^} home=${!ns}
  ns=NS_${away^^} away=${!ns}
  SOCK_A=$TMP/$lives.sock
  : >"$TMP/va.log"
  : >"$TMP/peer$lives.log"
  start_vubridge va "$home" --path "$SOCK_A" --iface vnet0
  wait_iface "$home" vnet0
  in_ns "$home" sysctl -qw net.ipv6.conf.vnet0.disable_ipv6=1
  ip -n "$home" link set vnet0 up
  record home "$home" vnet0 "$TMP/peer$lives.log"
  record away "$away" vnet0 "$TMP/peer$lives.log"

  # five moves of the device status, a second each: connected is not ready
  mark
  peer_start "peer$lives" --misbehave slow-at:SET_STATUS --misbehave-times 1
  wait_until 5 grep -q '^connected' "$TMP/peer$lives.log" || fail "vubridge does not connect"
  sleep 3
  [ "$(carriers home)" = off ] || fail "a carrier before DRIVER_OK: $(carriers home)"
  connected "DRIVER_OK" home
  heard "link down" home off
  heard "link up" home on
  killed "backend killed" home
  calm_mark
  peer_start "peer$lives"
  connected "backend back" home

  calm_mark
  ip -n "$home" link set vnet0 down
  in_time "admin down" home off 1000
  calm_mark
  ip -n "$home" link set vnet0 up
  in_time "admin up" home on 1000

  calm_mark
  ip -n "$home" link set vnet0 netns "$away"
  in_time "moved away" home off 1000
  wait_until 5 first away 0 ' carrier down' || fail "it did not arrive"
  calm_mark
  ip -n "$away" link set vnet0 up
  in_time "up over there" away on 1000
  killed "backend killed over there" away
  calm_mark
  peer_start "peer$lives"
  connected "backend back over there" away
  check_shown
  peer_stop "peer$lives"
  stop "${PID[va]}"
  stop "${PID[record-home]}"
  stop "${PID[record-away]}"
}

# A machine that is busy may make one of them late: of each change the median of three may not
# be. After two lives of which nothing was late it is known.
for IFACE_TYPE in tap veth; do
  declare -A LATE_TIMES=()
  for i in 1 2 3; do
    [ $i -lt 3 ] || [ ${#LATE_TIMES[@]} -gt 0 ] || break
    lives=$((lives + 1))
    log "$IFACE_TYPE:"
    life
  done
  for what in "${!LATE_TIMES[@]}"; do
    log "$IFACE_TYPE: late ${LATE_TIMES[$what]} of 3 times: $what"
    [ "${LATE_TIMES[$what]}" -lt 2 ] || fail "$what of a $IFACE_TYPE was late twice"
  done
done
