"""The errors of Outrider, one tree.

    OutriderError
    ├── SetupError             a mistake found before a run starts: a tool, a type, a setting, a missing key
    ├── JournalError           the record cannot be read or written
    │   ├── RunNotFound        no run of that name in this journal
    │   ├── RunTaken           a run of that name is there already
    │   ├── RunBusy            a live process owns the run
    │   └── Fenced             another process has taken the run over; this one must stop
    └── NoOutput               ``result.output`` was asked of a run that has none, one class per outcome
        ├── ErrorOutcome         error        exit code 1
        ├── RejectedOutcome      rejected     exit code 3
        ├── LimitOutcome         limit        exit code 4
        ├── ProviderOutcome      provider     exit code 5
        ├── PausedOutcome        paused       exit code 6
        ├── RefusedOutcome       refused      exit code 7
        ├── TruncatedOutcome     truncated    exit code 8
        └── InterruptedOutcome   interrupted  exit code 130

``ToolError`` (in ``outrider.tool``) is not in this tree: it speaks to the model, these speak to people.
"""

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any, NoReturn


class OutriderError(Exception):
    """Base of everything Outrider raises. ``str(error)`` is what happened; ``hint`` is what to do next."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class SetupError(OutriderError):
    """A mistake found before a run starts; nothing has been sent or spent."""


class Mistaken:
    """Stands for what cannot be made, such as a tool, where mistakes are put off; using it raises the mistake."""

    def __init__(self, error: SetupError) -> None:
        self.error = error

    def __call__(self, *_: object, **__: object) -> NoReturn:
        """Raise the mistake."""
        raise self.error


put_off: ContextVar[bool] = ContextVar("put_off", default=False)
"""Whether ``@tool`` puts mistakes off: while a module is imported for one of its tools, the others do not matter."""


class JournalError(OutriderError):
    """The record of a run cannot be read or written."""


class RunNotFound(JournalError):
    """The journal holds no run of that name."""


class RunTaken(JournalError):
    """The journal holds a run of that name already, and a new one was to be begun."""


class RunBusy(JournalError):
    """A live process owns the run."""


class Fenced(JournalError):
    """Another process has taken the run over: nothing more of this one is recorded."""


class NoOutput(OutriderError):
    """The run has no output. ``result`` is the whole Result, with what there is."""

    def __init__(self, message: str, hint: str = "", result: Any = None) -> None:
        super().__init__(message, hint)
        self.result = result


class ErrorOutcome(NoOutput):
    """The run ended by an error of the program."""


class RejectedOutcome(NoOutput):
    """The model never gave an answer of the declared type."""


class LimitOutcome(NoOutput):
    """A limit was reached; resuming with more continues the run."""


class ProviderOutcome(NoOutput):
    """The provider or the model failed and no retry could mend it."""


class PausedOutcome(NoOutput):
    """The run waits for a person, or was stopped; it can be resumed."""


class RefusedOutcome(NoOutput):
    """The model or its provider declined to answer."""


class TruncatedOutcome(NoOutput):
    """The answer was cut off at the model's length limit."""


class InterruptedOutcome(NoOutput):
    """The run was interrupted from the keyboard; it can be resumed."""


OUTCOMES: dict[str, tuple[int, type[NoOutput] | None]] = {
    "finished": (0, None),
    "error": (1, ErrorOutcome),
    "rejected": (3, RejectedOutcome),
    "limit": (4, LimitOutcome),
    "provider": (5, ProviderOutcome),
    "paused": (6, PausedOutcome),
    "refused": (7, RefusedOutcome),
    "truncated": (8, TruncatedOutcome),
    "interrupted": (130, InterruptedOutcome),
}
"""Each outcome with its exit code and the error that ``result.output`` raises. Exit code 2 is wrong usage."""


def did_you_mean(name: str, known: Iterable[str], written: Callable[[str], str] = str) -> str:
    """A sentence naming the closest known names, at most three, or an empty string when nothing is close.

    ``written`` makes of a name what is to be written.
    """
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"Did you mean {' or '.join(map(written, close))}?" if close else ""


def without_extra(what: str, extra: str, error: ImportError) -> SetupError:
    """The error for packages that are not installed, and the extra that brings them."""
    return SetupError(
        f"{what} needs packages that are not installed: {error}", f"Install them: pip install 'outrider[{extra}]'"
    )
