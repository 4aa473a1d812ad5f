"""The nouns: messages as they go over the wire, tool calls, usage, limits, labels.

A message struct is its wire form: encoding it gives the bytes that a provider gets. Those bytes are made once,
kept in the event that brought the message, and joined into every later request.
"""

import threading
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from outrider.errors import SetupError
from outrider.purse import Purse

Value = TypeVar("Value")

Effect = Literal["read", "write", "egress"]
"""What a tool does to the world: looks, changes something, or sends data out."""

Trust = Literal["trusted", "untrusted"]
"""Whether a text may give instructions. Untrusted text is data."""

Repeat = Literal["safe", "with_key", "never"]
"""Whether a call whose outcome is unknown may run again: freely, with the same idempotency key, or only if a
person says so."""

Phase = Literal["work", "answer"]
"""*work*: tools are offered, thinking is on. *answer*: no tools, the output's format is enforced."""


class WireFunction(Struct, frozen=True):
    """Name and argument text of a call, as the model wrote them."""

    name: str
    arguments: str


class WireCall(Struct, frozen=True):
    """A tool call inside an assistant message. ``id`` is the provider's and lives only here."""

    id: str
    function: WireFunction
    type: str = "function"


class SystemMessage(Struct, frozen=True, tag_field="role", tag="system"):
    """Instructions."""

    content: str

    @property
    def role(self) -> Literal["system"]:
        """Who speaks."""
        return "system"


class UserMessage(Struct, frozen=True, tag_field="role", tag="user"):
    """What the user, or the framework on the user's behalf, says. Content is text or a list of wire parts."""

    content: str | list[Any]

    @property
    def role(self) -> Literal["user"]:
        """Who speaks."""
        return "user"


class AssistantMessage(Struct, frozen=True, tag_field="role", tag="assistant"):
    """A reply. ``content`` is None when the model only called tools; reasoning goes back verbatim."""

    content: str | None = None
    tool_calls: tuple[WireCall, ...] | UnsetType = UNSET
    reasoning: str | UnsetType = UNSET
    reasoning_details: Raw | UnsetType = UNSET

    @property
    def role(self) -> Literal["assistant"]:
        """Who speaks."""
        return "assistant"


class ToolMessage(Struct, frozen=True, tag_field="role", tag="tool"):
    """The result of one call. ``tool_call_id`` is the provider's id of the call."""

    tool_call_id: str
    content: str

    @property
    def role(self) -> Literal["tool"]:
        """Who speaks."""
        return "tool"


Message = SystemMessage | UserMessage | AssistantMessage | ToolMessage

_encoder = msgspec.json.Encoder()
_making = threading.Lock()


@cache
def _decoder() -> msgspec.json.Decoder[Message]:
    return decoder_of(Message)


def to_wire(message: Message) -> Raw:
    """The bytes a provider gets for this message."""
    return Raw(_encoder.encode(message))


def from_wire(wire: Raw | bytes) -> Message:
    """The message these bytes stand for; unknown fields are ignored."""
    return _decoder().decode(wire)


def text_of(wire: Raw) -> str:
    """What the model said in this message, "" when it said nothing in words."""
    message = from_wire(wire)
    return (message.content or "") if isinstance(message, AssistantMessage) else ""


def without_reasoning(wire: Raw) -> Raw:
    """The same message without the model's thinking; other messages as they are."""
    if b'"reasoning' not in bytes(wire):
        return wire
    try:
        message = from_wire(wire)
    except (msgspec.DecodeError, UnicodeError, RecursionError):  # damaged, and not ours to judge
        return wire
    if not isinstance(message, AssistantMessage):
        return wire
    return to_wire(msgspec.structs.replace(message, reasoning=UNSET, reasoning_details=UNSET))


def thoughts(message: AssistantMessage) -> str:
    """The model's thinking as far as it can be read, "" when there is none."""
    found = list[str]()
    if message.reasoning_details is not UNSET:
        try:
            details = msgspec.json.decode(message.reasoning_details, type=list[Any])
        except (msgspec.DecodeError, UnicodeError, RecursionError):  # damaged, and not ours to judge
            details = []
        pieces = (cast("dict[str, Any]", each) for each in details if isinstance(each, dict))
        found += (text for each in pieces if isinstance(text := each.get("text") or each.get("summary"), str))
    if message.reasoning is not UNSET:
        found.append(message.reasoning)
    return "\n".join(found)


def family(model: str) -> str:
    """Who made a model, as in ``qwen`` for ``qwen/qwen3-14b``; "" for a name without vendor, and for routers."""
    vendor, slash, _ = model.lstrip("~").partition("/")
    return vendor if slash and vendor != "openrouter" else ""


def printable(text: str) -> str:
    """The text with what UTF-8 cannot carry written out: halves of surrogate pairs, as odd file names bring them."""
    return text.encode("utf-8", "backslashreplace").decode()


class ToolCall(Struct, frozen=True):
    """One call the model asked for.

    ``id`` is ours: run id, reply number and index. ``wire_id`` is the provider's. ``arguments`` is the text the
    model wrote, checked or not.
    """

    id: str
    wire_id: str
    name: str
    arguments: str


class Intent(Struct, frozen=True, omit_defaults=True):
    """One call about to run: its id, its tool, the checked arguments, and the key that names its effect."""

    call: str
    tool: str
    arguments: Raw
    key: str
    effect: Effect = "write"
    repeat: Repeat = "never"
    attempt: int = 1
    polls: bool = False


class Usage(Struct, frozen=True, omit_defaults=True):
    """Tokens and dollars of one reply, or their sum over a run.

    ``cost`` is in US dollars as billed: OpenRouter's ``usage.cost``, plus the upstream cost when the call went
    through the user's own provider key. None means that nobody said what it cost.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    cached_tokens: int = 0
    cost: Decimal | None = None

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens together (reasoning counts as completion)."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: "Usage") -> "Usage":
        costs = [usage.cost for usage in (self, other) if usage.cost is not None]
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.cached_tokens + other.cached_tokens,
            sum(costs, Decimal(0)) if costs else None,
        )


class Detour(Struct, frozen=True, omit_defaults=True):
    """What the next attempt does differently: another ``model``, without the providers in ``avoid``, or ``plain``.

    ``avoid`` holds provider slugs; ``plain`` means without thinking, whatever the settings say. ``lower``: the server
    does not take the form that the answer is asked for in. ``think``: with thinking, though the settings say without;
    some models refuse to do without. ``loose``: providers need not take every parameter of the request.
    """

    model: str = ""
    avoid: tuple[str, ...] = ()
    plain: bool = False
    lower: bool = False
    think: bool = False
    loose: bool = False


NO_DETOUR = Detour()


DEFAULT_DOLLARS = Decimal(1)
"""The limit of who gives none; known by identity."""


class Limits(Struct, frozen=True):
    """Where a run ends at the latest. None switches a limit off; 0 stops it before anything is sent.

    All are checked before a request leaves; ``seconds`` also stops what is under way. ``seconds`` is active
    time: the hours a paused run waits for a person do not count. ``repeats`` are rounds of calls in a row that bring
    nothing new, the same calls with the same results: after so many the model is told, after twice as many the run
    ends. A run that works with tools and meets a limit of turns, calls, repeats or dollars is asked for its answer
    once more, without tools, if there is money left for that. Raises SetupError for what is no such number.

    ``dollars`` is never passed while no bill is above what its request was reckoned to cost at most, which is put aside
    before it leaves; give it as 0.05, "0.05" or a Decimal, it is kept as the latter. What is given needs a model whose
    price is known; the default counts only bills where it is not. A ``purse`` is shared with other runs.

    JSON holds every field: what was recorded does not change with the defaults.
    """

    turns: int | None = 25
    tool_calls: int | None = None
    tokens: int | None = None
    seconds: float | None = 600.0
    dollars: Decimal | None = DEFAULT_DOLLARS
    repeats: int | None = 3
    purse: Purse | None = None

    if TYPE_CHECKING:  # what may be given is wider than what is kept

        def __init__(
            self,
            turns: int | None = 25,
            tool_calls: int | None = None,
            tokens: int | None = None,
            seconds: float | None = 600.0,
            dollars: Decimal | float | str | None = DEFAULT_DOLLARS,
            repeats: int | None = 3,
            purse: Purse | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if (value := getattr(self, name)) is not None:
                _check_limit(name, value)
        if self.dollars is not None and self.dollars is not DEFAULT_DOLLARS:  # users write 0.5; the sums are exact
            msgspec.structs.force_setattr(self, "dollars", Decimal(str(self.dollars)))

    @property
    def insists(self) -> bool:
        """Whether somebody has said how many dollars there are, so that prices have to be known."""
        return self.purse is not None or (self.dollars is not None and self.dollars is not DEFAULT_DOLLARS)


_WHOLE = ("a whole number from 0 up", (int,))
_NUMBERS = {
    "seconds": ("a number from 0 up", (int, float)),
    "dollars": ("a number from 0 up, as in 0.05", (int, float, Decimal, str)),
}
"""What each limit has to be; those not named are whole numbers."""


def _check_limit(name: str, value: Any) -> None:
    if name == "purse":
        if not isinstance(value, Purse):
            raise SetupError(f"limit purse is {value!r:.60}", 'Give a Purse, as in Purse("nightly", 5, per="day").')
        return
    wanted, kinds = _NUMBERS.get(name, _WHOLE)
    try:
        if isinstance(value, kinds) and not isinstance(value, bool) and 0 <= Decimal(str(value)) < Decimal("inf"):
            return
    except InvalidOperation:  # a text that is no number, or a Decimal that cannot be compared
        pass
    shown = value if isinstance(value, Decimal) else repr(value)
    raise SetupError(f"limit {name} is {shown}", f"Give {wanted}, or None for no limit.")


def decoder_of(kind: Any) -> msgspec.json.Decoder[Any]:
    """A decoder for values of this type, made by one thread at a time.

    Where two threads look at one struct's fields for the first time, one of them finds them half looked at, and
    msgspec 0.22 takes the process down.
    """
    with _making:
        return msgspec.json.Decoder(kind)


def decoded(decoder: msgspec.json.Decoder[Value], body: bytes) -> Value:
    """What this JSON stands for. Raises msgspec.DecodeError on anything else, however deep or wrongly coded it is."""
    try:
        return decoder.decode(body)
    except (RecursionError, UnicodeDecodeError) as error:
        raise msgspec.DecodeError(str(error)) from None
