"""Whose fault it is.

StoreError                    something of ours is not as it must be; the message says what and where
  EmbeddedError               the embedded PostgreSQL cannot be made, started or reached
  MigrationError              the schema in the database is not one that this program can go on from
psycopg.OperationalError      the database is away or in trouble: try again
  DatabaseUnavailable         no connection could be had in time
"""

from __future__ import annotations

import psycopg


class StoreError(Exception):
    """Base of the errors that trying again does not mend."""


class EmbeddedError(StoreError):
    """The embedded PostgreSQL cannot be made, started or reached."""


class MigrationError(StoreError):
    """The schema in the database does not fit the migrations of this program."""


class DatabaseUnavailable(psycopg.OperationalError):
    """No connection could be had in time; the message names the server and the last reason."""
