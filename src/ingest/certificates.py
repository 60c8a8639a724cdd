"""The certificate of the TLS listener, read again when its files change: no link has to go for a renewal."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from pathlib import Path
from typing import Final

from ingest.counters import Counters

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 5.0


def tls_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """What the TLS listener speaks: TLS 1.2 and later.

    Args:    certificate: PEM, the chain from the server's own on. key: PEM, not encrypted; None: it stands in the same
             file.
    Raises:  OSError: a file cannot be read or does not fit the other; its name is in the text.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password="")  # else OpenSSL asks at the terminal, and all wait
    except (OSError, ssl.SSLError) as error:
        raise OSError(f"TLS certificate {certificate}, key {key or certificate}: {error}") from error
    return context


class Certificate:
    """``context`` is what new links are greeted with; links that are there keep what they began with."""

    def __init__(self, certificate: Path, key: Path | None, counters: Counters) -> None:
        """Raises:  OSError: it cannot be used; see `tls_context`."""
        self._certificate = certificate
        self._key = key
        self._counters = counters
        self._seen = self._signature()
        self.context = tls_context(certificate, key)

    def _signature(self) -> tuple[tuple[int, int, int] | None, ...]:
        """What tells one state of the files from another, a replaced symbolic link included."""
        found: list[tuple[int, int, int] | None] = []
        for path in (self._certificate, self._key or self._certificate):
            try:
                stat = os.stat(path)
            except OSError:
                found.append(None)
            else:
                found.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
        return tuple(found)

    def look(self, *, asked: bool = False) -> None:
        """Read it again when the files changed, or when asked to. What cannot be used changes nothing: it is said, and
        counted, once for each state of the files."""
        signature = self._signature()
        if signature == self._seen and not asked:
            return
        self._seen = signature
        try:
            self.context = tls_context(self._certificate, self._key)
        except OSError as error:
            self._counters.count("tls_certificates_read", "unusable")
            log.error("the new TLS certificate cannot be used, the old one stays: %s", error)
        else:
            self._counters.count("tls_certificates_read", "taken")
            log.info("TLS certificate %s was read again", self._certificate)

    async def watch(self) -> None:
        """Look now and then; cancel it to end. Certificate and key that are replaced one after the other are unusable
        only until the second is there."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.look()
