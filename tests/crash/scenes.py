"""The tasks that get killed, as data: what the model says, which tools there are, and what has to come of it.

In most of them a lamp is bought: stock and rate are read and the lamp reserved, all in one reply; then it is paid;
then comes the answer, first in words and, asked again, as an ``Order``.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct
from pydantic import BaseModel

from crash.world import (
    BilledModel,
    LateBills,
    Outdone,
    broken,
    halt,
    pay,
    rate,
    reserve,
    slow,
    sold_out,
    stock,
    wire,
)
from outrider.events import RequestFailed
from outrider.messages import Limits
from outrider.policy import Policy, ask_before, default_policy
from outrider.purse import Purse
from outrider.testing.scripted import Calls, Script
from outrider.tool import Tool, tool

LOOK = Calls(("stock", {"item": "lamp"}), ("reserve", {"item": "lamp"}), ("rate", {"currency": "EUR"}))
PAY = Calls(("pay", {"euros": 42}))
WORDS = "The lamp is reserved and paid."
LAMP: dict[str, Any] = {"item": "lamp", "euros": 42}
MISFIT: dict[str, Any] = {"item": "lamp"}
GREETING = "Good morning."

BOUGHT = (("reserve", "1:1"), ("pay", "2:0"))
RESERVED = (("reserve", "1:1"),)


class Order(BaseModel):
    item: str
    euros: int


class Nothing(BaseModel):
    why: str


def cheap(order: Order) -> None:
    """A check."""
    if order.euros > 50:
        raise ValueError("That is too dear.")


class Scene(Struct, frozen=True):
    """One run. ``effects`` are what its writing tools have done at its end, and the keys that they did it with.

    ``cost`` is that of a reply, in dollars. ``ends`` is the outcome it ends with, ``answer`` its answer. Of calls that
    wait for consent those of the tools in ``refused`` are denied, and those in ``edited`` get other arguments.
    ``name`` names the run; ``greeted``: it goes on from an earlier conversation; ``say`` is said when it has finished.
    """

    tools: tuple[Tool[..., Any], ...]
    script: tuple[Script, ...] = (LOOK, PAY, WORDS, LAMP)
    effects: tuple[tuple[str, str], ...] = BOUGHT
    cost: str = "0.001"
    limits: Limits = Limits(dollars=1)
    output: Any = Order
    checks: tuple[Callable[[Any], None], ...] = ()
    policy: Policy = default_policy
    model: type[BilledModel] = BilledModel
    ends: str = "finished"
    answer: Any = msgspec.field(default_factory=lambda: LAMP)
    refused: tuple[str, ...] = ()
    edited: dict[str, dict[str, Any]] = {}
    name: str = ""
    greeted: bool = False
    say: str = ""

    def tools_that(self, repeat: str) -> set[str]:
        """The names of its writing tools that may be repeated like this."""
        return {each.name for each in self.tools if each.effect == "write" and each.repeat == repeat}


READS = (stock, rate)
KEYED = (*READS, tool(reserve, repeat="with_key"), tool(pay, repeat="with_key"))
ONCE = (*READS, tool(reserve, repeat="never"), tool(pay, repeat="never"))
ASKED = (*READS, tool(reserve, repeat="never"), tool(pay, repeat="never", approve=True))
ALONE = (*READS, tool(reserve, repeat="never"), tool(pay, repeat="never", alone=True))
CROWD = Calls(*(("pay", {"euros": euros}) for euros in range(6)))
AGAIN = Calls(("stock", {"item": "lamp"}))
WRONG = Calls(("stock", '{"thing": 1}'), ("shop", {}), ("sold_out", {"item": "lamp"}), ("broken", {"item": "lamp"}))


def busy(why: str) -> RequestFailed:
    """A request that comes to nothing and is made again."""
    return RequestFailed(0, why, "The provider is busy.", "retry", status=429)


CLASSIC = {
    "keyed": Scene(KEYED),
    "never": Scene(ONCE),
    "asked": Scene(ASKED),
    "capped": Scene(KEYED, cost="0.50", limits=Limits(dollars="0.90")),  # after one reply nothing pays for the last
}
"""Scenes that are killed in every way there is."""

PLAIN = {
    "words": Scene((), (WORDS,), (), output=None, answer=WORDS),
    "form": Scene((), (LAMP,), ()),
    "either": Scene((), ({"why": "sold out"},), (), output=(Order, Nothing), answer={"why": "sold out"}),
    "one life": Scene(ONCE, (LOOK, PAY, LAMP)),
    "crowd": Scene(KEYED, (CROWD, LAMP), tuple(("pay", f"1:{n}") for n in range(6))),
    "crowd, never": Scene(ONCE, (CROWD, LAMP), tuple(("pay", f"1:{n}") for n in range(6))),
    "greeted": Scene(KEYED, (GREETING, LOOK, PAY, WORDS, LAMP), greeted=True),
    "named": Scene(KEYED, name="lamp-1"),
    "said": Scene(ONCE, (LOOK, PAY, LAMP, "Gladly.", LAMP), say="Thank you, and once more?"),
    "stopped": Scene((*ONCE, halt), (Calls(("halt", {"item": "lamp"})), LOOK, LAMP), (("reserve", "2:1"),)),
}
TOOLS = {
    "denied": Scene(ASKED, effects=RESERVED, refused=("pay",)),
    "edited": Scene(ASKED, edited={"pay": {"euros": 40}}),
    "asked twice": Scene(ONCE, (Calls(("reserve", {"item": "lamp"}), ("pay", {"euros": 42})), LAMP),
                         (("reserve", "1:0"), ("pay", "1:1")), policy=ask_before("write")),
    "alone": Scene(ALONE, (Calls(("stock", {"item": "a"}), ("pay", {"euros": 1}), ("reserve", {"item": "a"})), LAMP),
                   (("pay", "1:1"), ("reserve", "1:2"))),
    "failing": Scene((*KEYED, sold_out, broken), (WRONG, PAY, LAMP), (("pay", "2:0"),)),
    "slow": Scene((*KEYED, slow), (Calls(("slow", {"item": "lamp"}), ("pay", {"euros": 42})), LAMP), (("pay", "1:1"),)),
    "timed out": Scene((tool(wire, repeat="never", timeout=0.05),), (Calls(("wire", {"euros": 42})), LAMP),
                       (("wire", "1:0"),)),
}  # fmt: skip
ANSWERS = {
    "rejected": Scene(ONCE, (LOOK, PAY, WORDS, MISFIT, LAMP)),
    "checked": Scene(ONCE, (LOOK, PAY, {"item": "lamp", "euros": 99}, LAMP), checks=(cheap,)),
    "another rung": Scene(KEYED, (PAY, WORDS, MISFIT, MISFIT, MISFIT, LAMP), (("pay", "1:0"),)),
    "given up": Scene(
        KEYED, (PAY, WORDS, MISFIT, MISFIT, MISFIT, MISFIT), (("pay", "1:0"),), ends="rejected", answer=None
    ),
    "stronger": Scene(KEYED, (PAY, WORDS, MISFIT, MISFIT, MISFIT, MISFIT, LAMP), (("pay", "1:0"),), model=Outdone),
}
MONEY = {
    "turns": Scene(ONCE, (LOOK, PAY, LAMP), limits=Limits(turns=2), ends="limit"),
    "calls": Scene(ONCE, (LOOK, PAY, LAMP), RESERVED, limits=Limits(tool_calls=3), ends="limit"),
    "repeats": Scene(KEYED, (LOOK, AGAIN, AGAIN, LAMP), RESERVED, limits=Limits(repeats=1), ends="limit"),
    "purse": Scene(KEYED, limits=Limits(dollars=None, purse=Purse("shop", 1))),
    "retried": Scene(ONCE, (busy("busy"), LOOK, busy("busy"), busy("worse"), PAY, LAMP)),
    "late bills": Scene(KEYED, model=LateBills),
}
SCENES = CLASSIC | PLAIN | TOOLS | ANSWERS | MONEY
