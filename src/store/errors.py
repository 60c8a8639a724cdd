"""Whose fault it is.

StoreError                    something of ours is not as it must be; the message says what and where
  EmbeddedPostgresError       the embedded PostgreSQL cannot be made, started or reached
  MigrationError              the schema in the database is not one that this program can go on from
  OffsetMoved                 the journal is stored up to another offset than the one who commits believes
psycopg.OperationalError      the database is away or in trouble: try again
  DatabaseUnavailable         no connection could be had in time
  DatabaseTrouble             it answers, but refuses for a reason that is not in the data
psycopg.DataError, psycopg.IntegrityError    the data cannot be stored; trying again will not help
  Unstorable                  as seen by us, before the server had it
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg


class StoreError(Exception):
    """Base of the errors that trying again does not mend."""


class EmbeddedPostgresError(StoreError):
    """The embedded PostgreSQL cannot be made, started or reached."""


class MigrationError(StoreError):
    """The schema in the database does not fit the migrations of this program."""


class OffsetMoved(StoreError):
    """The journal is stored up to another offset than the commit was made for: read that offset again, go on there.

    The database was put back to an earlier state (a fail-over that lost its newest transactions, a restored backup), or
    somebody else stores the same journal.
    """


class DatabaseUnavailable(psycopg.OperationalError):
    """No connection could be had in time; the message names the server and the last reason."""


class DatabaseTrouble(psycopg.OperationalError):
    """The server refuses for a reason that is not in the data: read-only after a fail-over, missing rights, a bug."""


class Unstorable(psycopg.DataError):
    """Data that the server would not take: a column of the wrong type, a time outside 2000-2099."""


_LIMIT_EXCEEDED: Final = "54"  # a class of SQLSTATEs: too long for an index, too deep; psycopg calls it operational


def in_short(error: BaseException) -> str:
    """The first line of what an error says, or its name when it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextmanager
def blame() -> Iterator[None]:
    """See that an error says whether trying again can help: only what is in the data itself cannot be mended so."""
    try:
        yield
    except psycopg.OperationalError as error:
        if (error.sqlstate or "").startswith(_LIMIT_EXCEEDED):
            raise Unstorable(str(error)) from error
        raise
    except (psycopg.DataError, psycopg.IntegrityError):
        raise
    except psycopg.Error as error:
        raise DatabaseTrouble(f"the database refuses: {error}") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise Unstorable(str(error)) from error
