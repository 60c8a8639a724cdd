"""A writer on each back end."""

from __future__ import annotations

import pytest

import store


@pytest.fixture
def writer(database: store.Database) -> store.Writer:
    return store.Writer(database)
