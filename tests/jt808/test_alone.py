"""The library can be used by somebody who has nothing else of ours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jt808

IMPORTED = """
import json, pkgutil, sys
known = set(sys.modules)
def others():
    return sorted({name.split(".")[0] for name in set(sys.modules) - known} - sys.stdlib_module_names - {"jt808"})
sys.path.insert(0, sys.argv[1])
import jt808
first = others()
for module in pkgutil.walk_packages(jt808.__path__, "jt808."):
    __import__(module.name)
print(json.dumps([first, others()]))
"""


def test_what_it_imports(tmp_path: Path) -> None:
    """construct for the messages; numpy where columns are used, cryptography where bodies are encrypted."""
    (tmp_path / "jt808").symlink_to(Path(jt808.__file__).parent)
    command = [sys.executable, "-c", IMPORTED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first: list[Any]
    first, everything = json.loads(done.stdout)
    assert first == ["construct"]
    assert {name for name in everything if not name.startswith("_")} <= {"construct", "numpy", "cryptography", "cffi"}
