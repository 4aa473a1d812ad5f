"""What a person may say to the runs of an agent that wait for one: consent, refusal, word on a call in doubt."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from outrider import commands as c
from outrider.errors import SetupError
from outrider.inbox import answer_to, leave, word_on
from outrider.opening import check_text, name_of
from outrider.result import Result
from outrider.state import State
from outrider.tool import BadArguments, Tool

if TYPE_CHECKING:
    from outrider.journal import Journal
    from outrider.masking import Masking


class Answering:
    """The part of an agent by which a person answers its runs, from any process and at any time."""

    tools: tuple[Tool[..., Any], ...]
    _masking: "Masking"

    @property
    def journal(self) -> "Journal":
        """Where this agent's runs are kept."""
        raise NotImplementedError

    async def approve(
        self, run: str | Result[Any], call: str, *, arguments: dict[str, Any] | None = None, by: str = "api"
    ) -> None:
        """Consent to a call that waits, with other arguments if given. The run goes on when it is resumed.

        ``run`` is a run's name or its result, ``call`` the id of a call as ``result.waiting`` has it, or the last two
        parts of one ("1:0"). ``by`` is who says so, for the record. Raises SetupError when the call does not wait for
        consent, was denied already, or the arguments do not fit its tool.
        """
        await self._answer(name_of(run), call, True, arguments, "", by)

    async def deny(self, run: str | Result[Any], call: str, reason: str = "", *, by: str = "api") -> None:
        """Refuse a call that waits; the model is told the reason."""
        await self._answer(name_of(run), call, False, None, reason, by)

    async def settle(self, run: str | Result[Any], call: str, result: str | None = None, *, by: str = "api") -> None:
        """Say what became of a call in doubt: its result, or None to run it again.

        Raises SetupError when the call is not in doubt, or another word on it waits already.
        """
        check_text("the result", result or "")
        check_text("by", by)
        state = State.fold(await self.journal.read(name_of(run)))
        await leave(self.journal, state, self._masking.command(word_on(state, call, result, by)))

    async def say(self, run: str | Result[Any], text: str, *, by: str = "api") -> None:
        """Leave a further message for a run, wherever it is at work: it hears it before its next request.

        One that rests hears it when it is resumed, as does one that ends in the same moment. Raises RunNotFound, and
        SetupError for an empty text.
        """
        check_text("by", by)
        check_text("the message", text)
        if not text.strip():
            raise SetupError("the message is empty", "Say something.")
        await self.journal.tell(name_of(run), self._masking.command(c.Say(by, text)))

    async def cancel(self, run: str | Result[Any], *, by: str = "api") -> None:
        """Ask a run to stop that is at work in some process: it does within a second or so, and can be resumed.

        Raises RunNotFound, and SetupError when it rests already. A run whose process has died stops when it is resumed.
        """
        check_text("by", by)
        name = name_of(run)
        state = State.fold(await self.journal.read(name))
        if state.over:
            raise SetupError(f"run {name} rests already: {state.outcome}", f"Go on with it: agent.resume({name!r})")
        await self.journal.tell(name, self._masking.command(c.Cancel(by)))

    async def _answer(
        self, name: str, call: str, allowed: bool, edited: dict[str, Any] | None, reason: str, by: str
    ) -> None:
        check_text("the reason", reason)
        check_text("by", by)
        state = State.fold(await self.journal.read(name))
        answer = answer_to(state, call, allowed, edited, reason, by)
        if answer.edited and (problems := _problems(self.tools, answer)):
            raise SetupError(f"the arguments do not fit: {'; '.join(problems)}", "Nothing was answered.")
        await leave(self.journal, state, self._masking.command(answer))


def _problems(tools: Sequence[Tool[..., Any]], answer: c.Answer) -> tuple[str, ...]:
    """What is wrong with the new arguments, as far as the tool is here to tell."""
    for tool in tools:
        if tool.wire_name == answer.tool and isinstance(checked := tool.check(answer.edited), BadArguments):
            return tuple(checked.problems)
    return ()
