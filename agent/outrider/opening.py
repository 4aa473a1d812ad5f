"""How a run opens: its name, its first messages and, when it is resumed, what is no longer as it was."""

import os
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any

from msgspec import Raw

from outrider import events as e
from outrider.errors import SetupError
from outrider.messages import (
    AssistantMessage,
    Limits,
    SystemMessage,
    UserMessage,
    from_wire,
    printable,
    to_wire,
    without_reasoning,
)
from outrider.parts import Content, inputs
from outrider.result import Result
from outrider.state import State
from outrider.tool import Tool
from outrider_prompts import say


def new_run_id() -> str:
    """Ten characters by chance, of 32 that people can read aloud: no l, o, 0 or 1."""
    alphabet = "abcdefghijkmnpqrstuvwxyz23456789"
    return "".join(alphabet[byte % len(alphabet)] for byte in os.urandom(10))


@cache
def own_version() -> str:
    """The version of Outrider that is installed, or an empty text in a bare source tree."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("outrider")
    except PackageNotFoundError:
        return ""


def check_text(what: str, text: object) -> None:
    """Raises SetupError for what is no text."""
    if not isinstance(text, str):
        raise SetupError(f"{what} is {text!r:.60}", "Say it as text.")


def check_deps(deps: object, wanted: Any) -> None:
    """Raises SetupError for an agent that declares dependencies and is given none."""
    if deps is None and wanted not in (None, type(None)):
        name = getattr(wanted, "__name__", str(wanted))
        raise SetupError(f"no deps were given, and deps_type is {name}", f"Give them to the run: deps={name}(...).")


def check_wanted(deps: object, tools: Sequence[Tool[..., Any]]) -> None:
    """Raises SetupError where a tool is to be called that cannot do without dependencies, and none are given."""
    for tool in tools:
        if deps is None and tool.wants:
            hint = "Give them to the run: agent.run(task, deps=...). The command line has none to give."
            raise SetupError(f"no deps were given, and the tool {tool.name} wants {tool.wants}", hint)


def check_history(history: object) -> None:
    """Raises SetupError for a history that is no result."""
    if history is not None and not isinstance(history, Result):
        raise SetupError(
            f"history is a {type(history).__name__}, not a result",
            "Give what an earlier run came back with: history=result, not its messages.",
        )


def name_of(run: "str | Result[Any]") -> str:
    """The name of a run, which its result may stand for. Raises SetupError for anything else."""
    name = run.run if isinstance(run, Result) else run
    check_text("run", name)
    if not name:
        raise SetupError("run is empty", "Give a run's name, as result.run has it, or the result itself.")
    return name


def first_messages(system: str, task: Content, history: Result[Any] | None) -> tuple[Raw, ...]:
    """Instructions, the conversation of an earlier run, and the task.

    Raises SetupError when the earlier run has calls without results.
    """
    first = [to_wire(SystemMessage(printable(system)))] if system else []
    earlier = _earlier(history) if history else []
    return (*first, *earlier, to_wire(UserMessage(task)))


def at_turn(run: str, entries: Sequence[e.Entry], turn: int | None) -> State:
    """The run as it was after that turn, before anything more was asked of the model; None is the last turn.

    Raises SetupError where the run never came so far, or a call of that turn has no result.
    """
    state, whole = State(), State.fold(entries)
    last = whole.turns if turn is None else turn
    if not 0 <= last <= whole.turns:
        raise SetupError(f"run {run} has no turn {turn}", f"It has had {whole.turns}; 0 is the task alone.")
    for entry in entries:
        if isinstance(entry.event, e.RequestSent) and state.turns >= last:
            break
        state.add(entry)
    if waiting := state.owed_calls():
        raise SetupError(
            f"turn {last} of run {run} has calls without results: {', '.join(call.call.name for call in waiting)}",
            "Resume the run first, or fork it at an earlier turn: a call in doubt is never done a second time.",
        )
    return state


def forked_messages(system: str, state: State, more: str) -> tuple[Raw, ...]:
    """Instructions, the conversation up to there, and what the user says ``more``.

    Raises SetupError when the last word in it is the model's own.
    """
    messages = [*([to_wire(SystemMessage(printable(system)))] if system else []), *_conversation(state)]
    if more:
        messages.append(to_wire(UserMessage(printable(more))))
    elif state.accepted is not None:
        hint = "Say something more to it, or fork it at an earlier turn."
        raise SetupError(f"turn {state.turns} of run {state.run} is its answer: there is nothing left to do", hint)
    return tuple(messages)


def told(state: State, more: str, limits: Limits) -> tuple[e.MessageAdded, ...]:
    """What the model is told when a run goes on: what the user says ``more``, or that it may work on after a limit.

    Nothing of that where these ``limits`` leave it no room either: the run then ends where it did.
    """
    if more:
        return (e.MessageAdded(to_wire(UserMessage(printable(more))), "user"),)
    if (
        state.outcome == "limit" and _landed(state) and _has_room(state, limits)
    ):  # its last word was not meant to be one
        return (e.MessageAdded(to_wire(UserMessage(say("go_on"))), "outrider"),)
    return ()


def _landed(state: State) -> bool:
    """Whether the run was asked for its answer as it stood."""
    return bool(state.landing or (state.messages and isinstance(from_wire(state.messages[-1]), AssistantMessage)))


def _has_room(state: State, limits: Limits) -> bool:
    used = ((state.turns, limits.turns), (state.tool_calls, limits.tool_calls), (state.usage.tokens, limits.tokens))
    return all(limit is None or had < limit for had, limit in used)


def limits_of(state: State, events: Sequence[e.Durable]) -> tuple[Limits, bool]:
    """The limits of the run from now on, and whether those of money are the ones it had before."""
    had = (state.limits.dollars, state.limits.purse)
    for event in events:
        if isinstance(event, e.RunStarted | e.RunResumed):
            limits = event.limits
            return limits, isinstance(event, e.RunResumed) and (limits.dollars, limits.purse) == had
    return state.limits, True


def carried(state: State, events: Sequence[e.Durable]) -> frozenset[str]:
    """What the requests to come hold besides text: "image", "file"."""
    first = (message for event in events if isinstance(event, e.RunStarted) for message in event.messages)
    return inputs((*state.messages, *first))


def _earlier(history: Result[Any]) -> list[Raw]:
    """The conversation of an earlier run, without its instructions and without reasoning, which is of its day."""
    if waiting := history.state.owed_calls():
        raise SetupError(
            f"run {history.run} has calls without results: {', '.join(call.call.name for call in waiting)}",
            f"No model takes such a conversation. Resume it first: agent.resume({history.run!r})",
        )
    return _conversation(history.state)


def _conversation(state: State) -> list[Raw]:
    return [without_reasoning(wire) for wire in state.messages if not isinstance(from_wire(wire), SystemMessage)]


def changed(state: State, now: e.RunStarted, limits: Limits) -> tuple[str, ...]:
    """What differs between the recorded run and one that would start now, under these limits, in plain words."""
    words = [f"tool {name} is missing" for name in state.tools if name not in now.tools]
    words += [f"tool {name} is new" for name in now.tools if name not in state.tools]
    words += [f"tool {n} has changed" for n, digest in now.tools.items() if state.tools.get(n, digest) != digest]
    words += [f"tool {name} worked in {at} and works in {place}" for name, at, place in moved(state, now.places)]
    words += [f"check {name} is missing" for name in state.checks if name not in now.checks]
    words += [f"check {name} is new" for name in now.checks if name not in state.checks]
    for what, was, is_now in (
        ("model", state.model, now.model),
        ("output type", state.output_type, now.output),
        ("policy", state.policy, now.policy),
    ):
        if was != is_now:
            words.append(f"the {what} was {was} and is {is_now}")
    for name in Limits.__struct_fields__:
        if (old := getattr(state.limits, name)) != (new := getattr(limits, name)):
            words.append(f"the limit of {name} was {_limit(old)} and is {_limit(new)}")
    if _instructions(state.messages) != _instructions(now.messages):
        words.append("the instructions have changed; the run keeps its own")
    return tuple(words)


def moved(state: State, places: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """The tools that worked elsewhere when the run began: their names, where that was, and where they work now."""
    return [(name, at, places[name]) for name, at in state.places.items() if name in places and places[name] != at]


def _limit(value: object) -> str:
    return "none" if value is None else f"{value:f}" if isinstance(value, Decimal) else str(value)


def _instructions(messages: "list[Raw] | tuple[Raw, ...]") -> str:
    first = from_wire(messages[0]) if messages else None
    return first.content if isinstance(first, SystemMessage) else ""
