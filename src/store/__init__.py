"""All SQL: connections, the one transaction of the pipeline, migrations, partitions, and our own PostgreSQL."""

from store.dedup import Deduplicator
from store.embedded import EmbeddedPostgres
from store.errors import (
    DatabaseTrouble,
    DatabaseUnavailable,
    EmbeddedPostgresError,
    MigrationError,
    OffsetMoved,
    StoreError,
    Unstorable,
    blame,
)
from store.listen import Listener
from store.migrate import migrate, pending_migrations
from store.partitions import drop_before, ensure_ahead
from store.pool import Database
from store.writer import Stored, Writer

__all__ = [
    "Database",
    "DatabaseTrouble",
    "DatabaseUnavailable",
    "Deduplicator",
    "EmbeddedPostgres",
    "EmbeddedPostgresError",
    "Listener",
    "MigrationError",
    "OffsetMoved",
    "StoreError",
    "Stored",
    "Unstorable",
    "Writer",
    "blame",
    "drop_before",
    "ensure_ahead",
    "migrate",
    "pending_migrations",
]
