# make run   (or: python examples/01_hello.py MODEL, where MODEL may be local)
"""A task, a tool, and an answer of the declared type."""

import os
import sys

from pydantic import BaseModel

from outrider import Agent, SetupError
from outrider_tools.calculator import calculator


class Answer(BaseModel):
    expression: str
    result: float


MODEL = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("OUTRIDER_MODEL", "qwen/qwen3-14b")

try:
    agent = Agent(MODEL, tools=[calculator], output=Answer)
    result = agent.run_sync("What is 23*19+7?")
except SetupError as error:  # no key, say: nothing was sent, and the error says what to do
    print(error, file=sys.stderr)
    sys.exit(2)

if result.outcome != "finished":
    sys.exit(f"{result.detail}\n{result}")
print(repr(result.output))  # an Answer, for the type checker as well
print(result)
