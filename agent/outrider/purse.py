"""Money that several runs share: a purse, what is drawn from it, and the rule by which a request gets a share."""

from decimal import ROUND_FLOOR, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct
from msgspec.structs import force_setattr

from outrider.errors import SetupError


class Purse(Struct, frozen=True):
    """Dollars that all runs with this purse share: ``Limits(purse=Purse("nightly", 5, per="day"))``.

    Runs share it that keep their record in the same journal, also those of other processes; without a journal, those of
    this process. ``name`` tells purses apart. With ``per="day"`` it is full again each day at 0 o'clock UTC. What a
    request may cost at most is put aside before it leaves and the rest given back when its bill is there, so
    ``dollars`` is never passed while no bill is above what was put aside; give it as 5, "0.50" or a Decimal.
    Raises SetupError for what can be no purse.
    """

    name: str
    dollars: Decimal
    per: Literal["day"] | None = None

    if TYPE_CHECKING:  # what may be given is wider than what is kept

        def __init__(self, name: str, dollars: Decimal | float | str, per: Literal["day"] | None = None) -> None: ...

    def __post_init__(self) -> None:
        given: Any = self.name
        if not isinstance(given, str) or not given.strip() or len(given) > 200:
            raise SetupError(f"a purse's name is {given!r:.60}", 'Give a short text, as in Purse("nightly", 5).')
        if self.per not in (None, "day"):
            raise SetupError(f"purse {self.name}: per is {self.per!r:.60}", 'Give "day", or leave it out.')
        try:
            given = self.dollars
            dollars = Decimal(str(given))
            fine = not isinstance(given, bool) and 0 <= dollars < Decimal("inf")
        except InvalidOperation:
            fine, dollars = False, Decimal(0)
        if not fine:
            raise SetupError(f"purse {self.name} holds {given!r:.60}", "Give dollars from 0 up, as in 0.50.")
        force_setattr(self, "dollars", dollars)

    @classmethod
    def read(cls, text: str) -> "Purse":
        """The purse that ``nightly=5/day`` or ``project=20`` stands for. Raises SetupError."""
        name, _, rest = text.rpartition("=")
        dollars, slash, per = rest.partition("/")
        if not name or (slash and per != "day"):
            raise SetupError(f"{text!r:.60} is no purse", "Write NAME=DOLLARS, or NAME=DOLLARS/day: nightly=5/day.")
        return cls(name, dollars, "day" if per else None)

    def __str__(self) -> str:
        return f"{self.name}={self.dollars:f}{f'/{self.per}' if self.per else ''}"


class Price(Struct, frozen=True):
    """What a request may cost: ``most`` with its answer at full length, ``least`` with the shortest of any use.

    ``spare`` is what has to be left over beside it, for a last answer. ``factor`` is by how much bills have been above
    such prices: all three are to be multiplied by it. Not so where the price is ``billed``: what one came to before.
    """

    most: Decimal
    least: Decimal
    spare: Decimal = Decimal(0)
    factor: Decimal = Decimal(1)
    billed: bool = False


class Share(Struct, frozen=True):
    """What came of asking for money. ``put_aside``: dollars for the request, None when there is not enough.

    ``used`` is what was billed or put aside before, ``in_flight`` the part of it that other requests may yet give back.
    ``factor`` is the one by which it was reckoned.
    """

    put_aside: Decimal | None
    used: Decimal
    in_flight: Decimal
    factor: Decimal


def share(price: Price, dollars: Decimal, used: Decimal, in_flight: Decimal, factor: Decimal, waits: bool) -> Share:
    """Money for a request, of ``dollars`` of which so much is ``used``.

    The whole price, where that is left. Where requests in flight may give back what is missing, and somebody
    ``waits`` for that, nothing for now; else as much as there is, if that does for the shortest answer.
    """
    factor = Decimal(1) if price.billed else max(price.factor, factor)
    room = dollars - used - price.spare * factor
    most, least = price.most * factor, price.least * factor
    if most <= room:
        granted = most
    elif least <= room and not (waits and in_flight):
        granted = room
    else:
        granted = None
    return Share(granted, used, in_flight, factor)


def answer_for(granted: Decimal, base: Decimal, token: Decimal) -> int:
    """How many tokens of an answer that pays, after ``base`` for all else."""
    return int(((granted - base) / token).to_integral_value(ROUND_FLOOR)) if token else 10**9
