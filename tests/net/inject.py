#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""inject.py PID NUMBER: has a thread that waits in the kernel make a system call (x86-64).

The call has no arguments. Prints what it returned, or how the process ended.
"""
import ctypes
import os
import signal
import sys

ATTACH, DETACH, GETREGS, SETREGS, SYSCALL = 16, 17, 12, 13, 24
NAMES = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss "
         "fs_base gs_base ds es fs gs").split()
SYSCALL_INSTRUCTION = 2  # bytes
ANY_CHILD = 0x40000000  # __WALL: threads too


class Regs(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in NAMES]


libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request, pid, data=None):
    if libc.ptrace(request, pid, None, data) < 0:
        sys.exit(f"ptrace: {os.strerror(ctypes.get_errno())}")


def step(pid):
    """To the next entry to, or exit from, a system call."""
    ptrace(SYSCALL, pid)
    os.waitpid(pid, ANY_CHILD)


def is_killed(pid):
    """Has the thread a SIGSYS to come?"""
    with open(f"/proc/{pid}/status") as status:
        pending = next(line for line in status if line.startswith("SigPnd:"))
    return int(pending.split()[1], 16) >> (signal.SIGSYS - 1) & 1


pid, number = int(sys.argv[1]), int(sys.argv[2])
ptrace(ATTACH, pid)
os.waitpid(pid, ANY_CHILD)
saved, regs = Regs(), Regs()
ptrace(GETREGS, pid, ctypes.addressof(saved))
ptrace(GETREGS, pid, ctypes.addressof(regs))
# it stands behind the instruction that brought it to wait: once more, with another number
regs.rip -= SYSCALL_INSTRUCTION
regs.rax = number
regs.orig_rax = 2**64 - 1
ptrace(SETREGS, pid, ctypes.addressof(regs))
step(pid)
step(pid)
ptrace(GETREGS, pid, ctypes.addressof(regs))
print("killed by SIGSYS" if is_killed(pid) else f"returned {ctypes.c_longlong(regs.rax).value}")
ptrace(SETREGS, pid, ctypes.addressof(saved))
ptrace(DETACH, pid)
