"""The media files of a backup: out into a tar, and back."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from roadwarden.maintenance import backup
from roadwarden.media_archive import Archived, archive_of, pack, unpack
from roadwarden.settings import load_settings
from store.media_folder import MediaFolder
from tests.store.media import JPEG, upload


def filled(root: Path) -> MediaFolder:
    folder = MediaFolder(root)
    for content in (JPEG, b"other"):
        folder.write(upload(content).file_name, content)
    (root / "notes.txt").write_text("not ours")
    return folder


def test_out_and_back(tmp_path: Path) -> None:
    folder, again = filled(tmp_path / "media"), MediaFolder(tmp_path / "again")
    archive = tmp_path / "a.tar"
    assert pack(folder, archive) == Archived(2, len(JPEG) + 5)
    assert unpack(again, archive) == Archived(2, len(JPEG) + 5)
    assert sorted(again.names(-60)) == sorted(folder.names(-60))
    assert again.path(upload().file_name).read_bytes() == JPEG
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".partial"] == []


@pytest.mark.parametrize("name", ["../escaped.jpg", upload(b"else").file_name, "plain.jpg", "link"])
def test_what_is_no_media_stays_out(tmp_path: Path, name: str) -> None:
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as tar:
        member = tarfile.TarInfo(name)
        if name == "link":
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        else:
            member.size = 5
        tar.addfile(member, io.BytesIO(b"wrong"))
    assert unpack(MediaFolder(tmp_path / "media"), archive) == Archived(wrong=1)
    assert list(tmp_path.rglob("*.jpg")) == []


def test_backup_says_what_it_holds(tmp_path: Path, postgresql_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    settings = load_settings(data_dir=tmp_path / "data", database_url=postgresql_dsn)
    assert backup(settings, tmp_path / "none.dump") == 0
    assert "there are no media files" in capsys.readouterr().out
    filled(tmp_path / "data" / "media")
    assert backup(settings, tmp_path / "full.dump") == 0
    assert "full.dump.media.tar: 2 media files" in capsys.readouterr().out
    assert archive_of(tmp_path / "full.dump").is_file()
    assert backup(settings, tmp_path / "rows.dump", with_media=False) == 0
    assert "left out" in capsys.readouterr().out
    assert not archive_of(tmp_path / "rows.dump").exists()
