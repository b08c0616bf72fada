# SPDX-License-Identifier: GPL-2.0-or-later
"""What vubridge is to reach, as ratios in the same run or as numbers."""
from collections import namedtuple

# Of the candidate's @metric in those cases of @row whose names begin with @case. With
# @against it is the ratio to that candidate's, else the value itself. @sense is ">=" or
# "<="; @worst: the worst round counts, not the median.
Aim = namedtuple("Aim", "row case candidate metric against sense value worst", defaults=[False])

AIMS = [
    Aim("1", "early", "vubridge", "frames/s", "testpmd", ">=", 2),
    Aim("1", "early", "vubridge", "frames/s", "floor", ">=", 0.95),
    Aim("2", "early", "vubridge", "frames/s", "testpmd", ">=", 18),
    Aim("3", "early", "vubridge", "frames/s", "testpmd", ">=", 5, True),
    Aim("4", "64 B, 512 flows", "vubridge", "frames/s", "testpmd", ">=", 1.6),
    Aim("4", "64 B, one flow", "vubridge", "frames/s", "testpmd", ">=", 8),
    Aim("4", "1514 B", "vubridge", "frames/s", "testpmd", ">=", 5),
    Aim("5", "no TSO", "vubridge", "Gbit/s", "testpmd", ">=", 7),
    Aim("5", "TSO", "vubridge", "Gbit/s", "testpmd", ">=", 10),
    Aim("5", "OVS", "vubridge", "Gbit/s", "testpmd", ">=", 7),
    Aim("5", "", "vubridge", "retransmits/GB", "testpmd", "<=", 1),
    Aim("6", "idle", "vubridge-busy", "p50 µs", "testpmd", "<=", 1),
    Aim("6", "idle", "vubridge-busy", "p99 µs", "testpmd", "<=", 1),
    Aim("6", "beside TCP", "vubridge", "p99 µs", "testpmd", "<=", 0.5),
    Aim("7", "", "vubridge", "s/GB, all", "testpmd", "<=", 0.2),
    Aim("8", "idle", "vubridge", "processor %", None, "<=", 1),
    Aim("8", "idle", "vubridge", "memory MiB", None, "<=", 32),
    Aim("8", "start", "vubridge", "carrier ms", None, "<=", 50),
]

ROWS = {
    "1": "64 B, 512 flows, backend → kernel",
    "2": "64 B, one UDP flow, backend → kernel",
    "3": "1514 B, 8 TCP flows, backend → kernel",
    "4": "kernel → backend",
    "5": "TCP between two namespaces",
    "6": "round trip of a ping",
    "7": "processor time for each gigabyte of row 5",
    "8": "idle, and from start to carrier",
    "9": "instructions a frame",
    "10": "queue pairs, row 1",
}

# Not in the table, but told below it by the smallest of the row: they say how far to trust it.
EVIDENCE = {
    "offered/taken": "frames that the generator had for each that a candidate took",
    "overflows/s": "frames (superframes: once) that the interface dropped, for more was sent than a "
                   "candidate took",
}
# Beyond this percentage of the time spent waiting for its processor, a sample was disturbed.
WAITED, WAITED_LIMIT = "waited %", 3
