"""Ports for settings that leave the choice to us (0)."""

from __future__ import annotations

import random
import socket
from pathlib import Path
from typing import Final

LOWEST: Final = 15_000
ATTEMPTS: Final = 200
RANGE_FILE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port(host: str) -> int:
    """A port that is free for TCP and UDP on this address; 0, the kernel's choice, when none is found, or when the
    address is none (whoever listens there says so).

    Below the range from which the kernel gives outgoing connections theirs: while a role is being started again, any
    client's connection could otherwise take the port that its terminals come back to.
    """
    try:
        highest = int(RANGE_FILE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0
    for _ in range(ATTEMPTS if highest > LOWEST else 0):
        port = random.randrange(LOWEST, highest)
        try:
            if is_free(host, port):
                return port
        except socket.gaierror:  # not once more for each port: a name server may take seconds to say no
            return 0
    return 0


def is_free(host: str, port: int) -> bool:
    """Raises:  socket.gaierror: nobody knows this host."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(family, kind) as probe:
            try:
                probe.bind((host, port))
            except socket.gaierror:
                raise
            except OSError:
                return False
    return True
