"""Coverage-guided fuzzing: ``make fuzz``, or ``python tests/fuzz/run.py --seconds 600``; the targets share the time.

Needs atheris, which is among the locked tools where it has wheels (Linux on x86-64). An input that breaks something is
written to --artifacts, its traceback shown, and the exit code is 1. --keep puts what reached new code into
tests/fuzz/corpus, made as small as it can be.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MAX_KEPT_BYTES = 400  # of one input in the repository


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="in all")
    parser.add_argument("--target", action="append", help="one of them; several times for several")
    parser.add_argument("--keep", action="store_true", help="add to the corpus in the repository")
    parser.add_argument("--artifacts", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options, rest = parser.parse_known_args()
    sys.path[:0] = [str(ROOT), str(ROOT / "src")]
    if options.inside:
        return fuzz(options.inside, rest)
    targets = options.target or ["deframe", "decode", "reassemble", "link"]
    failed = False
    for target in targets:
        failed |= run(target, max(options.seconds // len(targets), 1), options.artifacts, keep=options.keep)
    return int(failed)


def fuzz(target: str, arguments: list[str]) -> int:
    """In a process of its own: libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=["jt808"]):
        from tests.fuzz.targets import TARGETS

    atheris.Setup([sys.argv[0], *arguments], TARGETS[target])
    atheris.Fuzz()
    return 0


def run(target: str, seconds: int, artifacts: Path, *, keep: bool) -> bool:
    """Whether something broke."""
    from tests.fuzz.seeds import MAX_BYTES, corpus, seeds

    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(seeds(target)):
            Path(folder, f"seed{number}").write_bytes(seed)
        print(f"-- {target}: {seconds} s from {len(seeds(target))} inputs", flush=True)
        limits = [
            f"-max_len={MAX_BYTES}",
            "-rss_limit_mb=1024",
            "-timeout=5",
            f"-artifact_prefix={artifacts}/{target}-",
        ]
        done = inside(target, folder, f"-max_total_time={seconds}", "-print_final_stats=1", *limits)
        if keep and done == 0:
            found = {path.read_bytes() for path in Path(folder).iterdir()} | set(corpus(target))
            kept = smallest(target, [raw for raw in found if 0 < len(raw) <= MAX_KEPT_BYTES])
            path = ROOT / "tests" / "fuzz" / "corpus" / f"{target}.txt"
            path.write_text("".join(raw.hex() + "\n" for raw in kept))
            print(f"-- {target}: {len(kept)} of {len(found)} inputs kept", flush=True)
        return done != 0


def smallest(target: str, inputs: list[bytes]) -> list[bytes]:
    """Inputs, the shortest first, that reach every step from line to line which all of them reach."""
    from tests.fuzz.targets import TARGETS

    source = str(ROOT / "src" / "jt808")
    reached: set[tuple[str, int, int]] = set()
    kept = []
    for data in sorted(inputs, key=lambda raw: (len(raw), raw)):
        steps: set[tuple[str, int, int]] = set()
        sys.settrace(lambda frame, event, argument, steps=steps: _tracer(frame, source, steps))
        try:
            TARGETS[target](data)
        finally:
            sys.settrace(None)
        if not steps <= reached:
            reached |= steps
            kept.append(data)
    return kept


def _tracer(frame: Any, source: str, steps: set[tuple[str, int, int]]) -> Any:
    """Notes the steps within one call of the library's."""
    name = frame.f_code.co_filename
    if not name.startswith(source):
        return None
    last = 0

    def line(frame: Any, event: str, argument: Any) -> Any:
        nonlocal last
        steps.add((name, last, frame.f_lineno))
        last = frame.f_lineno
        return line

    return line


def inside(target: str, *arguments: str) -> int:
    return subprocess.run([sys.executable, __file__, "--inside", target, *arguments], check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
