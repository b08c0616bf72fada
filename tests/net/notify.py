# SPDX-License-Identifier: GPL-2.0-or-later
"""Plays the service manager for the tests.

notify.py listen SOCKET   prints each message of sd_notify(3) that comes, on one line
notify.py hold TID        stops that thread alone, until its own end
"""
import ctypes
import os
import signal
import socket
import sys

PTRACE_SEIZE = 0x4206
PTRACE_INTERRUPT = 0x4207


def listen(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(path)
    os.chmod(path, 0o666)
    print("ready", flush=True)
    while True:
        print(s.recv(65536).decode().replace("\n", " | "), flush=True)


def hold(tid):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    for request in PTRACE_SEIZE, PTRACE_INTERRUPT:
        if libc.ptrace(request, tid, None, None) < 0:
            sys.exit(os.strerror(ctypes.get_errno()))
    print("held", flush=True)
    signal.pause()


if sys.argv[1] == "listen":
    listen(sys.argv[2])
else:
    hold(int(sys.argv[2]))
