# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034 # some of this is for those who source it
# What is compared; sourced after lab.sh.
#
#   vubridge…    this program; what its options are is in the table below
#   testpmd      dpdk-testpmd with net_virtio_user and net_tap, in io mode: what one uses today
#   floor        bench/tap_floor: the TAP by io_uring, and nothing else
#   floor-super  the same with superframes
#   ring         testpmd's net_virtio_user that throws away (rxonly) or makes (txonly) frames
CANDIDATES_ALL=(vubridge vubridge-plain vubridge-merge-off vubridge-offload-off vubridge-busy
  testpmd floor floor-super ring)
CANDIDATES_QUICK=(vubridge vubridge-busy testpmd floor)

declare -A VUBRIDGE_OPTIONS=(
  [vubridge]="--io uring"
  [vubridge-plain]="--io plain"
  [vubridge-merge-off]="--io uring --merge off"
  [vubridge-offload-off]="--io uring --offload off"
  [vubridge-busy]="--io uring --poll busy"
)

CANDIDATE_PIDS=() # of the one that runs
QUEUES=1          # queue pairs, of candidate and backend
QUEUE_SIZE=4096   # descriptors of each ring: what vubridge asks for by itself

# candidate_lacks NAME: the option that this build of vubridge does not have, if there is one
candidate_lacks() {
  local option help
  help=$("$VUBRIDGE" --help)
  for option in ${VUBRIDGE_OPTIONS[$1]:-}; do
    case $option in --*) grep -q -- "^  $option " <<<"$help" || echo "$option" ;; esac
  done
}

# chosen NAME…: those of them that this run compares
chosen() {
  local name
  for name in "$@"; do
    case " ${CANDIDATES[*]} " in *" $name "*) echo "$name" ;; esac
  done
}

# candidate_start NAME NAMESPACE:SOCKET…: one or two ends, each with an interface vnet0, up
# and with carrier; two vubridges, or one testpmd with both
candidate_start() {
  local name=$1 end
  shift
  CANDIDATE_PIDS=()
  record_speeds
  case $name in
  vubridge*) vubridge_candidate "$name" "$@" ;;
  testpmd) testpmd_candidate "$@" ;;
  ring) ring_candidate "$1" rxonly ;;
  *) fail "$name has no socket" ;;
  esac
  if [ "$name" = ring ]; then return; fi
  for end in "$@"; do
    ip -n "${end%%:*}" link set vnet0 up
    wait_carrier "${end%%:*}" vnet0 up
  done
}

vubridge_candidate() {
  local name=$1 end i=0
  shift
  for end in "$@"; do
    # shellcheck disable=SC2086 # its options are words
    start "candidate$i" ip netns exec "${end%%:*}" taskset -c "$CANDIDATE_CPU" "$VUBRIDGE" \
      --path "${end#*:}" --iface vnet0 --queues "$QUEUES" --workers 1 --cpus "$CANDIDATE_CPU" \
      ${VUBRIDGE_OPTIONS[$name]}
    CANDIDATE_PIDS+=("${PID[candidate$i]}")
    wait_iface "${end%%:*}" vnet0
    i=$((i + 1))
  done
}

# A TAP each; the second is made beside the first and then moved. All threads of the process
# share the candidate's processor: net_tap has the kernel send a signal for every packet.
testpmd_candidate() {
  local end i=0 eal=() ns=${1%%:*}
  for end in "$@"; do
    eal+=(--vdev "net_virtio_user$i,path=${end#*:},queues=$QUEUES,queue_size=$QUEUE_SIZE"
      --vdev "net_tap$i,iface=vnet$i")
    i=$((i + 1))
  done
  TESTPMD_PREFIX=(ip netns exec "$ns" taskset -c "$CANDIDATE_CPU")
  TESTPMD_CPU=$CANDIDATE_CPU testpmd_run candidate huge --single-file-segments \
    "${eal[@]}" -- --forward-mode=io --rxq="$QUEUES" --txq="$QUEUES"
  testpmd_forwards candidate
  if [ $# = 2 ]; then
    ip -n "$ns" link set vnet1 netns "${2%%:*}" name vnet0
  fi
  CANDIDATE_PIDS=("${PID[candidate]}")
}

# ring_candidate NAMESPACE:SOCKET MODE [ARGUMENT…]
ring_candidate() {
  local socket=${1#*:} mode=$2
  shift 2
  TESTPMD_PREFIX=(taskset -c "$CANDIDATE_CPU")
  TESTPMD_CPU=$CANDIDATE_CPU testpmd_run candidate huge --single-file-segments \
    --vdev "net_virtio_user0,path=$socket,queues=$QUEUES,queue_size=$QUEUE_SIZE" -- \
    --forward-mode="$mode" --rxq="$QUEUES" --txq="$QUEUES" "$@"
  testpmd_forwards candidate
  CANDIDATE_PIDS=("${PID[candidate]}")
}

testpmd_forwards() {
  wait_until 20 grep -q '^Start automatic packet forwarding' "${TESTPMD_LOG[$1]}" ||
    fail "testpmd ($1) does not forward"
}

# candidate_lost NAME: frames that the one which runs took from the ring and lost, so far
candidate_lost() {
  case $1 in
  vubridge*) vubridge_dropped ;;
  testpmd)
    testpmd_stats candidate 2
    echo $((${STATS[0.RX-packets]} - ${STATS[1.TX-packets]}))
    ;;
  *) echo 0 ;;
  esac
}

# The drops of its receive queues, which it writes to its log when asked.
vubridge_dropped() {
  local log=$TMP/candidate0.log from
  from=$(stat -c %s "$log")
  kill -USR1 "${CANDIDATE_PIDS[0]}"
  wait_until 5 counters_came "$log" "$from" || fail "vubridge writes no counters"
  tail -c +"$((from + 1))" "$log" |
    awk '/ rxq[0-9]+: / { sub(/.*drops:/, ""); for (i = 2; i <= NF; i += 2) n += $i } END { print n + 0 }'
}
counters_came() { tail -c +"$(($2 + 1))" "$1" | grep -q ' tx: drops:'; }
