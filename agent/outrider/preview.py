"""What the first request of a run would be, and what it may cost."""

from decimal import Decimal
from typing import Any

from msgspec import Raw, Struct

from outrider.events import Entry
from outrider.funds import first_grant
from outrider.model import Composer
from outrider.output import OutputType
from outrider.state import State


class Preview(Struct, frozen=True):
    """What the first request of a run would be. ``body`` is exactly what would be sent.

    ``price`` is the most it can cost, in dollars; None where that is not known. ``basis`` is which provider's price
    that is and of when, or why it is not known.
    """

    url: str
    body: bytes
    price: Decimal | None = None
    basis: str = ""

    def __str__(self) -> str:
        return self.body.decode()


def preview_of(composer: Composer, output: OutputType[Any], state: State, tools: Raw | None) -> Preview:
    """The preview of the first request of a run that has begun; nothing is sent."""
    if form := output.change(state, tools):
        state.add(Entry(2, 0.0, form))
    grant = first_grant(composer, state, output.asked(state, tools))
    _, request = composer.next(state, grant)
    return Preview(getattr(composer.model, "url", ""), request.body, grant.reserved, grant.basis)
