"""The files of a backup: out into a tar, and back."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from roadwarden.file_archive import Archived, Files, archive_of, pack, unpack
from roadwarden.maintenance import backup
from roadwarden.settings import load_settings
from store.media_folder import MediaFolder
from tests.store.media import JPEG, upload

PACKAGE = b"firmware" * 1000
PACKAGE_NAME = hashlib.sha256(PACKAGE).hexdigest()


def files_in(root: Path) -> Files:
    return Files(MediaFolder(root / "media"), root / "firmware")


def filled(root: Path) -> Files:
    files = files_in(root)
    for content in (JPEG, b"other"):
        files.media.write(upload(content).file_name, content)
    (files.media.root / "notes.txt").write_text("not ours")
    files.firmware.mkdir()
    (files.firmware / PACKAGE_NAME).write_bytes(PACKAGE)
    (files.firmware / "upload-x7").write_bytes(b"half")
    return files


def test_out_and_back(tmp_path: Path) -> None:
    files, again = filled(tmp_path), files_in(tmp_path / "again")
    archive = tmp_path / "a.tar"
    all_of_it = Archived(2, 1, len(JPEG) + 5 + len(PACKAGE))
    assert pack(files, archive) == all_of_it
    assert unpack(again, archive) == all_of_it
    assert sorted(again.names()) == sorted(files.names())
    assert again.media.path(upload().file_name).read_bytes() == JPEG
    assert (again.firmware / PACKAGE_NAME).read_bytes() == PACKAGE
    assert [path.name for path in again.firmware.iterdir()] == [PACKAGE_NAME]
    assert unpack(again, archive) == all_of_it  # once more changes nothing
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".partial"] == []


def test_firmware_alone(tmp_path: Path) -> None:
    assert pack(filled(tmp_path), tmp_path / "a.tar", with_media=False) == Archived(0, 1, len(PACKAGE))


@pytest.mark.parametrize(
    "name",
    ["../escaped.jpg", upload(b"else").file_name, "plain.jpg", "link", "firmware/plain", f"firmware/{PACKAGE_NAME}",
     f"firmware/../{hashlib.sha256(b'wrong').hexdigest()}"],
)  # fmt: skip
def test_what_is_no_file_of_ours_stays_out(tmp_path: Path, name: str) -> None:
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as tar:
        member = tarfile.TarInfo(name)
        if name == "link":
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        else:
            member.size = 5
        tar.addfile(member, io.BytesIO(b"wrong"))
    assert unpack(files_in(tmp_path / "data"), archive) == Archived(wrong=1)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [archive]


def test_backup_says_what_it_holds(tmp_path: Path, postgresql_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    settings = load_settings(data_dir=tmp_path / "data", database_url=postgresql_dsn)
    assert backup(settings, tmp_path / "none.dump") == 0
    assert "there are no files" in capsys.readouterr().out
    filled(tmp_path / "data")
    assert backup(settings, tmp_path / "full.dump") == 0
    assert "full.dump.files.tar: 2 media files, 1 firmware packages" in capsys.readouterr().out
    for written in (tmp_path / "full.dump", archive_of(tmp_path / "full.dump")):
        assert written.stat().st_mode & 0o777 == 0o600  # password hashes, positions, pictures
    assert backup(settings, tmp_path / "rows.dump", with_media=False) == 0
    said = capsys.readouterr().out
    assert "left out" in said
    assert "rows.dump.files.tar: 0 media files, 1 firmware packages" in said
