"""The live events, only for those who watch; and the base of all events. The durable ones are in events.py."""

from msgspec import Struct


class Event(Struct, frozen=True, tag_field="kind", omit_defaults=True):
    """Base of all events."""

    flush = False
    """Whether this event is on disk before the run goes on (a property of the instance where it depends)."""


class Delta(Event, frozen=True):
    """Base of the live events. ``number`` is the request's; a failed request voids its deltas."""

    number: int
    text: str


class TextDelta(Delta, frozen=True, tag="text_delta"):
    """A piece of the answer's text."""


class ReasoningDelta(Delta, frozen=True, tag="reasoning_delta"):
    """A piece of the model's thinking."""


class ArgumentsDelta(Delta, frozen=True, tag="arguments_delta"):
    """A piece of a tool call's arguments, with the index of the call in the reply."""

    index: int = 0
