"""The journal: what was received, in order, on disk before it is answered. Four calls: append, read, commit offset
(which lives in the database, beside the data), trim."""

from ingest.journal.base import (
    EDITION_CODES,
    EDITION_NAMES,
    HEADER_DTYPE,
    RECORD_HEADER,
    Group,
    JournalError,
    JournalFull,
    JournalReader,
    JournalWriter,
    Kind,
    StoredCallback,
    phone_text,
)
from ingest.journal.facts import Fact, GatewayStarted, Unregistered, decode_fact, encode_fact
from ingest.journal.group_commit import GroupCommitWriter
from ingest.journal.sqlite import JournalFile, SqliteJournalReader, journal_path

__all__ = [
    "EDITION_CODES",
    "EDITION_NAMES",
    "HEADER_DTYPE",
    "RECORD_HEADER",
    "Fact",
    "GatewayStarted",
    "Group",
    "GroupCommitWriter",
    "JournalError",
    "JournalFile",
    "JournalFull",
    "JournalReader",
    "JournalWriter",
    "Kind",
    "SqliteJournalReader",
    "StoredCallback",
    "Unregistered",
    "decode_fact",
    "encode_fact",
    "journal_path",
    "phone_text",
]
