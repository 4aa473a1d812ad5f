"""What starting costs, against the bars: make bench

``import outrider`` is measured inside a process that has just imported what its user imports anyway, so that both
are taken at one speed of the machine; ``outrider --help`` is a process of its own. Each figure is the median of the
rounds, and in a round everything is done once. The bars are on CPU seconds, which on a free machine are those of the
clock and on a busy one do not count what others do. The exit code is 1 when a bar does not hold.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time

BASE = "import asyncio; from pydantic import BaseModel, TypeAdapter"
IMPORTS = f"""
import time
start = time.process_time()
{BASE}
before = time.process_time()
import outrider
print([before - start, time.process_time() - before])
"""
PYDANTIC, OUTRIDER, SHARE = "import asyncio, pydantic", "import outrider as well", "... its share of theirs"
HELP, CLOCK = "outrider --help", "... by the clock"
BARS = {OUTRIDER: 0.04, HELP: 0.3}
"""CPU seconds that must not be passed."""

ROUNDS = 21
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""What is installed has its byte code; what has just been edited shall have it too."""


def python(*arguments: str) -> str:
    """What a new Python says when it is run with these arguments."""
    done = subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    return done.stdout


def children() -> float:
    """CPU seconds of all processes run so far, user and system."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def one_round() -> dict[str, float]:
    """Everything once."""
    pydantic, outrider = json.loads(python("-c", IMPORTS))
    cpu, clock = children(), time.perf_counter()
    python("-m", "outrider.cli", "--help")
    return {
        PYDANTIC: pydantic,
        OUTRIDER: outrider,
        SHARE: outrider / pydantic,
        HELP: children() - cpu,
        CLOCK: time.perf_counter() - clock,
    }


def verdict(name: str, figure: float) -> str:
    """What stands behind a figure: its bar, and whether that holds."""
    if name not in BARS:
        return ""
    return f"{BARS[name]:>6.3f}   {'holds' if figure <= BARS[name] else 'DOES NOT HOLD'}"


def main() -> int:
    """Print the figures; returns the exit code."""
    one_round()  # writes the byte code
    rounds = [one_round() for _ in range(ROUNDS)]
    median = {name: statistics.median(found[name] for found in rounds) for name in rounds[0]}
    print(f"{'seconds of CPU':<24} median   least     bar")
    for name, figure in median.items():
        least = min(found[name] for found in rounds)
        print(f"{name:<24} {figure:>6.3f}  {least:>6.3f}  {verdict(name, figure)}".rstrip())
    if os.getloadavg()[0] > (os.cpu_count() or 1):  # cores that share their caches then count more seconds
        print("The machine is busy: these figures are too high.")
    return int(any(median[name] > bar for name, bar in BARS.items()))


if __name__ == "__main__":
    sys.exit(main())
