#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 200
#
# vubctl capture, its file opened by tshark: exactly the frames that were sent, in their
# direction and queue, with their virtio-net header; the limits; readers that stall or die.
#
#   ns a                                                  ns b
#   vnet0 ── vubridge ── $SOCK_A ── backend ── $SOCK_B ── vubridge ── vnet0
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"
need_root
need tshark tshark
need jq jq
need python3 python3
need setpriv util-linux

ctl=$TMP/va.control
file=$TMP/file.pcapng
begun=0 # captures

# capture_start NAME ARGUMENT…: in the background, recording when it returns
capture_start() {
  local name=$1
  shift
  : >"$TMP/$name.err"
  "$VUBCTL" -i "$ctl" capture "$@" >"$TMP/$name.out" 2>"$TMP/$name.err" </dev/null &
  PID[$name]=$!
  LIB_PIDS+=("$!")
  begun=$((begun + 1))
  wait_until 5 capture_is_on "${PID[$name]}" || fail "$name does not begin: $(cat "$TMP/$name.err")"
}
# this reader, and not that of a test beside, has what the workers have already
capture_is_on() { grep -qs vubridge-capture "/proc/$1/maps"; }
capture_is_off() { [ -z "$(find "/proc/${PID[va]}/fd" -lname '*vubridge-capture*')" ]; }
# capture_ends NAME STATUS PATTERN: it ends by itself, and says so
capture_ends() {
  local status=0
  wait_until 10 ended "${PID[$1]}" || fail "$1 does not end"
  wait "${PID[$1]}" || status=$?
  [ "$status" = "$2" ] || fail "$1: status $status, not $2: $(cat "$TMP/$1.err")"
  grep -qE -- "$3" "$TMP/$1.err" || fail "$1 said: $(cat "$TMP/$1.err")"
  wait_until 5 capture_is_off || fail "the daemon goes on recording after $1"
}
# capture_end NAME SIGNAL PATTERN
capture_end() {
  sleep 0.2 # the last frames
  kill -"$2" "${PID[$1]}"
  capture_ends "$1" 0 "$3"
}
# fields FILTER FIELD…: of the frames in the file, separated by spaces
fields() {
  local filter=$1 field arguments=()
  shift
  for field in "$@"; do arguments+=(-e "$field"); done
  tshark -r "$file" -Y "$filter" -T fields -E separator=' ' "${arguments[@]}" 2>"$TMP/tshark.err" ||
    fail "tshark: $(cat "$TMP/tshark.err")"
}
# count N FILTER
count() {
  local got
  got=$(fields "$2" frame.number | wc -l)
  [ "$got" = "$1" ] || fail "$got frames are '$2', not $1: $(tshark -r "$file" 2>/dev/null | head -n 30)"
}
# udp NS FROM TO NUMBER…: a datagram for each, of NUMBER bytes that say so
udp() {
  in_ns "$1" python3 - "${@:2}" <<'PYTHON'
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 5000))
for n in map(int, sys.argv[3:]):
    s.sendto(bytes((n + i) % 256 for i in range(n)), (sys.argv[2], 6000))
PYTHON
}

cross_start --queues 2
# what the kernel sends by itself is not what is asked for
ipv4_only() { in_ns "$1" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1; }
ns_add a
ns_add b
ipv4_only "$NS_A"
ipv4_only "$NS_B"
for side in a b; do
  ns=NS_${side^^} socket=SOCK_${side^^}
  start_vubridge "v$side" "${!ns}" --path "${!socket}" --iface vnet0 --queues 2
  wait_iface "${!ns}" vnet0
done
address "$NS_A" vnet0 10.0.0.1/24
address "$NS_B" vnet0 10.0.0.2/24
pair_neighbours
pair_wait up
wait_until 5 ping_ok "$NS_A" 10.0.0.2 || fail "ping"

# ---- what passes, and nothing else ----

capture_start all "$file"
udp "$NS_A" 10.0.0.1 10.0.0.2 100 101 102 1000
udp "$NS_B" 10.0.0.2 10.0.0.1 200 1400
in_ns "$NS_A" ping -q -c 2 -i 0.05 10.0.0.2 >/dev/null
capture_end all INT '^[^ ]+: [0-9]+ frames captured, 0 dropped$'
[ "$(stat -c %a "$file")" = 600 ] || fail "others may read the file: $(stat -c %a "$file")"
# nor one that was there before, of which nothing is left
head -c 1000000 /dev/zero >"$TMP/there.pcapng"
chmod 644 "$TMP/there.pcapng"
capture_start there "$TMP/there.pcapng"
is_private() { [ "$(stat -c %a "$TMP/there.pcapng")" = 600 ]; }
wait_until 5 is_private || fail "others may read a file that was there: $(stat -c %a "$TMP/there.pcapng")"
capture_end there INT '^[^ ]+: [0-9]+ frames captured, 0 dropped$'
[ "$(stat -c %s "$TMP/there.pcapng")" -lt 1000000 ] || fail "what was in the file is still there"
tshark -r "$file" >"$TMP/text" 2>"$TMP/tshark.err" || fail "tshark: $(cat "$TMP/tshark.err")"
! grep -iE 'malformed|error' "$TMP/text" "$TMP/tshark.err" || fail "tshark complains"
captured=$(sed -nE 's/.*: ([0-9]+) frames captured.*/\1/p' "$TMP/all.err")
count "$captured" frame
# answers to datagrams that nobody waits for come back too
count 6 'udp && !icmp'
count 4 'udp.dstport == 6000 && ip.src == 10.0.0.1 && frame.packet_flags_direction == 2 && !icmp'
count 2 'udp.dstport == 6000 && ip.src == 10.0.0.2 && frame.packet_flags_direction == 1 && !icmp'
count 2 'icmp.type == 8 && frame.packet_flags_direction == 2'
count 2 'icmp.type == 0 && frame.packet_flags_direction == 1'
# a queue and a direction are an interface
[ "$(fields frame frame.interface_name frame.packet_flags_direction frame.interface_queue | sort -u |
  grep -cE '^vnet0:(rxq([01]) 0x00000001 \2|txq([01]) 0x00000002 \3)$')" -ge 2 ] ||
  fail "interfaces: $(fields frame frame.interface_name frame.packet_flags_direction frame.interface_queue | sort -u)"
for name in rxq0 txq0 rxq1 txq1; do
  capinfos "$file" 2>/dev/null | grep -q "Name = vnet0:$name$" || fail "no interface $name"
done
# each byte is as it was sent
fields 'udp.dstport == 6000 && !icmp' udp.length data.data | sort >"$TMP/got"
python3 -c '
for n in 100, 101, 102, 1000, 200, 1400:
    print(n + 8, bytes((n + i) % 256 for i in range(n)).hex())' | sort >"$TMP/sent"
diff "$TMP/sent" "$TMP/got" >"$TMP/diff" || fail "the contents differ: $(cut -c -100 "$TMP/diff")"
# the header is there, and time is now
header='^virtio-net flags=[A-Z0-9_|x]+ gso_type=[A-Z0-9_]+ hdr_len=[0-9]+ gso_size=[0-9]+ '
header+='csum_start=[0-9]+ csum_offset=[0-9]+ num_buffers=[0-9]+$'
count "$captured" "frame.comment matches \"$header\""
count 6 'udp.dstport == 6000 && !icmp && frame.comment contains "flags=NEEDS_CSUM gso_type=NONE hdr_len=" &&
  frame.comment contains "csum_start=34 csum_offset=6"'
[ "$(($(date +%s) - $(fields frame frame.time_epoch | tail -n 1 | cut -d. -f1)))" -lt 60 ] || fail "the time"
[ "$(fields frame frame.time_epoch | sort -n | md5sum)" = "$(fields frame frame.time_epoch | md5sum)" ] ||
  fail "frames are not in the order of time"

# superframes: more than the MTU, with what the header says of them
capture_start super "$file" --snaplen 100
transfer "$NS_A" "$NS_B" 10.0.0.2 5
capture_end super TERM 'frames captured'
[ "$(fields 'frame.len > 10000 && frame.cap_len == 100 && frame.comment contains "gso_size=1448" &&
  frame.comment contains "flags=NEEDS_CSUM gso_type=TCPV4"' frame.number | wc -l)" -gt 50 ] ||
  fail "no superframes: $(fields 'frame.len > 2000' frame.len frame.comment | head -n 3)"

# ---- the limits ----

capture_start count "$file" --count 5
in_ns "$NS_A" ping -q -c 20 -i 0.01 10.0.0.2 >/dev/null
capture_ends count 0 ': 5 frames captured, 0 dropped$'
count 5 icmp
capture_start one --count 1 --snaplen 42 --direction tx "$file"
in_ns "$NS_A" ping -q -c 3 -i 0.01 10.0.0.2 >/dev/null
capture_ends one 0 ': 1 frames captured'
count 1 'icmp.type == 8 && frame.cap_len == 42 && frame.len == 98'
for direction in rx tx; do
  capture_start direction "$file" --direction $direction
  in_ns "$NS_A" ping -q -c 3 -i 0.01 10.0.0.2 >/dev/null
  capture_end direction INT ': 3 frames captured'
  [ $direction = rx ] && type=0 || type=8
  count 3 "icmp.type == $type && frame.interface_name matches \"^vnet0:${direction}q[01]\$\""
done
# flows spread over both queues; each frame is in the file of its queue
for queue in 0 1; do
  "$VUBCTL" -j -i "$ctl" stats >"$TMP/before.json"
  capture_start queue "$file" --queue $queue
  for port in {1..20}; do in_ns "$NS_A" ping -q -c 1 -s $((100 + port)) 10.0.0.2 >/dev/null; done
  udp "$NS_A" 10.0.0.1 10.0.0.2 {100..140}
  sleep 0.3
  "$VUBCTL" -j -i "$ctl" stats >"$TMP/after.json"
  capture_end queue INT 'frames captured'
  for direction in rx tx; do
    wanted=$(jq -s ".[1][0].queues[$queue].$direction.frames - .[0][0].queues[$queue].$direction.frames" \
      "$TMP/before.json" "$TMP/after.json")
    count "$wanted" "frame.interface_name == \"vnet0:${direction}q$queue\""
  done
  count 0 "!(frame.interface_queue == $queue)"
done

# ---- the standard output, and JSON ----

"$VUBCTL" -i "$ctl" capture - --count 4 2>"$TMP/pipe.err" |
  tshark -r - -T fields -e icmp.type >"$TMP/pipe" 2>"$TMP/tshark.err" &
pid=$!
LIB_PIDS+=("$pid")
wait_until 5 capture_is_on "$(jobs -p %%)" || fail "capture -: $(cat "$TMP/pipe.err")"
in_ns "$NS_A" ping -q -c 2 -i 0.05 10.0.0.2 >/dev/null
wait "$pid" || fail "tshark reads no pipe: $(cat "$TMP/tshark.err" "$TMP/pipe.err")"
[ "$(tr '\n' ' ' <"$TMP/pipe")" = '8 0 8 0 ' ] || fail "capture -: $(cat "$TMP/pipe")"
"$VUBCTL" -j -i "$ctl" capture "$file" --count 2 >"$TMP/json" &
pid=$!
LIB_PIDS+=("$pid")
wait_until 5 capture_is_on "$pid" || fail "capture -j"
in_ns "$NS_A" ping -q -c 2 -i 0.05 10.0.0.2 >/dev/null
wait "$pid" || fail "capture -j: status $?"
jq -e --arg file "$file" '.captured == 2 and .dropped == 0 and .file == $file' "$TMP/json" >/dev/null ||
  fail "capture -j: $(cat "$TMP/json")"

# ---- readers that stall, die, or cannot write; and one at a time ----

# more than a ring holds
load() { transfer "$NS_A" "$NS_B" 10.0.0.2 100; }
capture_start stalled "$file"
kill -STOP "${PID[stalled]}"
load
wait_until 5 ping_ok "$NS_A" 10.0.0.2 || fail "traffic stalls with the reader"
status=0
"$VUBCTL" -i "$ctl" capture "$TMP/second" 2>"$TMP/second.err" || status=$?
[ $status = 1 ] && grep -q 'there is a capture already' "$TMP/second.err" ||
  fail "a second capture: $status, $(cat "$TMP/second.err")"
[ ! -e "$TMP/second" ] || fail "a capture that was refused made a file"
kill -CONT "${PID[stalled]}"
sleep 0.3
in_ns "$NS_A" ping -q -c 3 -i 0.05 10.0.0.2 >/dev/null
capture_end stalled INT ': [0-9]+ frames captured, [1-9][0-9]* dropped$'
# what is missing is told in the file: before the next packet, and in the statistics
dropped=$(sed -nE 's/.*, ([0-9]+) dropped$/\1/p' "$TMP/stalled.err")
python3 - "$file" "$dropped" <<'PYTHON' || fail "what the file tells of what is missing"
import struct, sys
data, at, told, gaps, statistics = open(sys.argv[1], "rb").read(), 0, 0, 0, 0
while at < len(data):
    kind, length = struct.unpack_from("=II", data, at)
    if kind in (5, 6):
        o = at + (20 if kind == 5 else 28 + (struct.unpack_from("=I", data, at + 20)[0] + 3) // 4 * 4)
        while True:
            code, n = struct.unpack_from("=HH", data, o)
            if code == 0:
                break
            if (kind, code) == (6, 4):
                gaps += struct.unpack_from("=Q", data, o + 4)[0]
            if (kind, code) == (5, 5):
                high, low = struct.unpack_from("=II", data, o + 4)
                statistics += struct.unpack_from("=Q", data, o + 4)[0]
            o += 4 + (n + 3) // 4 * 4
    at += length
print(f"dropped {sys.argv[2]}: statistics {statistics}, before packets {gaps}")
sys.exit(not (statistics == int(sys.argv[2]) >= gaps > 0))
PYTHON

capture_start killed "$file"
in_ns "$NS_A" ping -q -c 3 -i 0.05 10.0.0.2 >/dev/null
stop "${PID[killed]}" KILL
wait_until 5 capture_is_off || fail "a dead reader's capture goes on"
wait_until 5 ping_ok "$NS_A" 10.0.0.2 || fail "traffic after a reader's death"
status=0
"$VUBCTL" -i "$ctl" capture /dev/full 2>"$TMP/full.err" || status=$?
[ $status = 1 ] && grep -q "^vubctl: capture '/dev/full': cannot write it: No space left on device$" "$TMP/full.err" ||
  fail "a full disk: status $status, $(cat "$TMP/full.err")"
wait_until 5 capture_is_off || fail "the capture goes on without a file"
fds_before=$(fds "${PID[va]}")
for ((i = 0; i < 20; i++)); do
  "$VUBCTL" -i "$ctl" capture "$file" 2>/dev/null &
  pid=$!
  LIB_PIDS+=("$pid")
  sleep 0.02
  stop "$pid" KILL
done
wait_until 5 capture_is_off || fail "a dead reader's capture goes on"
[ "$(fds "${PID[va]}")" = "$fds_before" ] ||
  fail "descriptors are left: $(fds "${PID[va]}"), before $fds_before"

# ---- who may, and what is refused ----

refused() {
  local want=$1 pattern=$2 status=0
  shift 2
  "$VUBCTL" -i "$ctl" capture "$@" >"$TMP/out" 2>"$TMP/err" </dev/null || status=$?
  [ "$status" = "$want" ] || fail "capture $*: status $status, not $want: $(cat "$TMP/err")"
  grep -qE -- "^vubctl: $pattern" "$TMP/err" || fail "capture $*: $(cat "$TMP/err")"
  [ "$(wc -l <"$TMP/err")" = 1 ] && [ ! -s "$TMP/out" ] || fail "capture $*: more than one line"
}
none=$TMP/none
refused 2 'capture: takes a file'
refused 2 "capture 'b': takes one file" a b
refused 2 'capture --frob: unknown option' "$none" --frob 1
refused 2 'capture --count: needs a value' "$none" --count
refused 2 "capture --count '0': must be" "$none" --count 0
refused 2 "capture --count 'x': must be" "$none" --count x
refused 1 ".*: snaplen '0': must be a whole number from 1 to 65600" "$none" --snaplen 0
refused 1 ".*: snaplen '65601': must be" "$none" --snaplen 65601
refused 1 ".*: queue '2': must be a number below 2" "$none" --queue 2
refused 1 ".*: queue '-1': must be" "$none" --queue -1
refused 1 ".*: direction 'up': must be one of rx, tx" "$none" --direction up
[ ! -e "$none" ] || fail "a capture that was refused made a file"
refused 1 "capture '$TMP/no/file': No such file" "$TMP/no/file"
chmod 755 "$TMP"
cp "$VUBCTL" "$TMP/vubctl"
chgrp nogroup "$ctl" 2>/dev/null || chgrp nobody "$ctl"
status=0
setpriv --reuid nobody --regid "$(stat -c %g "$ctl")" --clear-groups "$TMP/vubctl" -i "$ctl" capture "$none" \
  2>"$TMP/err" || status=$?
[ $status = 1 ] && grep -q 'no permission: only root' "$TMP/err" || fail "the group may capture: $(cat "$TMP/err")"

# ---- a backend without superframes: as they are cut, and before they are merged ----

stop "${PID[peer]}"
pair_wait down
cross_start --queues 2 --no-feature HOST_TSO4 --no-feature HOST_TSO6 --no-feature HOST_ECN \
  --no-feature GUEST_TSO4 --no-feature GUEST_TSO6 --no-feature GUEST_ECN
pair_wait up
capture_start cut "$file" --snaplen 100
transfer "$NS_A" "$NS_B" 10.0.0.2 5
transfer "$NS_B" "$NS_A" 10.0.0.1 5
capture_end cut INT 'frames captured'
"$VUBCTL" -j -i "$ctl" stats | jq -e 'first.queues | all(map(.rx, .tx) | map(.superframes) | add; . > 0)' \
  >/dev/null || fail "nothing was merged or cut"
count 0 'frame.len > 1514'
for direction in 1 2; do
  [ "$(fields "frame.len == 1514 && frame.packet_flags_direction == $direction" frame.number | wc -l)" -gt 2000 ] ||
    fail "hardly any full frames in direction $direction"
done

# ---- the daemon's end, and that of the rings ----

capture_start reconnecting "$file"
"$VUBCTL" -i "$ctl" reconnect
wait_until 5 test "$(log_lines va 'carrier on')" -ge 2 || true
pair_wait up
wait_until 5 ping_ok "$NS_A" 10.0.0.2 || fail "ping after a reconnect"
capture_end reconnecting INT 'frames captured'
count 3 'icmp.type == 8 && frame.packet_flags_direction == 2'
capture_start last "$file"
in_ns "$NS_A" ping -q -c 3 -i 0.05 10.0.0.2 >/dev/null
sleep 0.2
stop "${PID[va]}"
status=0
wait_until 5 ended "${PID[last]}" || fail "capture does not end with its vubridge"
wait "${PID[last]}" || status=$?
[ $status = 1 ] && grep -q '6 frames captured, 0 dropped' "$TMP/last.err" &&
  grep -q 'the connection has ended' "$TMP/last.err" ||
  fail "at the end of its vubridge: $status, $(cat "$TMP/last.err")"
count 6 icmp
log "captures: $begun"
