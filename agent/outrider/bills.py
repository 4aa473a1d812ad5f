"""What is known of a run's bills between sending a request and hearing what it cost."""

from decimal import Decimal

from msgspec import Raw, Struct


class Owed(Struct, frozen=True):
    """What may be owed for a request without a bill.

    ``amount`` is what was put aside for it, or the estimate of a reply that came without a price; None where no price
    is known. ``stake`` is a tenth of the dollar limit it was sent under, which stands for the amount while no bill of
    the run tells more. ``generation`` is the id under which its bill can be asked for. ``replied``: its reply is there.
    """

    amount: Decimal | None = None
    stake: Decimal = Decimal(0)
    generation: str = ""
    replied: bool = False


class Counted(Struct, frozen=True):
    """A prompt of so many ``tokens``: the first ``messages`` messages, and the ``settings`` they were sent with."""

    tokens: int
    messages: int
    settings: Raw | None
