#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""terminal.py ROWS COLUMNS [--then ROWS COLUMNS] [--stop] [--end SIGNAL] -- COMMAND ...

Runs COMMAND in a terminal of that size, as far as a program that redraws needs one: cursor home,
clearing, the alternate screen. With --then it has another size after a second, with --end it is
sent a signal a second later. With --stop it is sent SIGTSTP, a second later it must have stopped,
on the ordinary screen, and goes on. Prints the last picture of the alternate screen, a line of hyphens,
and what stands on the ordinary screen at the end. A line that does not fit into the alternate
screen, or a screen that scrolls, is a failure; so is a sequence that is not known."""

import fcntl, os, pty, re, select, signal, struct, sys, termios, time

SEQUENCE = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])")


class Screen:
    def __init__(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.lines, self.row, self.column = [""] * rows, 0, 0

    def put(self, text):
        for character in text:
            if character == "\r":
                self.column = 0
            elif character == "\n":
                self.row += 1
                if self.row >= self.rows:
                    raise SystemExit(f"the screen of {self.rows} lines scrolls")
            else:
                if self.column >= self.columns:
                    raise SystemExit(f"longer than {self.columns}: {self.lines[self.row]!r}")
                line = self.lines[self.row].ljust(self.column)
                self.lines[self.row] = line[: self.column] + character + line[self.column + 1 :]
                self.column += 1

    def clear_line(self):
        self.lines[self.row] = self.lines[self.row][: self.column]

    def clear_below(self):
        self.clear_line()
        for row in range(self.row + 1, self.rows):
            self.lines[row] = ""

    def text(self):
        return "\n".join(line.rstrip() for line in self.lines).rstrip("\n")


class Terminal:
    def __init__(self, rows, columns):
        self.size = rows, columns
        self.ordinary, self.alternate, self.last = "", None, ""
        self.hidden = False

    def resize(self, rows, columns):
        """What stood there is drawn again by whoever notices."""
        self.size = rows, columns
        if self.alternate:
            self.alternate = Screen(rows, columns)

    def feed(self, text):
        at = 0
        for match in SEQUENCE.finditer(text):
            self.put(text[at : match.start()])
            self.sequence(*match.groups())
            at = match.end()
        self.put(text[at:])

    def put(self, text):
        if "\x1b" in text:
            raise SystemExit(f"an unknown sequence: {text!r}")
        if self.alternate:
            self.alternate.put(text)
        else:
            self.ordinary += text.replace("\r", "")

    def sequence(self, private, number, letter):
        name = private + number + letter
        if name == "?1049h":
            self.alternate = Screen(*self.size)
        elif name == "?1049l":
            self.last, self.alternate = self.alternate.text(), None
        elif name in ("?25l", "?25h"):
            self.hidden = name == "?25l"
        elif name == "H" and self.alternate:
            self.alternate.row = self.alternate.column = 0
        elif name == "K" and self.alternate:
            self.alternate.clear_line()
        elif name == "J" and self.alternate:
            self.alternate.clear_below()
        else:
            raise SystemExit(f"an unexpected sequence: {name}")


def set_size(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def resume(pid, terminal):
    state = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0]
    if state != "T" or terminal.alternate or terminal.hidden:
        raise SystemExit(f"it has not stopped with the terminal given back: {state}")
    os.kill(pid, signal.SIGCONT)


def main():
    words, command = sys.argv[1:], []
    at = words.index("--")
    words, command = words[:at], words[at + 1 :]
    terminal = Terminal(int(words[0]), int(words[1]))
    steps = []  # after a second each
    while len(words) > 2:
        if words[2] == "--then":
            rows, columns = int(words[3]), int(words[4])
            steps.append(lambda r=rows, c=columns: (terminal.resize(r, c), set_size(fd, r, c)))
            del words[2:5]
        elif words[2] == "--stop":
            steps += [lambda: os.kill(pid, signal.SIGTSTP), lambda: resume(pid, terminal)]
            del words[2]
        elif words[2] == "--end":
            number = getattr(signal, "SIG" + words[3])
            steps.append(lambda n=number: os.kill(pid, n))
            del words[2:4]
        else:
            raise SystemExit(__doc__)
    ready, go = os.pipe()
    pid, fd = pty.fork()
    if pid == 0:
        os.read(ready, 1)
        os.execvp(command[0], command)
    set_size(fd, *terminal.size)
    os.write(go, b"x")
    held, due = "", time.monotonic() + 1
    while True:
        if not select.select([fd], [], [], 0.1)[0]:
            if steps and time.monotonic() > due:
                steps.pop(0)()
                due = time.monotonic() + 1
            continue
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        if not data:
            break
        held += data.decode()
        # a sequence that has come in part waits for the rest
        cut = held.rfind("\x1b")
        whole = cut < 0 or SEQUENCE.match(held, cut)
        terminal.feed(held if whole else held[:cut])
        held = "" if whole else held[cut:]
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if terminal.alternate or terminal.hidden:
        raise SystemExit("the terminal was not given back")
    print(terminal.last)
    print("-" * 20)
    print(terminal.ordinary, end="")
    sys.exit(status if status >= 0 else 128 - status)


main()
