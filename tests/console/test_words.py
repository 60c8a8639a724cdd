"""What the server can say to an operator has words in the console, in both languages: read from the sources."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from downlink import KINDS
from ingest.answers import ANSWERS
from jt808.fields import Label
from jt808.header import Edition
from jt808.messages import parameter_values
from jt808.messages.registry import message_type

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"
WEB = ROOT / "web" / "src"
LOCATION_ANSWER = 0x0201
# Members that the console's forms never let stand together or be missing: for other programs.
FOR_PROGRAMS = re.compile(
    r"not both|exactly one of|is needed|needs them|has none|has no |another shape|not a number of ours|a circle"
    r"|a polygon has no|daily_begin|no meaning then|max_speed_kmh|bottom must lie|names one recording|SHA-256"
)  # fmt: skip


def words(language: str) -> set[str]:
    texts = [
        (WEB / "l10n" / name).read_text()
        for name in (f"{language}.ts", f"problems.{language}.ts", f"answers.{language}.ts")
    ]
    return {key for text in texts for key in re.findall(r"^  '([^']+)':", text, re.M)}


ZH = words("zh")
SAID = [
    re.compile(found)
    for found in re.findall(r"^  \[/(.+)/, 'said\.\w+'\],$", (WEB / "ui" / "problems.ts").read_text(), re.M)
]


def sources(*folders: str) -> Iterator[ast.Module]:
    for folder in folders:
        for path in sorted((SRC / folder).rglob("*.py")):
            yield ast.parse(path.read_text())


def text_of(node: ast.expr) -> str | None:
    """A literal's text, with 1 where a value is put in; None for what is no literal."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "1" for part in node.values)
    return None


def calls(modules: Iterator[ast.Module], name: str) -> Iterator[ast.Call]:
    for module in modules:
        for node in ast.walk(module):
            if isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if called == name:
                    yield node


def texts(modules: Iterator[ast.Module], name: str, place: int) -> set[str]:
    found = (text_of(call.args[place]) for call in calls(modules, name) if len(call.args) > place)
    return {text for text in found if text is not None}


def test_both_languages_have_the_same_keys() -> None:
    assert words("en") == ZH
    assert len(ZH) > 1000


def test_every_kind_of_problem() -> None:
    kinds = texts(sources("api"), "ProblemError", 1) | texts(sources("api"), "conflict", 0)
    assert {"not-found", "vehicle-exists", "database-away"} <= kinds
    assert {kind for kind in kinds if f"problem.{kind}" not in ZH} == set()


def test_every_fault_of_a_field() -> None:
    said = texts(sources("api"), "invalid", 1) | texts(sources("api"), "fault", 3)
    said |= texts(sources("api", "downlink"), "ValueError", 0)
    assert len(said) > 40
    unknown = {text for text in said if not FOR_PROGRAMS.search(text) and not any(one.search(text) for one in SAID)}
    assert unknown == set()


class Faulty(BaseModel):
    model_config = ConfigDict(extra="forbid")

    count: Annotated[int, Field(ge=1, le=9)]
    rate: Annotated[float, Field(gt=0, lt=1)]
    name: Annotated[str, Field(min_length=2, max_length=4, pattern="^[a-z]+$")]
    points: Annotated[list[int], Field(min_length=1, max_length=2)]
    kind: Literal["a", "b"]


@pytest.mark.parametrize(
    "given",
    [
        {"count": 0}, {"count": 10}, {"count": "x"}, {"rate": 0}, {"rate": 1}, {"rate": "x"}, {"name": "a"},
        {"name": "abcde"}, {"name": "AB"}, {"name": 1}, {"points": []}, {"points": [1, 2, 3]}, {"kind": "c"},
        {"foreign": 1}, {},
    ],
)  # fmt: skip
def test_what_pydantic_says(given: dict[str, Any]) -> None:
    right = {"count": 1, "rate": 0.5, "name": "abc", "points": [1], "kind": "a"}
    with pytest.raises(ValidationError) as caught:
        Faulty.model_validate(right | given if given else {})
    for error in caught.value.errors():
        assert any(one.search(error["msg"]) for one in SAID), error["msg"]


def test_every_entry_of_the_audit_log() -> None:
    actions = {text for text in texts(sources("api"), "record", 1) if re.fullmatch(r"[a-z_]+\.[a-z_]+", text)}
    actions |= {f"alarm.{action}" for action in ("claim", "transfer", "handle", "false_alarm", "close")}
    assert len(actions) > 30
    assert {action for action in actions if f"audit.{action}" not in ZH} == set()


def test_every_notice() -> None:
    codes = texts(iter([ast.parse((SRC / "roadwarden" / "status.py").read_text())]), "say", 0)
    assert "database_away" in codes
    assert {code for code in codes if not {f"notice.{code}", f"noticeHint.{code}"} <= ZH} == set()


def test_every_command_and_the_fields_of_its_form() -> None:
    forms = (WEB / "seat" / "commands.ts").read_text()
    offered = set(re.findall(r"kind: '(\w+)', section:", forms))
    assert {kind for kind in KINDS if f"kind.{kind}" not in ZH} == set()
    # Asking for parameters stands in their table.
    assert set(KINDS) - offered == {"parameters_query"}
    named = set(re.findall(r"type: '\w+', name: '(\w+)'", forms))
    assert "channel" in named
    for_console_only = {"film_s"}
    known = {key.removeprefix("field.") for key in ZH if key.startswith("field.")}
    flags = {"urgent", "tts", "listen", "store_only", "delete"}  # yes or no cannot be wrong
    assert named - known - flags - for_console_only == set()


def test_every_field_of_the_requests_that_the_pages_send() -> None:
    schemas = json.loads((ROOT / "web" / "openapi.json").read_text())["components"]["schemas"]
    pages = ("NewVehicle", "NewUser", "UserChange", "NewPlatform", "Approval", "PasswordChange", "SignIn")
    names = {name for page in pages for name in schemas[page]["properties"]}
    assert "plate" in names
    assert {name for name in names if f"field.{name}" not in ZH} - {"disabled", "m1", "ia1", "ic1"} == set()


def bodies(body: type, seen: set[type]) -> set[type]:
    """A message's records, and theirs."""
    if body not in seen:
        seen.add(body)
        for hint in get_type_hints(body, include_extras=True).values():
            for inner in records(hint):
                bodies(inner, seen)
    return seen


def records(hint: Any) -> Iterator[type]:
    if isinstance(hint, type) and is_dataclass(hint):
        yield hint
    for part in get_args(hint):
        yield from records(part)


def test_every_field_and_flag_of_an_answer() -> None:
    seen: set[type] = set()
    for message_id in (*ANSWERS, LOCATION_ANSWER):
        row = message_type(message_id)
        assert row is not None
        bodies(row.body, seen)
    for value in vars(parameter_values).values():
        if isinstance(value, type) and is_dataclass(value) and value.__module__ == parameter_values.__name__:
            bodies(value, seen)
    # The wire's bookkeeping and the place are not shown by name; parameters have a table of their own.
    unshown = {"answered_serial_no", "total_length", "has_wide_manufacturer_id", "parameters", "parameter_id"}
    unshown |= {"latitude_deg", "longitude_deg"}
    missing: set[str] = set()
    for body in seen:
        hints = get_type_hints(body, include_extras=True)
        for field in fields(body):
            label = next(
                (one for one in getattr(hints[field.name], "__metadata__", ()) if isinstance(one, Label)), None
            )
            if label is None or field.name in unshown:
                continue
            missing |= {f"answer.{field.name}"} - ZH
            if label.bits is not None:
                names = {english for bit in range(32) for english, _ in label.bits.names(1 << bit, Edition.V2019)}
                missing |= {f"answerValue.{name}" for name in names if not name.startswith("bit_")} - ZH
    assert len(seen) > 30
    assert missing == set()
