"""What starting costs, in CPU seconds: python tests/benchmarks/start_up.py

``import outrider`` over what its user imports anyway, and ``outrider --help``. Each figure is the median of eleven
processes; the rounds are interleaved, so that a busy machine disturbs all alike.
"""

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
ROUNDS = 11


def cpu(command: list[str]) -> float:
    """CPU seconds of one process, user and system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print the figures."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, command in COMMANDS.items():
            seconds[name].append(cpu(command))
    median = {name: statistics.median(found) for name, found in seconds.items()}
    for name, value in median.items():
        print(f"{value:.3f} s  {name}")
    print(f"{median['and outrider'] - median['asyncio and pydantic']:.3f} s  what outrider adds")


if __name__ == "__main__":
    main()
