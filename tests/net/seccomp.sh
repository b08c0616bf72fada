#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# System calls of a running daemon: those that it needs pass (every other test runs with the
# filter too), one that it does not need ends it, in any of its threads.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"
need_root
need python3 python3
[ "${SANITIZERS:-no}" = no ] || skip "a build with sanitizers has no filter"
[ "$(uname -m)" = x86_64 ] || skip "inject.py knows the registers of x86-64 alone"

GETPPID=110 GETPID=39 FORK=57 PTRACE=101
inject() { python3 "$LIB_DIR/inject.py" "$@"; }
# filtered NAME MODE: in each of its threads; 2: there is a filter, 0: there is none. A thread may
# end while it is looked at.
modes() { cat "/proc/$1/task"/*/status 2>/dev/null | sed -n 's/^Seccomp:[[:blank:]]*//p' | sort -u; }
filtered() {
  local modes
  modes=$(modes "${PID[$1]}" || true)
  [ "$modes" = "$2" ] || fail "$1 has Seccomp $modes, not $2"
  [ "$(find "/proc/${PID[$1]}/task" -mindepth 1 -maxdepth 1 | wc -l)" -ge 2 ] || fail "$1 has no worker"
}
# ends_by_filter NAME
ends_by_filter() {
  local status=0
  wait "${PID[$1]}" || status=$?
  [ "$status" = $((128 + $(kill -l SYS))) ] || fail "$1 ended with status $status, not by SIGSYS"
  if is_veth; then ip -n "$NS_A" link del vnet0; fi # a pair stays for the next one
  wait_until 2 sh -c "! ip -n '$NS_A' link show dev vnet0" || fail "its interface is left"
}
va_start() {
  start_vubridge va "$NS_A" --path "$SOCK_A" --iface vnet0 "$@"
  wait_iface "$NS_A" vnet0
  address "$NS_A" vnet0 10.0.0.1/24 fd00::1/64
  pair_wait up
}

cross_start
pair_start
pair_wait up
pair_ping
filtered va 2
filtered vb 2
# what is allowed goes on, so that what follows is the filter's doing and not the test's
[ "$(inject "${PID[va]}" $GETPID)" = "returned ${PID[va]}" ] || fail "an allowed call"
[ "$(inject "$(worker_of "${PID[va]}")" $GETPID)" = "returned ${PID[va]}" ] || fail "an allowed call in a worker"
pair_ping
[ "$(inject "${PID[va]}" $GETPPID)" = 'killed by SIGSYS' ] || fail "a forbidden call in the control thread"
ends_by_filter va
va_start --io plain
filtered va 2
[ "$(inject "$(worker_of "${PID[va]}")" $FORK)" = 'killed by SIGSYS' ] || fail "a forbidden call in a worker"
ends_by_filter va
chmod 755 "$TMP"
chmod 777 "$SOCK_A"
va_start --user nobody
filtered va 2
[ "$(inject "$(worker_of "${PID[va]}")" $PTRACE)" = 'killed by SIGSYS' ] || fail "a forbidden call as nobody"
ends_by_filter va

va_start --seccomp off
filtered va 0
inject "${PID[va]}" $GETPPID | grep -q '^returned [1-9]' || fail "--seccomp off: $(inject "${PID[va]}" $GETPPID)"
pair_ping
log "system calls that are not needed kill, in every thread"
