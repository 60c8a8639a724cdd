"""store.errors: who is to blame, and what is said of it."""

from __future__ import annotations

import psycopg
import pytest

import store
from store.errors import in_short


@pytest.mark.parametrize(
    ("raised", "blamed"),
    [
        (psycopg.errors.ProgramLimitExceeded("index row size 3000 exceeds maximum 2704"), store.Unstorable),
        (psycopg.errors.DiskFull("no space"), psycopg.errors.DiskFull),
        (psycopg.errors.ReadOnlySqlTransaction("standby"), store.DatabaseTrouble),
        (psycopg.errors.NotNullViolation("null"), psycopg.errors.NotNullViolation),
        (OverflowError("too large"), store.Unstorable),
        (KeyError("a bug of ours"), KeyError),
    ],
)
def test_only_what_is_in_the_data_is_blamed_on_it(raised: Exception, blamed: type[Exception]) -> None:
    with pytest.raises(blamed), store.blame():
        raise raised
    assert issubclass(blamed, psycopg.OperationalError) == (blamed in (psycopg.errors.DiskFull, store.DatabaseTrouble))


def test_an_error_in_short() -> None:
    assert in_short(ValueError("one\ntwo")) == "one"
    assert in_short(psycopg.OperationalError("  \n")) == "OperationalError"
