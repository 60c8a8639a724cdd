"""All SQL: connections, the one transaction of the pipeline, migrations, partitions, and our own PostgreSQL."""

from store.dedup import Deduplicator
from store.embedded import EmbeddedPostgres
from store.errors import DatabaseUnavailable, EmbeddedError, MigrationError, StoreError
from store.listen import Listener
from store.migrate import migrate
from store.pool import Database
from store.writer import Stored, Writer

__all__ = [
    "Database",
    "DatabaseUnavailable",
    "Deduplicator",
    "EmbeddedError",
    "EmbeddedPostgres",
    "Listener",
    "MigrationError",
    "StoreError",
    "Stored",
    "Writer",
    "migrate",
]
