"""The direction in which imports point is a contract (pyproject.toml), held here so that `make test` sees a breach."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = {
    "jt808",
    "jt809",
    "fleet",
    "downlink",
    "alarms",
    "store",
    "ingest",
    "forward",
    "api",
    "roadwarden",
    "simulators",
    "bench",
}
ALLOWED = {
    "jt808": {"construct"},
    "jt809": {"construct"},
    "fleet": {"numpy"},
}
MORE = {"columns.py": {"numpy"}, "fix_hash.py": {"numpy"}, "encryption.py": {"cryptography"}}
"""What single modules of the protocol libraries may use besides."""


def test_imports_point_inward() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_the_libraries_stand_alone(package: str) -> None:
    for file in (ROOT / "src" / package).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = (
                [alias.name for alias in node.names] if isinstance(node, ast.Import)
                else [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0
                else []
            )  # fmt: skip
            for name in {name.split(".")[0] for name in names}:
                if name != package and name not in sys.stdlib_module_names:
                    allowed = ALLOWED[package] | MORE.get(file.name, set())
                    assert name in allowed, f"{file.relative_to(ROOT)} imports {name}"
