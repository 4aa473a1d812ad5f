"""What the first request of a run would be, and what it may cost."""

from decimal import Decimal

from msgspec import Struct

from outrider.model import Grant, Model, Request


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


def preview_of(model: Model, request: Request, grant: Grant) -> Preview:
    """The preview of a request to this model; nothing is sent."""
    return Preview(getattr(model, "url", ""), request.body, grant.reserved, grant.basis)
