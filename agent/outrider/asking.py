"""How the answer is asked for: on which rung, beside the tools or after them, and when of a stronger model."""

from collections.abc import Callable

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from outrider import events as e
from outrider.messages import AssistantMessage, UserMessage, from_wire, to_wire
from outrider.model import Ask, Model
from outrider.rungs import RUNGS, Ladder
from outrider.schema import Schema
from outrider.state import State
from outrider_prompts import say

MOST_REJECTIONS = 4
"""How many answers of one model may fail to fit, or to pass a check, before the run ends as rejected."""

MOST_MISFITS = 2
"""How many of them on one rung, before the answer is asked for in another way."""


class Asking(Struct, frozen=True):
    """The asking for one type of answer, of one model. Without a ``ladder`` the answer is plain text."""

    ladder: Ladder | None = None
    schema: Schema = {}
    model: Model | None = None

    def asked(self, state: State, tools: Raw | None) -> Ask:
        """What the next request asks for: tools to work with, the answer in its form, or both at once."""
        if self._answers(state, tools):
            return self._on(state, state.rung)
        if rung := self._beside(state, tools):
            return self._on(state, rung, tools)
        phase = "answer" if state.landing else "work"
        return Ask(phase, state.run, tools, turn=state.turns, detour=state.detour)

    def change(self, state: State, tools: Raw | None, live: bool = True) -> e.AnswerForm | None:
        """Another way of asking: where the one before has failed, or the first one is known not to be taken.

        ``live`` is whether anybody watches: nobody who does is made to wait for a whole reply.
        """
        if (stronger := self.stronger(state)) and state.rejections >= MOST_REJECTIONS:
            return self._of(stronger, state)
        if not self.ladder:
            return None
        if not self._answers(state, tools):
            refused = state.detour.lower and state.form
            why = "the server refused tools and the answer's form in one request"
            return e.AnswerForm(state.form, why, apart=True) if refused else None
        if state.detour.lower:
            return self._fall(state, "refused", "the server refused the request as it was")
        if state.misfits >= MOST_MISFITS:
            return self._fall(state, "misfit", f"{state.misfits} answers in a row did not fit")
        if self._can_heal(state, live):
            why = "the answer was no JSON: the provider is to mend the next one, which comes whole for that"
            return e.AnswerForm(self.ladder.form(state.rung).rung, why, heal=True)
        return None if state.rung else self._first(state)

    def last(self, state: State) -> bool:
        """Whether nobody is left to ask if this answer is rejected."""
        most = MOST_REJECTIONS * (2 if state.stronger else 1)
        return state.rejections + 1 >= most and not self.stronger(state)

    def stronger(self, state: State) -> str:
        """The stronger model that can still be asked, or ""."""
        named: str = getattr(self.model, "stronger", "")
        return "" if state.stronger or named == state.model else named

    # ---------------------------------------------------------------------------------------- inside

    def _answers(self, state: State, tools: Raw | None) -> bool:
        """The answer phase, once it has begun, or from the start when there are no tools to work with."""
        return self.ladder is not None and (state.answering or tools is None)

    def _on(self, state: State, rung: str, tools: Raw | None = None) -> Ask:
        assert self.ladder
        form = self.ladder.form(rung)
        lower = tools is not None or bool(self.ladder.below(form.rung, "refused"))
        return Ask(
            "answer" if tools is None else "work",
            state.run,
            tools,
            form.format,
            state.turns,
            state.detour,
            form.tool,
            form.rung,
            lower,
            state.heal and tools is None,
        )

    def _lacks(self, ask: Ask, otherwise: str = "") -> str:
        """Why the model is known not to take such a request; ``otherwise`` where it cannot say."""
        lacks: Callable[[Ask], str] | None = getattr(self.model, "lacks", None)
        return lacks(ask) if lacks else otherwise

    def _beside(self, state: State, tools: Raw | None) -> str:
        """The rung on which the answer's form goes along with the tools, or ""."""
        if not self.ladder or state.apart:
            return ""
        rungs = (rung for rung in self.ladder.rungs if RUNGS[rung].beside)
        return next((rung for rung in rungs if not self._lacks(self._on(state, rung, tools), "unknown")), "")

    def _first(self, state: State) -> e.AnswerForm | None:
        """The strongest rung that the model is not known to refuse; nothing where that is the first of all."""
        rung = self._strongest(state)
        assert self.ladder
        return None if rung == self.ladder.first else self._form(state, rung, self._lacks(self._on(state, "")))

    def _strongest(self, state: State) -> str:
        assert self.ladder
        taken = (rung for rung in self.ladder.rungs if not self._lacks(self._on(state, rung)))
        return next(taken, self.ladder.first)

    def _fall(self, state: State, cause: str, why: str) -> e.AnswerForm | None:
        """To the next rung that the model is not known to refuse, or to the next of all."""
        assert self.ladder
        rung = next_one = self.ladder.below(state.rung, cause)
        while rung and self._lacks(self._on(state, rung)):
            rung = self.ladder.below(rung, "refused")
        return self._form(state, rung or next_one, why) if next_one else None

    def _form(self, state: State, rung: str, why: str) -> e.AnswerForm:
        told = RUNGS[rung].told and not state.answering
        schema = msgspec.json.encode(self.schema).decode()
        return e.AnswerForm(rung, why, to_wire(UserMessage(say("answer_now", schema=schema))) if told else e.NOTHING)

    def _of(self, stronger: str, state: State) -> e.AnswerForm:
        """The stronger model, on the strongest rung that it is not known to refuse."""
        why = f"{state.rejections} answers were rejected"
        if not self.ladder:
            return e.AnswerForm("", why, model=stronger)
        state = replace(state, detour=e.Detour(stronger))
        return replace(self._form(state, self._strongest(state), why), model=stronger)

    def _can_heal(self, state: State, live: bool) -> bool:
        """Whether the last answer was no JSON, and the provider can mend the next one with nobody waiting for it."""
        assert self.ladder
        ask = self._on(state, state.rung)
        if live or state.heal or not state.misfits or not RUNGS[ask.rung].heals or _is_json(state):
            return False
        return not self._lacks(replace(ask, heal=True), "unknown")


def _is_json(state: State) -> bool:
    """Whether the last reply's text is JSON, or is read as some here at no cost."""
    message = from_wire(state.last_reply.wire) if state.last_reply else None
    text = (message.content if isinstance(message, AssistantMessage) else None) or ""
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        from outrider.syntax import read

        return read(text) is not None
    return True
