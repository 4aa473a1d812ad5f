"""The report on a type: it shows what requests really carry, and what was changed for that."""

from typing import Any, Literal

import msgspec
import pytest
from pydantic import BaseModel, Field

from agent_kit import weather
from outrider import Agent, SetupError
from outrider.rungs import RUNGS
from outrider.schema import checker_for, report, strict_form
from outrider.testing import ScriptedModel

pytestmark = pytest.mark.anyio


class Line(BaseModel):
    what: str = Field(min_length=1)
    count: int = Field(1, ge=1)


class Invoice(BaseModel):
    vendor: str
    lines: list[Line]
    currency: Literal["EUR", "USD"] | None = None


TYPES: list[Any] = [Invoice, list[Line], (Invoice, Line), int, dict[str, int], {"type": "object", "properties": {}}]


@pytest.mark.parametrize("declared", TYPES, ids=str)
async def test_what_it_shows_is_what_requests_carry(declared: Any) -> None:
    sent = {one.rung: one.wire for one in report(declared).sent}
    model = ScriptedModel(["no"] * 12)
    await Agent(model, output=declared, journal=None).run("go")
    asked = [(ask.rung, ask.format or ask.answer_tool) for ask in (request.ask for request in model.requests)]
    assert len({rung for rung, _ in asked}) >= 2
    for rung, wire in asked:
        assert sent[rung] == wire
    assert list(sent) == [rung for rung in RUNGS if rung in sent], "the strongest first"


async def test_what_was_changed_and_what_is_checked_here() -> None:
    found = report(Invoice)
    assert found.schema == strict_form(checker_for(Invoice).schema).schema
    assert found.why_not == ()
    assert "$.currency became required" in found.changed
    assert "$.$defs.Line.count became required; null there is read as left out" in found.changed
    assert found.checked_here == (
        "$.$defs.Line.what: minLength 1 is not expressible in strict form; checked here",
        "$.$defs.Line.count: minimum 1 is not expressible in strict form; checked here",
    )
    lines = str(found).splitlines()
    assert lines[0] == "Invoice"
    assert all(f"  {line}" in lines for line in (*found.changed, *found.checked_here))
    assert len(lines[lines.index("The schema, as it is sent first:") + 1 :]) > 20


async def test_why_there_is_no_strict_form() -> None:
    found = report(dict[str, int])
    assert (found.why_not, found.checked_here) == (("$: the names of its properties are free",), ())
    assert found.schema == checker_for(dict[str, int]).schema
    assert "No strict form:\n  $: the names of its properties are free\n" in str(found)
    assert report(int).changed == ("$: the answer is sent as the property 'answer' of an object",)


async def test_tools_plain_text_and_what_has_no_schema() -> None:
    found = report(weather)
    assert (found.name, found.schema) == ("weather", weather.parameters)
    assert [one.wire for one in found.sent] == [weather.wire]
    assert '"city"' in str(found)
    assert str(report(str)) == str(report(None)) == "text\n\nSent:\n  text  no schema: any reply is an answer"
    with pytest.raises(SetupError, match="has no JSON Schema"):
        report(object())


async def test_the_description_tells_the_rules_that_the_form_does_not_have() -> None:
    class Age(BaseModel):
        years: int = Field(ge=0, lt=150, description="In whole years.")
        name: str = Field("?", max_length=9)

    properties = report(Age).schema["properties"]
    text, _, rules = properties["years"]["description"].partition(". ")
    assert (text, msgspec.json.decode(rules)) == ("In whole years", {"minimum": 0, "exclusiveMaximum": 150})
    assert msgspec.json.decode(properties["name"]["description"]) == {"default": "?", "maxLength": 9}
