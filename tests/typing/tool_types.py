"""Checked by pyright, never run: what the types of tools are to those who use them."""

from typing import Any, assert_type

from pydantic import BaseModel

from outrider.schema import Checked, Checker, Mismatch, checker_for
from outrider.tool import Context, Tool, as_tool, tool


class Item(BaseModel):
    name: str


@tool
def weather(city: str, days: int = 1) -> list[str]:
    """A plain tool."""
    return [city] * days


@tool(effect="read", timeout=None)
async def look_up(word: str, context: Context[int]) -> float:
    """An async tool with options."""
    return context.deps * 1.0


@tool(parameters=Item)
def buy(item: Item) -> bool:
    """A tool that a model describes."""
    return bool(item.name)


@tool(parameters={"type": "object"}, name="raw.tool")
def raw(arguments: dict[str, Any]) -> None:
    """A tool that a raw schema describes."""


def plain(a: int) -> str:
    return str(a)


async def awaits() -> None:
    assert_type(await look_up("word", Context(3)), float)


assert_type(weather("Paris"), list[str])
assert_type(weather("Paris", days=2), list[str])
assert_type(buy(Item(name="tea")), bool)
assert_type(raw({}), None)
assert_type(tool(plain)(1), str)
assert_type(as_tool(plain)(1), str)
assert_type(as_tool(weather)("Paris"), list[str])
assert_type(Context("text").deps, str)

weather(3)  # pyright: ignore[reportArgumentType]
weather("Paris", hours=3)  # pyright: ignore[reportCallIssue]
tool(plain, effect="reed")  # pyright: ignore[reportArgumentType, reportCallIssue]
weather.name = "other"  # pyright: ignore[reportAttributeAccessIssue]

tools: list[Tool[..., Any]] = [weather, look_up, buy, raw]

assert_type(checker_for(Item), Checker[Item])
assert_type(checker_for(Item).check("{}"), Checked[Item] | Mismatch)
