#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Sends pseudo-random bytes by TCP and prints the hash of what went out or came in.

transfer.py receive ADDRESS    prints "SHA256 BYTES"
transfer.py send ADDRESS MIB   the same

By UDP each datagram carries its number and the hash of its bytes:

transfer.py udp-receive ADDRESS COUNT   fails at a wrong one, and if most are missing
transfer.py udp-send ADDRESS COUNT
"""
import hashlib
import os
import socket
import sys
import time

PORT = 5400
CHUNK = 1 << 20


def receive(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, PORT), family=family) as server:
        server.settimeout(30)
        connection, _ = server.accept()
        connection.settimeout(60)
        digest, total = hashlib.sha256(), 0
        buffer = bytearray(CHUNK)
        while n := connection.recv_into(buffer):
            digest.update(memoryview(buffer)[:n])
            total += n
    print(digest.hexdigest(), total)


def connect(address):
    for _ in range(100):
        try:
            return socket.create_connection((address, PORT), timeout=5)
        except OSError:
            time.sleep(0.1)
    sys.exit("nobody listens at " + address)


def send(address, mib):
    # other bytes in each MiB, from a few random ones: making them must cost little
    base = bytearray(os.urandom(CHUNK))
    digest, total = hashlib.sha256(), 0
    with connect(address) as connection:
        connection.settimeout(60)
        for i in range(mib):
            base[:8] = i.to_bytes(8, "little")
            digest.update(base)
            connection.sendall(base)
            total += len(base)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
    print(digest.hexdigest(), total)


def udp_socket(address):
    return socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)


def udp_payload(number):
    """Of 20 to 1400 bytes, and another one for each number."""
    body = number.to_bytes(4, "big") * (5 + number * 7 % 342)
    return number.to_bytes(4, "big") + hashlib.sha256(body).digest()[:8] + body


def udp_receive(address, count):
    seen = set()
    with udp_socket(address) as s:
        s.bind((address, PORT))
        s.settimeout(3)
        print("ready", flush=True)
        try:
            while len(seen) < count:
                data = s.recv(2000)
                if data == b"end":
                    break
                number = int.from_bytes(data[:4], "big")
                if number >= count or data != udp_payload(number):
                    sys.exit("a datagram of %d bytes is wrong" % len(data))
                seen.add(number)
        except socket.timeout:
            pass
    if len(seen) < count // 2:
        sys.exit("%d of %d datagrams came" % (len(seen), count))
    print(len(seen), "of", count, "datagrams, each with its hash")


def udp_send(address, count):
    with udp_socket(address) as s:
        s.connect((address, PORT))
        for i in range(count):
            s.send(udp_payload(i))
            if i % 20 == 19:
                time.sleep(0.005)
        time.sleep(0.2)
        for _ in range(3):
            try:
                s.send(b"end")
            except ConnectionRefusedError:
                break  # it has all of them and is gone


if sys.argv[1] == "udp-receive":
    udp_receive(sys.argv[2], int(sys.argv[3]))
elif sys.argv[1] == "udp-send":
    udp_send(sys.argv[2], int(sys.argv[3]))
elif sys.argv[1] == "receive":
    receive(sys.argv[2])
else:
    send(sys.argv[2], int(sys.argv[3]))
