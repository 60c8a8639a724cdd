"""Links that mean harm, in one thread: each kind keeps at it until it is cut off, and then is done.

    python -m bench.hostile --port PORT --links 2000 --seconds 90

prints a JSON object when all are cut off or the time is over: by kind how many there were, how many were cut off.
"""

from __future__ import annotations

import argparse
import json
import random
import select
import socket
import sys
import time
from typing import Final

from bench.crowd import Crowd, Member, Stage
from ingest.listening import raise_file_limit
from simulators import wire

FIRST_PHONE: Final = 13_900_000_000
STEP_S: Final = 0.1  # each link acts this often,
SHARES: Final = 20  # ... not all at once: on few cores the good links would wait for this process
DRIP_S: Final = 5.0
PACKAGE_BODY: Final = bytes(1000)

# Kinds that authenticate first, so that the bounds of strangers do not save the gateway.
DRIPPING: Final = "one byte in 5 s"
ENDLESS: Final = "endless frame"
DEAF: Final = "never reads"
HALVES: Final = "half sub-package sets"
JUNK: Final = "junk"
STRANGER: Final = "junk of a stranger"
KINDS: Final = (DRIPPING, ENDLESS, DEAF, HALVES, JUNK, STRANGER)


class Foe:
    """One hostile link."""

    def __init__(self, kind: str, member: Member, seed: int) -> None:
        self.kind = kind
        self.member = member
        self.is_cut = False
        self._random = random.Random(seed)
        self._rest = b""
        self._next_at = 0.0
        self._heartbeats = b""  # made once: this process shall not take the cores that the good ones wait for

    def act(self, now: float) -> None:
        """Send what fits; notice when it is over. Never blocks."""
        sock = self.member.sock
        if self.is_cut or sock is None:
            return
        try:
            if self.kind != DEAF and sock.recv(1 << 16) == b"":
                self.is_cut = True
                return
        except BlockingIOError:
            pass
        except OSError:
            self.is_cut = True
            return
        if now < self._next_at:
            return
        try:
            data = self._rest or self._words(now)
            self._rest = data[sock.send(data) :]
        except BlockingIOError:
            pass
        except OSError:
            self.is_cut = True

    def _words(self, now: float) -> bytes:
        if self.kind == DRIPPING:
            self._next_at = now + DRIP_S
            return b"x"
        if self.kind == ENDLESS:
            return b"\x7e" + b"\x01" * 4000 if self._random.random() < 0.1 else b"\x01" * 4000
        if self.kind == DEAF:
            self._heartbeats = self._heartbeats or b"".join(self.member.frame(wire.HEARTBEAT) for _ in range(100))
            return self._heartbeats
        if self.kind == HALVES:
            return self._half()
        return self._random.randbytes(2000)

    def _half(self) -> bytes:
        """The first of two packages; the second never comes."""
        member = self.member
        member.serial_no = (member.serial_no + 7) & 0xFFFF
        head = (wire.BULK_LOCATION << 16 | 0x2000 | len(PACKAGE_BODY)).to_bytes(4, "big") + member.field
        return wire.enframe(head + member.serial_no.to_bytes(2, "big") + b"\x00\x02\x00\x01" + PACKAGE_BODY)


class Foes:
    """Equal parts of every kind."""

    def __init__(self, host: str, port: int, count: int, seed: int = 1, first_phone: int = FIRST_PHONE) -> None:
        self._crowd = Crowd(host, port, count, first_phone=first_phone)
        self._crowd.comes_back = False
        self._crowd.receive_buffer_bytes = 4096  # who does not read wants its answers to pile up at the other end
        self.foes = [Foe(KINDS[n % len(KINDS)], member, seed + n) for n, member in enumerate(self._crowd.members)]

    def begin(self, limit_s: float = 60.0) -> bool:
        """Connect all, and authenticate those that do; False: not all were let in."""
        known = [foe.member for foe in self.foes if foe.kind != STRANGER]
        self._crowd.connect(known)
        if not self._crowd.until(lambda: all(member.stage is Stage.IN for member in known), limit_s):
            return False
        for foe in self.foes:
            if foe.kind == STRANGER:
                foe.member.sock = socket.create_connection(self._crowd.address, 10)
                foe.member.sock.setblocking(False)
        return True

    def attack(self, seconds: float) -> None:
        """Until all are cut off, or the time is over."""
        end = time.monotonic() + seconds
        step = 0
        while (now := time.monotonic()) < end and not all(foe.is_cut for foe in self.foes):
            for foe in self.foes[step % SHARES :: SHARES]:
                foe.act(now)
            step += 1
            time.sleep(max(0.0, now + STEP_S / SHARES - time.monotonic()))

    def cut_off(self) -> dict[str, tuple[int, int]]:
        """By kind: (links, cut off)."""
        return {
            kind: (
                sum(foe.kind == kind for foe in self.foes),
                sum(foe.kind == kind and (foe.is_cut or hung_up(foe)) for foe in self.foes),
            )
            for kind in KINDS
        }

    def close(self) -> None:
        for foe in self.foes:
            if foe.kind == STRANGER and foe.member.sock is not None:
                foe.member.sock.close()
                foe.member.sock = None
        self._crowd.close()


def hung_up(foe: Foe) -> bool:
    """Has the other side closed? For who does not read."""
    if foe.member.sock is None:
        return True
    poll = select.poll()
    poll.register(foe.member.sock, select.POLLRDHUP)
    return any(events & (select.POLLRDHUP | select.POLLHUP | select.POLLERR) for _, events in poll.poll(0))


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.hostile")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--links", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=90.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first-phone", type=int, default=FIRST_PHONE)
    options = parser.parse_args()
    raise_file_limit()
    foes = Foes(options.host, options.port, options.links, options.seed, options.first_phone)
    if not foes.begin():
        sys.exit("bench.hostile: not all hostile links were let in")
    print("begun", flush=True)
    foes.attack(options.seconds)
    print(json.dumps(foes.cut_off()), flush=True)
    foes.close()


if __name__ == "__main__":
    main()
