"""What an agent is given, looked at before anything runs: what cannot work is refused, saying what is wanted."""

import inspect
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

from outrider.errors import SetupError, did_you_mean
from outrider.journal import SCHEMES, Journal
from outrider.messages import Limits
from outrider.model import Model
from outrider.openrouter.settings import KEY_VARIABLE, Settings, is_openrouter
from outrider.policy import ask_before
from outrider.tool import Tool, as_tool

if TYPE_CHECKING:
    from pydantic import SecretStr

SHORTEST_KEY = 16
"""Characters; a shorter API key is a mere word, as servers at home take, and may stand in any text."""

_MODEL = ("name", "settings", "ask", "ready", "close")
_SCHEMA = frozenset(("type", "properties", "$ref", "anyOf", "oneOf", "allOf", "enum", "const"))

_SLUG = re.compile(r"[^\s/]+/[^\s/]+")

_VALUES = (str, bytes, int, float, tuple, list, Mapping)


def model_from(model: str | Model, settings: Settings) -> Model:
    """The model that a name stands for, or the object itself. Raises SetupError when it is no model."""
    given: object = model
    if not isinstance(given, str):
        missing = [name for name in _MODEL if not hasattr(given, name)]
        if isinstance(given, type) or missing:
            _refuse("model", given, f"a model's name, or an object with {', '.join(_MODEL)}")
        return given
    if not given.strip():
        _refuse("model", given, "a name such as qwen/qwen3-14b, or local for the embedded model")
    if given == "local" or given.startswith("local:"):
        from outrider.local import LocalModel
        from outrider.local.weights import weights_path

        if given != "local":  # the embedded model's own file may still come
            weights_path(given)
        return LocalModel(given)
    if is_openrouter(settings.base_url) and given.partition(":")[0].lower() == "local":
        raise SetupError(f"there is no model {given!r}", f"Did you mean local{given[len('local') :]}?")
    if is_openrouter(settings.base_url) and "/" not in given:
        near = did_you_mean(given.lower(), ["local"])
        hint = f"Write local:{given}" if given.endswith(".gguf") else "Write vendor/name, as in qwen/qwen3-14b"
        known = f"{hint}; openrouter.ai/models lists them, and local needs no key."
        raise SetupError(f"model {given!r} has no vendor", f"{near} {known}".lstrip())
    if is_openrouter(settings.base_url) and not _SLUG.fullmatch(given):
        hint = "Write vendor/name, as in qwen/qwen3-14b or qwen/qwen3-14b:free; openrouter.ai/models lists them."
        raise SetupError(f"model {given!r:.80} is no model's name", hint)
    from outrider.openrouter import OpenRouter

    return OpenRouter(given, settings)


def tools_from(tools: Sequence[Tool[..., Any] | Callable[..., Any]]) -> tuple[Tool[..., Any], ...]:
    """The tools, each of a name of its own. Raises SetupError when two have one, or something is no tool."""
    for tool in _check_list("tools", tools):
        if isinstance(tool, str):
            _refuse("a tool", tool, "the function itself, imported and without quotes")
    made = tuple(as_tool(tool) for tool in tools)
    names = [tool.wire_name for tool in made]
    for name in names:
        if names.count(name) > 1:
            raise SetupError(f"two tools are named {name}", "Give one of them another name: @tool(name=...).")
    return made


def check_able(model: Model, tools: Sequence[Tool[..., Any]], inputs: frozenset[str] = frozenset()) -> None:
    """Raises SetupError when it is known here that the model cannot do with these tools, or takes no such ``inputs``.

    A model may itself say what it takes: its ``inputs``, as in ``("text", "image")``.
    """
    taken: tuple[str, ...] | None = getattr(model, "inputs", None)
    if isinstance(taken, tuple) and (wrong := sorted(inputs.difference(taken))):
        raise SetupError(
            f"{model.name} takes {' and '.join(taken)} only, and the conversation holds: {', '.join(wrong)}",
            "Give it words, or choose another model; outrider models lists those on OpenRouter.",
        )
    settings = getattr(model, "options", None)
    if isinstance(settings, Settings):
        from outrider.openrouter.fit import check_inputs, check_model

        check_model(model.name, settings, bool(tools))
        check_inputs(model.name, settings, inputs)


def journal_from(journal: object) -> Journal | Path | str | None:
    """The journal, the whole path of its folder, its address, "default", or None. Raises SetupError for all else."""
    if journal is None:
        return None
    if isinstance(journal, str) and (journal == "default" or journal.startswith(SCHEMES)):
        return journal
    if isinstance(journal, str | Path) and str(journal):
        folder = Path(os.path.abspath(_expanded(Path(journal))))
        if folder.exists() and not folder.is_dir():
            _refuse("journal", str(folder), "a folder, and this is a file")
        return folder
    if isinstance(journal, type) or not hasattr(journal, "create"):
        kinds = 'a folder, postgresql://..., a journal such as SQLiteJournal(folder), "default", or None'
        _refuse("journal", journal, kinds)
    return cast(Journal, journal)


def opened(journal: Journal | str | Path | None) -> Journal:
    """The journal that this stands for; "default" is looked up each time, as the environment may change."""
    if journal is None:
        from outrider.journal.nothing import NoJournal

        return NoJournal()
    if isinstance(journal, str | Path):
        from outrider.journal.default import default_journal, journal_at, journal_in

        if journal == "default":
            return default_journal()
        return journal_in(journal) if isinstance(journal, Path) else journal_at(journal)
    return journal


def _expanded(folder: Path) -> Path:
    try:
        return folder.expanduser()
    except RuntimeError:  # no HOME, and a user that the system does not know
        raise SetupError(f"journal is {str(folder)!r}, and there is no such home", "Give the whole path.") from None


def secrets_from(secrets: "Sequence[str | SecretStr]", settings: Settings) -> list[str]:
    """The texts to be masked: those given, and the API key unless it is a mere word."""
    texts = [secret if isinstance(secret, str) else secret.get_secret_value() for secret in secrets]
    key = (settings.api_key or os.environ.get(KEY_VARIABLE, "")).strip()
    return [*texts, key] if len(key) >= SHORTEST_KEY else texts


def check_limits(limits: object) -> None:
    """Raises SetupError when these are no Limits."""
    if not isinstance(limits, Limits):
        _refuse("limits", limits, "Limits, as in limits=Limits(turns=5, dollars=0.05)")


def check_rest(
    *,
    name: object,
    settings: object,
    instructions: object,
    output: object,
    policy: object,
    observers: object,
    secrets: object,
) -> None:
    """Raises SetupError for the first of these that cannot work."""
    if not isinstance(name, str) or not name:
        _refuse("name", name, "a text, to find the agent's runs by")
    if not isinstance(settings, Settings):
        _refuse("settings", settings, "Settings, as in settings=Settings(temperature=0)")
    if not (isinstance(instructions, str) or callable(instructions)):
        _refuse("instructions", instructions, "a text, or a function that takes the dependencies and returns one")
    if policy is ask_before:
        _refuse("policy", policy, 'what it makes, as in policy=ask_before("write")')
    if not callable(policy) or _waits(policy):
        _refuse("policy", policy, "a plain function of the proposed call and the state that returns a Verdict")
    check_output(output)
    for observer in _check_list("observers", observers):
        if not callable(observer) or _waits(observer):
            _refuse("an observer", observer, "a plain function of an entry: it is called, never awaited")
        if not _takes_one(observer):
            made = f"; if it makes one, call it: observers=[{getattr(observer, '__name__', 'it')}()]"
            _refuse("an observer", observer, f"a function that takes the entry{made}")
    if any(
        not isinstance(secret, str) and not hasattr(secret, "get_secret_value")
        for secret in _check_list("secrets", secrets)
    ):
        raise SetupError("secrets holds something that is no text", "Give texts, or Pydantic's SecretStr.")


def check_output(output: object) -> None:
    """Raises SetupError when this can be no output type."""
    if isinstance(output, Mapping):
        schema = cast("Mapping[str, object]", output)
        if not _SCHEMA & schema.keys():
            _refuse("output", schema, 'a type, or a JSON Schema: {"type": "object", "properties": {...}}')
    elif isinstance(output, tuple):
        members = cast("tuple[object, ...]", output)
        if any(map(_is_value, members)):
            _refuse("output", members, "types only, as in output=(Invoice, Refusal)")
    elif _is_value(output):
        _refuse("output", output, "the type of the answer, such as int or a Pydantic model")


def _is_value(given: object) -> bool:
    return isinstance(given, (*_VALUES, Tool)) or inspect.isroutine(given)


def _check_list(name: str, given: object) -> Sequence[object]:
    if isinstance(given, Sequence) and not isinstance(given, str | bytes):
        return cast(Sequence[object], given)
    one = callable(given) or isinstance(given, str | bytes)
    raise SetupError(f"{name} is {_shown(given)}", f"Put it in a list: {name}=[...]." if one else "Give a list.")


def _takes_one(function: Callable[..., object]) -> bool:
    """Whether it can be called with one thing; taken for granted where nobody can tell."""
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:  # a function of C without a signature
        return True
    return True


def _waits(function: object) -> bool:
    """Whether calling it does nothing yet: its result would have to be awaited."""
    call = getattr(function, "__call__", None)  # noqa: B004 - of an object that is called like a function
    return any(inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each) for each in (function, call))


def _refuse(name: str, given: object, wanted: str) -> NoReturn:
    raise SetupError(f"{name} is {_shown(given)}", f"Give {wanted}.")


def _shown(given: object) -> str:
    if inspect.isroutine(given) or isinstance(given, type):
        kind = "class" if isinstance(given, type) else "async function" if _waits(given) else "function"
        return f"the {kind} {given.__name__}"
    return f"{given!r:.80}"
