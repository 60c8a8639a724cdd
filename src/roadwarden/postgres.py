"""The embedded PostgreSQL under the supervisor, in a thread of its own: whatever it takes, terminals do not wait."""

from __future__ import annotations

import logging
import threading
from typing import Final

from store import EmbeddedPostgres, EmbeddedPostgresError

log = logging.getLogger("roadwarden.postgres")

START_S: Final = 3600.0  # after a crash under load it reads its write-ahead log first; cutting that short helps nobody
STOP_S: Final = 20.0  # for its shutdown checkpoint; then it is ended harder, and recovers at the next start
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0


class PostgresKeeper(threading.Thread):
    """Makes the server, starts it, and starts it again when it ends; until ``stop()``.

    ``failure``: why the very first start failed, which ends the whole server; later ones are tried again.
    """

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        super().__init__(name="postgres-keeper", daemon=True)
        self.failure: str | None = None
        self._postgres = postgres
        self._stopping = threading.Event()

    def run(self) -> None:
        was_up, pause_s = False, FIRST_PAUSE_S
        while not self._stopping.is_set():
            try:
                self._postgres.start(START_S)
            except Exception as error:
                if self._stopping.is_set():
                    return
                if not was_up:
                    self.failure = str(error)
                    if not isinstance(error, EmbeddedPostgresError):
                        log.exception("PostgreSQL cannot be started")
                    return
                log.error("PostgreSQL does not start, tried again in %.1f s: %s", pause_s, error)
                self._stopping.wait(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                continue
            was_up, pause_s = True, FIRST_PAUSE_S
            exit_code = self._postgres.wait()
            if not self._stopping.is_set():
                log.error("PostgreSQL ended with %s; starting it again", exit_code)

    def stop(self) -> None:
        """Stop server and thread, within about ``STOP_S``."""
        self._stopping.set()
        self._postgres.stop(STOP_S)
        if self.is_alive():
            self.join(5.0)
            self._postgres.stop(STOP_S)  # it may have been on the point of starting one
