# python examples/04_research.py MODEL   (local, or any model on OpenRouter; --live searches the web itself)
"""A question, a search, and a typed answer that is checked against what the search has found."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, Field

from outrider import Agent, SetupError
from outrider_tools.search import Hit, engines, recorded, search_tool


class Tower(BaseModel):
    metres: float = Field(ge=5, description="Its height")


given = [word for word in sys.argv[1:] if word != "--live"]
MODEL = given[0] if given else os.environ.get("OUTRIDER_MODEL", "qwen/qwen3-14b")
if "--live" in sys.argv:
    question, find = "How tall is the Eiffel Tower, in metres?", engines()
else:  # results kept in a file, about a lighthouse that does not exist: no model can know the answer
    question = "How tall is the lighthouse at Orrin Point, in metres?"
    find = recorded(Path(__file__).parent / "recorded" / "lighthouse.json")

found: list[Hit] = []


def remembered(query: str, most: int) -> Sequence[Hit]:
    """Any function like this one can be the search behind the tool."""
    hits = find(query, most)
    found.extend(hits)
    return hits


try:
    agent = Agent(MODEL, tools=[search_tool(remembered)], output=Tower, instructions="Search before you answer.")
    result = agent.run_sync(question)
except SetupError as error:  # no key, say
    print(error, file=sys.stderr)
    sys.exit(2)
if result.outcome != "finished":
    sys.exit(f"{result.detail}\n{result}")
height = f"{result.output.metres:g}"
if not found:  # a model answers all the same, with a number of its own
    sys.exit(f"The search failed or found nothing, so {height} would be made up. Look: outrider show last")
print(f"{question} {height}")
for hit in found:  # a model may be wrong, or believe anything: which pages say so?
    print(f"  {'says so' if height in hit.text else 'does not'}: {hit.url}")
print(result)
