"""The short form of `bench.chaos`: everything but the times, on a scale of a few dozen terminals.

CHAOS_SCALE=1 runs the long form, which `python -m bench.chaos all` does too; CHAOS_SEED chooses
other chances. Both are printed with the figures.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench import chaos
from ingest.listening import raise_file_limit

SCALE = float(os.environ.get("CHAOS_SCALE", "0.02"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))


@pytest.mark.slow
@pytest.mark.parametrize("name", chaos.SCENARIOS)
def test_what_the_gateway_must_bear(name: str, tmp_path: Path) -> None:
    if name == "disk":
        try:
            with chaos.small_disk(tmp_path / "disk", 1 << 20):
                pass
        except (PermissionError, FileNotFoundError) as error:
            pytest.skip(f"a small disk has to be mounted: {error}")
    raise_file_limit()
    outcome = chaos.SCENARIOS[name](SCALE, SEED)
    print(name, "scale", SCALE, "seed", SEED, outcome.figures)
    assert outcome.failures == []
