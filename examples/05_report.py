# python examples/05_report.py MODEL   (local, or any model on OpenRouter)
"""A report over files: the model reads each of them with a tool, and gives one typed row of the table."""

import os
import sys
from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from outrider import Agent, SetupError
from outrider_tools.files import file_tools


class Entry(BaseModel):
    city: str
    date: str = Field(description="The day, as it is written")
    mood: Literal["positive", "negative"] = Field(description="How the guests felt")


NOTES = Path(__file__).parent / "notes"
MODEL = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("OUTRIDER_MODEL", "qwen/qwen3-14b")

reading = [tool for tool in file_tools(NOTES) if tool.name == "read_file"]  # nothing outside that folder
print(f"{'file':<14}{'city':<10}{'date':<14}mood")
cost, missing = Decimal(0), 0
try:
    agent = Agent(MODEL, tools=reading, output=Entry, instructions="Read the file, then fill in the fields from it.")
    for path in sorted(NOTES.glob("*.txt")):
        result = agent.run_sync(f"Read {path.name} and tell me what the guests wrote.")
        cost += result.cost or 0
        if result.outcome == "finished":
            row = result.output  # an Entry, for the type checker as well
            print(f"{path.name:<14}{row.city:<10}{row.date:<14}{row.mood}")
        else:
            missing += 1
            print(f"{path.name:<14}{result.detail}")
except SetupError as error:  # no key, say
    print(error, file=sys.stderr)
    sys.exit(2)
print(f"in all ${cost:.4f}")
sys.exit(1 if missing else 0)
