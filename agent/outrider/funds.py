"""The money of a run: what a request may cost is put aside before it leaves, and what it did cost is taken from that.

The reckoning is an upper bound. A prompt has at most as many tokens as the last one was counted to have and bytes were
added since; the answer is as long as it is allowed to be, and the dearest provider that may serve it does.
"""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import ROUND_CEILING, Context, Decimal
from time import monotonic
from typing import TYPE_CHECKING

from msgspec.structs import replace

from outrider.errors import SetupError
from outrider.events import BillAbove, CostSettled, LimitReached, RequestSent
from outrider.limits import charged
from outrider.messages import Limits
from outrider.model import Ask, Composer, Grant, Model, Tariff
from outrider.parts import FILE_MARK, IMAGE_MARK
from outrider.purse import Price, Purse, Share, answer_for, share
from outrider.state import State
from outrider.stop import Stop

if TYPE_CHECKING:
    from outrider.journal import Journal

LAST_ANSWER = 2048
"""Tokens of an answer for which money is kept back while a run works with tools."""

PURSE_SECONDS = 30.0
"""How long a request waits for money that other runs may give back."""

_LEAST = Decimal("0.000001")
"""Dollars put aside for a request of which nobody knows the price; with fewer in a purse it is empty."""

_BYTES_A_TOKEN = 3
"""For guesses; bounds count a token for each byte."""


def tariff_of(model: Model, ask: Ask) -> Tariff | str:
    """What requests cost at most, or why nobody knows."""
    tariff = getattr(model, "tariff", None)
    return tariff(ask) if tariff else f"{model.name} names no prices"


async def check_priced(model: Model, limits: Limits, resumed: bool) -> None:
    """Raises SetupError when dollars are limited by somebody's word and nobody knows what the model costs.

    A run that is ``resumed`` under the limits it had goes on all the same: then bills are counted.
    """
    if not limits.insists:
        return
    ask, appraise = Ask("work", ""), getattr(model, "appraise", None)
    failed: str = await appraise() if appraise and isinstance(tariff_of(model, ask), str) else ""
    if isinstance(why := tariff_of(model, ask), str) and not resumed:
        why = f"{why}; {failed}" if failed else why
        given = f"the limit of ${limits.dollars}" if limits.purse is None else f"the purse {limits.purse}"
        raise SetupError(
            f"{given} cannot be kept: {why}",
            "Say what you will pay at most: Settings(provider=Routing(max_price={'prompt': 0.5, 'completion': 1})),"
            " in dollars per million tokens; or leave the limit out: then only bills are counted.",
        )


class Funds:
    """What one run may spend, from its own limit and its purse."""

    def __init__(self, composer: Composer, journal: "Journal", stop: Stop) -> None:
        self._composer, self._journal, self._stop = composer, journal, stop
        self._before = Decimal(0)
        self._drawn = 0
        self._until = 0.0
        self._begun = False
        self._asked: dict[int, int] = {}

    async def grant(self, state: State, ask: Ask) -> Grant | LimitReached:
        """Leave to make a request, its price put aside; or the limit that forbids it."""
        limits = state.limits
        if state.free or (limits.dollars is None and limits.purse is None):
            return Grant(ask)
        if limits.purse and not self._begun:
            self._begun = True
            await self._tidy(state, limits.purse)
        tariff = tariff_of(self._composer.model, ask)
        self._until = monotonic() + PURSE_SECONDS
        if isinstance(tariff, str):
            return await self._by_bills_alone(state, ask, tariff)
        reckoning = _Reckoning(tariff, state, self._composer, ask)
        keeps_back = ask.tools is not None and not state.landing
        got = await self._put_aside(state, reckoning.price(keeps_back))
        if isinstance(got, LimitReached) and keeps_back and state.turns <= state.landed:  # nothing to land from yet
            got = await self._put_aside(state, reckoning.price(keeps_back=False))
        if isinstance(got, LimitReached):
            return got
        self._before = charged(state)
        most = reckoning.answer(got)
        held = most if most < reckoning.longest else 0
        return Grant(replace(ask, most=most), got.put_aside, _basis(tariff), held)

    def pays_last(self, state: State, ask: Ask) -> bool:
        """Whether there is money for a last answer; of a purse that is known only when it is asked for."""
        tariff, dollars = tariff_of(self._composer.model, ask), state.limits.dollars
        if state.free or dollars is None or isinstance(tariff, str):
            return True
        price = _Reckoning(tariff, state, self._composer, ask).price(keeps_back=False)
        return share(price, dollars, charged(state), Decimal(0), Decimal(1), waits=False).put_aside is not None

    async def heard(self, state: State, sent: RequestSent | None = None) -> BillAbove | None:
        """Give back what a request did not cost, all of it when none was ``sent``; says so when it cost more."""
        if state.open_request:  # it was stopped, and may yet be billed
            return None
        spent = charged(state) - self._before if sent else Decimal(0)
        drawn, self._drawn = self._drawn, 0
        owed = sent is not None and sent.number in state.owed
        if sent and owed:  # its bill was asked for, and may be there when the run ends
            self._asked[sent.number] = 1
        if drawn and state.limits.purse and not owed:
            await self._journal.settle(state.limits.purse, state.run, drawn, spent)
        if sent is None or sent.reserved is None or spent <= sent.reserved:
            return None
        return BillAbove(sent.number, sent.reserved, spent, state.factor)

    async def ask_for_bills(self, state: State, record: Callable[[CostSettled], Awaitable[None]], times: int) -> None:
        """Ask what the requests have cost whose bill is not there, each at most so many ``times``."""
        bill: Callable[[str], Awaitable[Decimal | None]] | None = getattr(self._composer.model, "bill", None)
        waiting = {**state.owed, **({state.open_request: state.open} if state.open_request else {})}
        for number, owed in waiting.items() if bill else ():
            if self._stop.reason or not owed.generation or self._asked.get(number, 0) >= times:
                continue
            self._asked[number] = times
            assert bill
            if (cost := await bill(owed.generation)) is not None:
                if state.limits.purse:  # first, since it may be done twice
                    await self._journal.settle(state.limits.purse, state.run, number, cost)
                await record(CostSettled(number, cost))

    # -------------------------------------------------------------------------------------------- inside

    async def _by_bills_alone(self, state: State, ask: Ask, why: str) -> Grant | LimitReached:
        """Where prices are not known a limit is met when the bills have come to it."""
        limits, used = state.limits, charged(state)
        self._before = used
        if limits.dollars is not None and used >= limits.dollars:
            return LimitReached("dollars", f"${plain(used)}", f"${plain(limits.dollars)}")
        if limits.purse:
            like_before = max(state.dearest or Decimal(0), _LEAST)
            price = Price(like_before, like_before, billed=True)
            got = await self._draw(state, price, limits.purse)
            if got.put_aside is None:
                return _short(f"purse {limits.purse.name}", got, limits.purse.dollars, price)
        return Grant(ask, basis=why)

    async def _tidy(self, state: State, purse: Purse) -> None:
        """After a crash: give back what was put aside for a request that never left, or whose bill is on record."""
        for number in await self._journal.undecided(purse, state.run):
            reply = state.last_reply
            if number > state.requests:
                await self._journal.settle(purse, state.run, number, Decimal(0))
            elif reply and reply.number == number and reply.usage.cost is not None:
                await self._journal.settle(purse, state.run, number, reply.usage.cost)

    async def _put_aside(self, state: State, price: Price) -> Share | LimitReached:
        limits = state.limits
        own = Share(price.most * price.factor, Decimal(0), Decimal(0), price.factor)
        if limits.dollars is not None:
            own = share(price, limits.dollars, charged(state), Decimal(0), Decimal(1), waits=False)
            if own.put_aside is None:
                return _short("dollars", own, limits.dollars, price)
        if limits.purse is None:
            return own
        assert own.put_aside is not None
        got = await self._draw(state, replace(price, most=own.put_aside / own.factor), limits.purse)
        return _short(f"purse {limits.purse.name}", got, limits.purse.dollars, price) if got.put_aside is None else got

    async def _draw(self, state: State, price: Price, purse: Purse) -> Share:
        number, pause = state.requests + 1, 0.02
        while True:
            waits = monotonic() < self._until and not self._stop.reason
            got = await self._journal.draw(purse, state.run, number, price, waits)
            if got.put_aside is not None:
                self._drawn = number
            if got.put_aside is not None or not waits or not _may_come(got, price, purse):
                return got
            await self._stop.beside(_pause(pause))
            pause = min(1.0, 2 * pause)


def first_grant(composer: Composer, state: State, ask: Ask) -> Grant:
    """The grant of a run's first request, by its own limit alone; for a preview."""
    tariff = tariff_of(composer.model, ask)
    if isinstance(tariff, str):
        return Grant(ask, basis=tariff)
    if tariff.beside or any(FILE_MARK in bytes(message) for message in state.messages):
        return Grant(ask, basis=f"what {tariff.beside or 'reading a file'} adds is not listed")
    reckoning = _Reckoning(tariff, state, composer, ask)
    price = reckoning.price(keeps_back=False)
    if state.limits.dollars is None:
        length = f", for an answer of at most {reckoning.longest} tokens"
        return Grant(ask, price.most, f"{tariff.basis}{length}")
    own = share(price, state.limits.dollars, Decimal(0), Decimal(0), Decimal(1), waits=False)
    return Grant(replace(ask, most=reckoning.answer(own)), own.put_aside or price.least, tariff.basis)


def _basis(tariff: Tariff) -> str:
    return f"{tariff.basis}, without what {tariff.beside} adds" if tariff.beside else tariff.basis


async def _pause(seconds: float) -> None:
    await asyncio.sleep(seconds)


def _may_come(got: Share, price: Price, purse: Purse) -> bool:
    """Whether there would be enough if the requests in flight gave all back."""
    needed = (price.least + price.spare) * got.factor
    return bool(got.in_flight) and got.used - got.in_flight + needed <= purse.dollars


class _Reckoning:
    """What the next request may cost."""

    def __init__(self, tariff: Tariff, state: State, composer: Composer, ask: Ask) -> None:
        size, news = composer.news(state, replace(ask, most=tariff.longest))
        known = state.counted.tokens if state.counted else 0
        self._tariff, self._factor = tariff, state.factor
        self._prompt = known + size
        if tariff.window:
            fits = not any(IMAGE_MARK in bytes(message) for message in news)  # else nobody knows how many tokens
            self._prompt = min(self._prompt, tariff.window) if fits else tariff.window
        self.longest = tariff.longest
        if tariff.window:
            room = tariff.window - known - size // _BYTES_A_TOKEN
            self.longest = max(min(tariff.least, tariff.longest), min(tariff.longest, room))
        self._least = min(tariff.least, self.longest)
        self._base = self._prompt * tariff.prompt + tariff.request
        if tariff.image:
            self._base += tariff.image * sum(bytes(message).count(IMAGE_MARK) for message in state.messages)
        # Whatever is billed beside the listed prices comes again, also to a short request, also where all was free.
        self._like_before = (state.dearest or Decimal(0)) / state.factor if state.above else Decimal(0)

    def price(self, keeps_back: bool) -> Price:
        """The price, with money for a last answer where that is to be kept back."""
        tariff, spare = self._tariff, Decimal(0)
        if keeps_back:
            answer = min(LAST_ANSWER, self.longest)
            spare = max(self._like_before, self._base + answer * (tariff.prompt + tariff.answer))
        most, least = (
            max(self._like_before, self._base + length * tariff.answer) for length in (self.longest, self._least)
        )
        return Price(most, least, spare, self._factor)

    def answer(self, got: Share) -> int:
        """How long the answer may be for what was put aside."""
        if got.put_aside is None:
            return self._least
        return min(self.longest, answer_for(got.put_aside / got.factor, self._base, self._tariff.answer))


def _short(name: str, got: Share, dollars: Decimal, price: Price) -> LimitReached:
    needed = (price.least + price.spare) * got.factor
    more = " with a last answer after it" if price.spare else ""
    return LimitReached(name, f"${plain(got.used)}", f"${plain(dollars)}", f"${plain(needed)}{more}")


def plain(amount: Decimal) -> str:
    """An amount without zeros at its end and without an exponent; of six digits, rounded up."""
    return f"{Context(prec=6, rounding=ROUND_CEILING).plus(amount).normalize():f}" if amount else "0"
