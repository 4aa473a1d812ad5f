"""The nouns: their wire form, their sums, their limits."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from outrider import Limits, SetupError, Usage
from outrider.messages import (
    AssistantMessage,
    Message,
    SystemMessage,
    ToolMessage,
    UserMessage,
    WireCall,
    WireFunction,
    from_wire,
    printable,
    to_wire,
)

texts = st.text()
calls = st.lists(st.builds(WireCall, texts, st.builds(WireFunction, texts, texts))).map(tuple)
messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(SystemMessage, texts),
    st.builds(UserMessage, texts | st.just([{"type": "text", "text": "look"}])),
    st.builds(AssistantMessage, texts | st.none(), calls | st.just(msgspec.UNSET), texts | st.just(msgspec.UNSET)),
    st.builds(ToolMessage, texts, texts),
)


@given(messages)
def test_a_message_survives_the_wire(message: Message) -> None:
    wire = to_wire(message)
    assert from_wire(wire) == message
    assert to_wire(from_wire(wire)) == wire


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (SystemMessage("be brief"), {"role": "system", "content": "be brief"}),
        (UserMessage("hi"), {"role": "user", "content": "hi"}),
        (ToolMessage("call_0", "21"), {"role": "tool", "tool_call_id": "call_0", "content": "21"}),
        (AssistantMessage("yes"), {"role": "assistant", "content": "yes"}),
        (
            AssistantMessage(
                None,
                (WireCall("call_0", WireFunction("look", "{}")),),
                "hm",
                Raw(b'[{"type": "reasoning.text"}]'),
            ),
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "call_0", "function": {"name": "look", "arguments": "{}"}, "type": "function"}],
                "reasoning": "hm",
                "reasoning_details": [{"type": "reasoning.text"}],
            },
        ),
    ],
)
def test_the_wire_form_is_what_providers_expect(message: Message, wire: dict[str, Any]) -> None:
    assert json.loads(bytes(to_wire(message))) == wire


def test_reasoning_goes_back_byte_for_byte() -> None:
    details = b'[ {"signature" : "a\\/b", "n":1.0} ]'
    assert details in bytes(to_wire(AssistantMessage("x", reasoning_details=Raw(details))))


def test_unknown_fields_are_ignored_and_unknown_roles_are_not() -> None:
    assert from_wire(b'{"role":"user","content":"hi","name":"Ada"}') == UserMessage("hi")
    with pytest.raises(msgspec.ValidationError):
        from_wire(b'{"role":"wizard","content":"hi"}')


@given(st.text(st.characters(codec=None)))
def test_printable_text_can_always_be_sent(text: str) -> None:
    shown = printable(text)
    assert from_wire(to_wire(UserMessage(shown))) == UserMessage(shown)
    try:
        text.encode()
    except UnicodeEncodeError:
        assert "\\ud" in shown
    else:
        assert shown == text


usages = st.builds(
    Usage,
    *[st.integers(0, 10**9)] * 4,
    st.none() | st.decimals(0, 1000, allow_nan=False, places=8),
)


@given(usages, usages, usages)
def test_usages_add_up(one: Usage, two: Usage, three: Usage) -> None:
    assert (one + two) + three == one + (two + three)
    assert one + two == two + one
    assert one + Usage() == one
    assert (one + two).tokens == one.tokens + two.tokens
    assert ((one + two).cost is None) == (one.cost is None and two.cost is None), "nobody said is not nothing"


def test_limits_are_exact_and_checked() -> None:
    assert Limits(dollars=0.1).dollars == Limits(dollars="0.1").dollars == Decimal("0.1")
    assert Limits(dollars=2).dollars == 2
    assert Limits(seconds=3).seconds == 3


@pytest.mark.parametrize("limit", ["turns", "tool_calls", "tokens", "seconds", "dollars"])
@pytest.mark.parametrize("value", [-1, -0.5, True, "many", float("nan"), float("inf"), Decimal("nan"), [1], ()])
def test_what_is_no_limit_is_refused(limit: str, value: Any) -> None:
    with pytest.raises(SetupError, match=f"limit {limit} is ") as caught:
        Limits(**{limit: value})
    assert (str(value) if isinstance(value, Decimal) else repr(value)) in caught.value.message
    assert "None for no limit" in caught.value.hint


@pytest.mark.parametrize("wrong", [{"turns": "5"}, {"turns": 1.5}, {"tokens": Decimal(5)}, {"seconds": "5"}])
def test_limits_are_numbers_of_their_kind(wrong: dict[str, Any]) -> None:
    with pytest.raises(SetupError, match="Give a"):
        Limits(**wrong)


def test_limits_on_record_do_not_change_with_the_defaults() -> None:
    assert json.loads(msgspec.json.encode(Limits())) == {
        "turns": 25,
        "tool_calls": None,
        "tokens": None,
        "seconds": 600.0,
        "dollars": "1",
        "repeats": 3,
        "purse": None,
    }


@pytest.mark.parametrize(
    "limits",
    [Limits(), Limits(None, None, None, None, None), Limits(3, 4, 5, 1.5, Decimal("0.25")), Limits(dollars=Decimal(0))],
)
def test_limits_survive_json(limits: Limits) -> None:
    assert msgspec.json.decode(msgspec.json.encode(limits), type=Limits) == limits
