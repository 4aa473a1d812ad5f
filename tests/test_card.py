"""What a notebook shows of a run and of its result."""

from html.parser import HTMLParser
from typing import Any

import pytest
from msgspec import Raw

from agent_kit import Forecast, look, pay
from outrider import Agent, Result, ask_before
from outrider.card import MOST, MOST_MESSAGES, card
from outrider.messages import UserMessage, to_wire
from outrider.state import State
from outrider.testing.scripted import Calls, ScriptedModel

pytestmark = pytest.mark.anyio
EVIL = "<script>alert(1)</script> & <img src=x onerror=y> \x1b[2J"


class Seen(HTMLParser):
    """Which elements an HTML text has, in order, and that each is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self._open.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def seen(shown: Any) -> Seen:
    return Seen(shown._repr_html_())


async def result_of(script: list[Any], **more: Any) -> Result[Any]:
    agent = Agent(ScriptedModel(script), tools=[look, pay], instructions=EVIL, journal=None, **more)
    return await agent.run(EVIL)


async def test_a_result_shows_answer_figures_and_conversation_and_nothing_acts() -> None:
    block = seen(await result_of([Calls(("look", {"city": EVIL})), EVIL]))
    assert set(block.tags) == {"div", "b", "pre", "details", "summary"}
    assert block.attributes == {"style"}
    assert block.text.startswith("finished · ")
    assert block.text.count("<script>alert(1)</script>") == 6  # instructions, task, call, result, reply, answer
    assert "\x1b" not in block.text
    assert "2 requests · 1 tool call" in block.text
    assert "5 messages" in block.text


async def test_typed_answers_are_shown_as_json() -> None:
    block = seen(await result_of(['{"city": "Paris", "celsius": 21}'] * 2, output=Forecast))
    assert '{\n  "city": "Paris",\n  "celsius": 21.0\n}' in block.text


async def test_without_an_answer_it_says_why_and_what_to_do() -> None:
    paused = seen(await result_of([Calls(("pay", {"amount": 3}))], policy=ask_before("write")))
    assert paused.text.startswith("paused · ")
    assert "it waits for consent to pay" in paused.text
    assert "journal=None" in paused.text
    failed = seen(await result_of([]))
    assert failed.text.startswith("provider · ")
    assert "the script has 0 replies" in failed.text


async def test_a_run_under_way_shows_what_there_is() -> None:
    agent = Agent(ScriptedModel([Calls(("look", {"city": "Paris"})), "Fine."]), tools=[look], journal=None)
    async with agent.stream("How is Paris?") as run:
        assert seen(run).text.startswith(f"under way · {run.id} · scripted")
        await run.result()
        assert seen(run).text.startswith("finished · ")


def test_it_is_bounded_whatever_the_run_was() -> None:
    state = State(run="r", model="m")
    state.messages = [to_wire(UserMessage("x" * 100_000)) for _ in range(1000)]
    state.accepted = Raw(b'"' + b"y" * 100_000 + b'"')
    html = card(state, "finished")
    assert len(html) < MOST_MESSAGES * (MOST // 5 + 600) + MOST + 2000
    block = Seen(html)
    assert "… 90000 more characters" in block.text
    assert f"… {1000 - MOST_MESSAGES} more messages" in block.text


def test_a_damaged_record_is_shown_as_it_is() -> None:
    state = State(run="r", model="m", messages=[Raw(b'{"role": "\xff"}')], accepted=Raw(b"{"))
    assert '{"role": "\N{REPLACEMENT CHARACTER}"}' in Seen(card(state, "error")).text
