"""What starting costs, in CPU seconds, against the bars: make bench

``import outrider`` over what its user imports anyway, and ``outrider --help``. Each figure is the median of the
rounds; in a round everything is measured once, so that a busy machine disturbs all alike, and what outrider adds is
taken within the round. The exit code is 1 when a bar does not hold.
"""

import os
import resource
import statistics
import subprocess
import sys

BASE = "import asyncio; from pydantic import BaseModel, TypeAdapter"
COMMANDS = {
    "python": ["-c", "pass"],
    "asyncio and pydantic": ["-c", BASE],
    "and outrider": ["-c", f"{BASE}; import outrider"],
    "outrider --help": ["-m", "outrider.cli", "--help"],
}
ADDED = "what outrider adds"
BARS = {ADDED: 0.04, "outrider --help": 0.3}
"""CPU seconds that must not be passed."""

ROUNDS = 21
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""What is installed has its byte code; what has just been edited shall have it too."""


def cpu(command: list[str]) -> float:
    """CPU seconds of one process, user and system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def one_round() -> dict[str, float]:
    """Each command once, and what is between two of them."""
    found = {name: cpu(command) for name, command in COMMANDS.items()}
    return found | {ADDED: found["and outrider"] - found["asyncio and pydantic"]}


def verdict(name: str, seconds: float) -> str:
    """What stands behind a figure: whether its bar holds."""
    if name not in BARS:
        return ""
    return f"  (bar {BARS[name]:g} s: {'holds' if seconds <= BARS[name] else 'DOES NOT HOLD'})"


def main() -> int:
    """Print the figures; returns the exit code."""
    one_round()  # writes the byte code
    rounds = [one_round() for _ in range(ROUNDS)]
    median = {name: statistics.median(found[name] for found in rounds) for name in rounds[0]}
    for name, seconds in median.items():
        print(f"{seconds:.3f} s  {name}{verdict(name, seconds)}")
    if os.getloadavg()[0] > (os.cpu_count() or 1):  # cores that share their caches then count more seconds
        print("the machine is busy: these figures are too high")
    return int(any(median[name] > bar for name, bar in BARS.items()))


if __name__ == "__main__":
    sys.exit(main())
