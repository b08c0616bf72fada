#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames for a generator to replay, as a pcap file.

frames.py FILE udp|tcp 4|6 LENGTH FLOWS COUNT TO-MAC [SEGMENTS]

COUNT frames of LENGTH bytes (without the link's checksum), the flows in turn, with right
checksums. Within the file the sequence numbers of a TCP flow are consecutive, and the ids of
IPv4 rise by one in each flow as a Linux sender's do; so a merger that follows the rules of
generic receive offload finds runs that end only where the file begins anew.

With SEGMENTS above 1 there are COUNT superframes of so many segments instead, each with its
virtio-net header in front (10 bytes, link type 147) and its checksum left to be completed.
"""
import ipaddress
import struct
import sys

FROM_MAC = bytes.fromhex("020000000001")
TCP, UDP = 6, 17
TCP_ACK = 0x10
FROM = {4: ipaddress.ip_address("198.18.0.1"), 6: ipaddress.ip_address("2001:2::1")}
TO = {4: ipaddress.ip_address("198.18.0.2"), 6: ipaddress.ip_address("2001:2::2")}
PORT = 9000
DLT_EN10MB, DLT_USER0 = 1, 147
ETH_LEN = 14
NETWORK_LEN = {4: 20, 6: 40}
TRANSPORT_LEN = {TCP: 32, UDP: 8}
CHECKSUM_AT = {TCP: 16, UDP: 6}
VIRTIO_NET_HDR_F_NEEDS_CSUM = 1
GSO_TYPE = {(TCP, 4): 1, (TCP, 6): 4, (UDP, 4): 5, (UDP, 6): 5}


def sum16(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


class Flows:
    """Frames of one kind: a protocol, an IP version, a payload."""

    def __init__(self, protocol, version, length, mac):
        self.protocol, self.version = protocol, version
        self.headers = ETH_LEN + NETWORK_LEN[version] + TRANSPORT_LEN[protocol]
        self.payload = bytes(i & 0xFF for i in range(length - self.headers))
        self.link = mac + FROM_MAC + struct.pack("!H", 0x0800 if version == 4 else 0x86DD)

    def pseudo_sum(self, length):
        addresses = FROM[self.version].packed + TO[self.version].packed
        return sum16(addresses + struct.pack("!II", length, self.protocol))

    def transport(self, flow, number):
        """The header of the flow's packet @number, its checksum 0."""
        if self.protocol == UDP:
            return struct.pack("!HHHH", 1024 + flow, PORT, 0, 0)
        # with time stamps, as nearly all TCP has them
        return struct.pack("!HHIIBBHHHBBBBII", 1024 + flow, PORT, 1 + number * len(self.payload),
                           1, 8 << 4, TCP_ACK, 512, 0, 0, 1, 1, 8, 10, 1000, 2000)

    def network(self, number, length):
        addresses = FROM[self.version].packed + TO[self.version].packed
        if self.version == 6:
            return struct.pack("!IHBB", 6 << 28, length, self.protocol, 64) + addresses
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, number & 0xFFFF, 0x4000, 64,
                           self.protocol, 0) + addresses
        return head[:10] + struct.pack("!H", ~sum16(head) & 0xFFFF) + head[12:]

    def frame(self, flow, number, segments):
        """A frame, or a superframe that leaves its checksum to whoever cuts it."""
        segment = self.transport(flow, number) + self.payload * segments
        length = len(segment)
        if self.protocol == UDP:
            segment = segment[:4] + struct.pack("!H", length) + segment[6:]
        if segments > 1:
            value = self.pseudo_sum(length)
        else:
            value = ~sum16(struct.pack("!H", self.pseudo_sum(length)) + segment) & 0xFFFF or 0xFFFF
        at = CHECKSUM_AT[self.protocol]
        segment = segment[:at] + struct.pack("!H", value) + segment[at + 2:]
        return self.link + self.network(number, length) + segment

    def vnet_hdr(self):
        transport_at = ETH_LEN + NETWORK_LEN[self.version]
        return struct.pack("<BBHHHH", VIRTIO_NET_HDR_F_NEEDS_CSUM,
                           GSO_TYPE[self.protocol, self.version], self.headers, len(self.payload),
                           transport_at, CHECKSUM_AT[self.protocol])


def main(path, protocol, version, length, flows, count, mac, segments="1"):
    flows, count, segments = int(flows), int(count), int(segments)
    kind = Flows({"udp": UDP, "tcp": TCP}[protocol], int(version), int(length),
                 bytes.fromhex(mac.replace(":", "")))
    vnet_hdr = kind.vnet_hdr() if segments > 1 else b""
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 70000,
                            DLT_USER0 if vnet_hdr else DLT_EN10MB))
        for i in range(count):
            record = vnet_hdr + kind.frame(i % flows, i // flows * segments, segments)
            f.write(struct.pack("<IIII", 0, 0, len(record), len(record)) + record)


if __name__ == "__main__":
    if len(sys.argv) not in (8, 9):
        sys.exit(__doc__)
    main(*sys.argv[1:])
