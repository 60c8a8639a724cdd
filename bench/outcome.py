"""What was measured, what was asked of it, and whether it holds; as a block of text and as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that has to hold. `is_judged` False: shown, but a short form says nothing about it (times, mostly)."""

    what: str
    holds: bool
    is_judged: bool = True

    @property
    def word(self) -> str:
        return "ok" if self.holds else "NOT KEPT" if self.is_judged else "(not judged)"


@dataclass
class Outcome:
    """Figures by name, and checks in the order in which they were made."""

    figures: dict[str, Any] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)

    def expect(self, holds: bool, what: str, *, judged: bool = True) -> None:
        """`what`: with the figure and what is asked of it, true or not."""
        self.checks.append(Check(what, bool(holds), judged))

    @property
    def failures(self) -> list[str]:
        return [check.what for check in self.checks if check.is_judged and not check.holds]

    @property
    def is_kept(self) -> bool:
        return not self.failures

    def take(self, other: Outcome, name: str) -> None:
        """Put another's figures and checks under a name."""
        self.figures |= {f"{name}: {key}": value for key, value in other.figures.items()}
        self.checks += [Check(f"{name}: {check.what}", check.holds, check.is_judged) for check in other.checks]

    def show(self) -> str:
        lines = [f"  {name:<52} {_text(value)}" for name, value in self.figures.items()]
        lines += [f"  {check.word:>12}  {check.what}" for check in self.checks]
        return "\n".join(lines)

    def json(self) -> dict[str, Any]:
        return {
            "kept": self.is_kept,
            "figures": self.figures,
            "checks": [{"what": c.what, "holds": c.holds, "judged": c.is_judged} for c in self.checks],
        }


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) or abs(value) < 1000 else f"{value:,.0f}"
