"""The first password survives whatever is killed before somebody was shown it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from api import ensure_admin
from roadwarden.first_password import FirstPassword
from store import Database


async def test_a_password_that_was_not_shown_is_shown_again(tmp_path: Path, postgresql_database: Database) -> None:
    first = FirstPassword(tmp_path / "run")
    told = await ensure_admin(postgresql_database, None, first.make, first.untold())
    assert told
    # Killed here: the administrator is in the database, nobody has seen the password.
    again = FirstPassword(tmp_path / "run")
    assert await ensure_admin(postgresql_database, None, again.make, again.untold()) == told
    again.shown()
    assert await ensure_admin(postgresql_database, None, again.make, again.untold()) is None


async def test_killed_before_the_user_was_made(tmp_path: Path, postgresql_database: Database) -> None:
    first = FirstPassword(tmp_path)
    made = first.make()
    assert stat.S_IMODE((tmp_path / "first-password").stat().st_mode) == 0o600
    assert await ensure_admin(postgresql_database, None, first.make, first.untold()) == made


async def test_a_password_that_was_changed_meanwhile_is_not_shown(
    tmp_path: Path, postgresql_database: Database
) -> None:
    first = FirstPassword(tmp_path)
    await ensure_admin(postgresql_database, None, first.make, first.untold())
    await ensure_admin(postgresql_database, "set from the settings")
    assert await ensure_admin(postgresql_database, None, first.make, first.untold()) is None


def test_a_disk_that_cannot_be_written_costs_only_the_second_showing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    first = FirstPassword(tmp_path / "file")
    assert first.make()
    assert first.untold() is None
    assert "cannot be written" in caplog.text
