"""What the first request of a run would be, and what it may cost."""

from decimal import Decimal

from msgspec import Struct

from outrider.model import Model, Request
from outrider.openrouter.settings import Settings


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


def preview_of(model: Model, request: Request) -> Preview:
    """The preview of a request to this model; nothing is sent."""
    url, settings = getattr(model, "url", ""), getattr(model, "options", None)
    if not isinstance(settings, Settings):
        return Preview(url, request.body, None, "only models on a server have prices")
    from outrider.openrouter.estimate import most

    estimate = most(request.body, settings)
    return Preview(url, request.body, estimate.price, estimate.basis)
