#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Raw Ethernet frames of any length, with and without a VLAN tag, checked byte by byte.

frames.py receive IFACE COUNT           ready on standard output, then the verdict
frames.py send IFACE TO-MAC LENGTH…     "100" a plain frame of 100 bytes, "100t" a tagged one

Lengths are those on the wire without checksum: from 60 on, as a network card would send.
"""
import hashlib
import socket
import struct
import sys
import time

ETHERTYPE = 0x88B5  # for local experiments
VLAN = 7
SOL_PACKET, PACKET_AUXDATA = 263, 8
TP_STATUS_VLAN_VALID = 0x10
ETH_P_ALL = 3


def body(number, length):
    out, i = b"", 0
    while len(out) < length:
        out += hashlib.sha256(struct.pack("!II", number, i)).digest()
        i += 1
    return out[:length]


def make(number, length, tagged, to, source):
    head = to + source
    if tagged:
        head += struct.pack("!HH", 0x8100, VLAN)
    head += struct.pack("!HIII", ETHERTYPE, number, length, tagged)
    return head + body(number, length - len(head))


def send(iface, to, lengths):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind((iface, 0))
    with open(f"/sys/class/net/{iface}/address") as f:
        source = bytes.fromhex(f.read().strip().replace(":", ""))
    # again and again: a backend that gets no processor for a while drops some
    for _ in range(10):
        for number, text in enumerate(lengths):
            tagged = text.endswith("t")
            s.send(make(number, int(text.rstrip("t")), tagged, bytes.fromhex(to.replace(":", "")), source))
            time.sleep(0.002)
        time.sleep(0.2)


def receive_one(s):
    """A frame with its tag where it was on the wire: the kernel hands it over beside."""
    data, control, _, _ = s.recvmsg(70000, 256)
    for level, kind, value in control:
        if level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, _, _, _, _, tci, tpid = struct.unpack("IIIHHHH", value[:20])
            if status & TP_STATUS_VLAN_VALID:
                data = data[:12] + struct.pack("!HH", tpid or 0x8100, tci) + data[12:]
    return data


def receive(iface, count):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    s.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    s.bind((iface, ETH_P_ALL))
    s.settimeout(10)
    print("ready", flush=True)
    seen, last, rounds = set(), -1, 1
    while len(seen) < count:
        data = receive_one(s)
        tagged = data[12:14] == b"\x81\x00"
        at = 16 if tagged else 12
        if data[at:at + 2] != struct.pack("!H", ETHERTYPE):
            continue
        number, length, was_tagged = struct.unpack("!III", data[at + 2:at + 14])
        # in order within a round
        if number == last or data != make(number, length, was_tagged, data[:6], data[6:12]):
            sys.exit(f"frame {number} of {length} bytes (tagged {was_tagged}) came as {len(data)} "
                     f"bytes, after frame {last}: {data[:40].hex()}")
        if number < last:
            rounds += 1
        if rounds > 10:
            sys.exit(f"frame {number} came after frame {last}: out of order")
        seen.add(number)
        last = number
    print(f"{count} frames, every byte as sent", flush=True)


if sys.argv[1] == "receive":
    receive(sys.argv[2], int(sys.argv[3]))
else:
    send(sys.argv[2], sys.argv[3], sys.argv[4:])
