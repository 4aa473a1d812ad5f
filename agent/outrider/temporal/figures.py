"""What a worker counts, told as Prometheus text, and whether it is well."""

import threading
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from outrider.state import State

Before = tuple[int, int, Decimal | None]
"""Turns, tokens and dollars of a run before a leg."""

Labels = tuple[tuple[str, str], ...]

_TOLD = {
    "legs_running": ("gauge", "Legs under way"),
    "legs_begun_total": ("counter", "Legs begun"),
    "legs_taken_over_total": ("counter", "Legs that went on where another worker was lost"),
    "legs_ended_total": ("counter", "Legs ended, by outcome"),
    "turns_total": ("counter", "Turns done"),
    "tokens_total": ("counter", "Tokens used"),
    "dollars_total": ("counter", "Dollars billed"),
}


class Figures:
    """Counts legs of these agents and what they used. Every method may be called from any thread."""

    def __init__(self, agents: Iterable[str]) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, defaultdict[Labels, float]] = {name: defaultdict(float) for name in _TOLD}
        for agent in agents:  # a rate needs the nought that it rises from
            for name in _TOLD:
                if name != "legs_ended_total":
                    self._add(name, 0, agent=agent)

    def began(self, agent: str, taken_over: bool) -> None:
        """A leg has begun."""
        self._add("legs_running", 1, agent=agent)
        self._add("legs_begun_total", 1, agent=agent)
        if taken_over:
            self._add("legs_taken_over_total", 1, agent=agent)

    def ended(self, agent: str, state: State, before: Before) -> None:
        """A leg has ended: what its run has used since."""
        turns, tokens, cost = before
        self._add("legs_running", -1, agent=agent)
        self._add("legs_ended_total", 1, agent=agent, outcome=state.outcome or "lost")
        self._add("turns_total", state.turns - turns, agent=agent)
        self._add("tokens_total", state.usage.tokens - tokens, agent=agent)
        self._add("dollars_total", float((state.usage.cost or 0) - (cost or 0)), agent=agent)

    @property
    def legs(self) -> int:
        """How many legs have begun."""
        with self._lock:
            return int(sum(self._counts["legs_begun_total"].values()))

    def text(self) -> str:
        """All figures, in Prometheus' text format 0.0.4."""
        lines: list[str] = []
        with self._lock:
            for name, (kind, told) in _TOLD.items():
                lines += [f"# HELP outrider_{name} {told}.", f"# TYPE outrider_{name} {kind}"]
                for labels, value in sorted(self._counts[name].items()):
                    shown = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
                    lines.append(f"outrider_{name}{{{shown}}} {value:g}")
        return "\n".join(lines) + "\n"

    def _add(self, name: str, amount: float, **labels: str) -> None:
        with self._lock:
            self._counts[name][tuple(labels.items())] += amount


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
