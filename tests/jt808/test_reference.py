"""jt808.reference: the committed pages are those the registry gives, and say what has to be said."""

from __future__ import annotations

import re
from pathlib import Path

from construct import Byte, Int16sb, Int16ub, Int32ub, Struct

from jt808 import fields
from jt808.layouts import Counted, IfMore, Nothing, Repeated, Window
from jt808.messages import message_types
from jt808.reference import main, pages
from jt808.wire_types import wire_type

FOLDER = Path(__file__).parents[2] / "docs" / "protocol"


def test_the_committed_pages_are_up_to_date() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*")}
    made = pages()
    assert sorted(committed) == sorted(made), "run `make protocol-docs`"
    assert [name for name in made if committed[name] != made[name]] == [], "run `make protocol-docs`"


def test_every_message_stands_on_its_page_with_every_field() -> None:
    made = pages()
    for row in message_types():
        page = made[row.body.__module__.rpartition(".")[2].replace("_", "-") + ".md"]
        _, _, section = page.partition(f"## 0x{row.message_id:04X} {row.name} {row.chinese}")
        section = section.partition("\n<a id")[0]
        assert row.clause in section
        for name in row.field_names:
            assert f"`{name}`" in section, (row.name, name)
        assert f"0x{row.message_id:04X}]" in made["README.md"]


def test_links_lead_somewhere() -> None:
    made = pages()
    for name, text in made.items():
        for target in re.findall(r"\]\(([^)]+)\)", text):
            page, _, anchor = target.partition("#")
            assert f'<a id="{anchor}"></a>' in made[page or name] if anchor else page in made, (name, target)


def test_old_pages_go(tmp_path: Path) -> None:
    (tmp_path / "gone.md").write_text(pages()["can.md"], encoding="utf-8")
    (tmp_path / "notes.md").write_text("somebody's own")
    main(str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*pages(), "notes.md"])


def test_types_in_the_standards_words() -> None:
    words = {
        "WORD": Int16ub,
        "signed WORD": Int16sb,
        "": Nothing(),
        "STRING[20]": fields.padded_text(20),
        "STRING to the end": fields.Text,
        "BYTE length, STRING": fields.TextByteLength,
        "BCD[6]": fields.BcdTime,
        "WORD, × 0.1": fields.Tenths16,
        "BYTE count, then each: DWORD": Counted(Byte, Int32ub),
        "to the end, each: WORD; may be left out": IfMore(Repeated(Int16ub)),
        "BYTE length, DWORD": Window(Byte, Int32ub),
    }
    for word, layout in words.items():
        assert wire_type(layout) == word
        assert wire_type(Struct("name" / layout).subcons[0]) == word
