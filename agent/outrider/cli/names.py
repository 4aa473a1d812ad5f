"""Tools and types by name: only those that a person has typed, never those that a record names."""

import importlib
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from importlib.metadata import EntryPoint, entry_points
from inspect import isfunction, signature
from pathlib import Path
from types import GenericAlias, ModuleType
from typing import Any, Literal, cast, get_args

import msgspec

from outrider.agent import Agent
from outrider.errors import SetupError, did_you_mean, put_off
from outrider.tool import Tool, as_tool

GROUP = "outrider.tools"
SHELF = "outrider_tools"
"""The import package of the tools that come with Outrider."""

UNKNOWN = "MODULE"
"""Stands for a module that only its owner knows."""

LABELS = "LABEL,LABEL"
"""Stands for labels that only the person who gave them knows."""

_LABEL = re.compile(r"[^][{}()\"':]+")
_PLAIN: Mapping[str, Any] = {"int": int, "float": float, "bool": bool, "str": str, "date": date}

AnyTool = Tool[..., Any]


def tools_by_name(name: str, beside: str = "") -> list[AnyTool]:
    """The tools that a name stands for. Raises SetupError with close names.

    ``files`` are those of an installed entry point, ``files.read_file`` is one of them, ``files=FOLDER`` has them work
    in that folder, and ``app:weather`` is a module's. Folders and modules are looked for in the folder ``beside``,
    modules then in the current one.
    """
    plain, given, folder = name.partition("=")
    if ":" in plain:
        if given:
            raise SetupError(f"{plain} takes no folder", "NAME=FOLDER is for installed tools that work in a folder.")
        return _tools(plain, named(plain, "tool", beside))
    entries = installed()
    family, _, one = (plain, "", "") if plain in entries else plain.partition(".")
    if family not in entries or (family != plain and not one):
        raise _unknown(plain, entries)
    tools = tools_of(entries[family], os.path.join(beside, os.path.expanduser(folder)) if given else None)
    if not one:
        return tools
    names = [tool.name for tool in tools]
    if one not in names:
        raise SetupError(f"{family} has no tool {one!r}", did_you_mean(one, names) or f"It has: {', '.join(names)}.")
    return [tool for tool in tools if tool.name == one]


def _unknown(name: str, entries: Iterable[str]) -> SetupError:
    known = f"Installed: {', '.join(entries) or 'none'}; or give module:name of your own."
    exact = offering(name)
    near = f"Write {exact}." if not exact.startswith(UNKNOWN) else did_you_mean(name, entries)
    return SetupError(
        f"there is no installed tool {name!r}", _own_module(name) or " ".join(filter(None, (near, known)))
    )


def offered() -> list[EntryPoint]:
    """What packages here offer as tools, in order; none of it is loaded. A name may be there more than once."""
    return sorted(entry_points(group=GROUP), key=lambda entry: entry.name)


def installed() -> dict[str, EntryPoint]:
    """What stands for each name that packages here offer. Nobody takes the place of a tool on the shelf."""
    return {entry.name: entry for entry in sorted(offered(), key=_on_shelf)}


def _on_shelf(entry: EntryPoint) -> bool:
    return entry.module.partition(".")[0] == SHELF


def output_by_name(name: str, beside: str = "") -> Any:
    """The output type: int and its like, labels, the schema in a .json file, or ``module:Type``. Raises SetupError.

    Files and modules are looked for in the folder ``beside``, a module then in the current one.
    """
    if plain := plain_type(name):
        return plain
    if name.endswith(".json"):
        return _schema(Path(beside, name))
    if found := re.fullmatch(r"list\[(.+:.+)\]", name):
        return GenericAlias(list, (output_by_name(found[1], beside),))
    if labels := re.fullmatch(r"labels:\s*(.*,.*)", name):
        raise SetupError(f"output {name!r} names no type", f"Write the labels alone: {labels[1]}")
    if ":" not in name:
        own = f"app:{name}" if name.isidentifier() else "app:Answer"
        kinds = f"one of {', '.join(_PLAIN)}, or list[...] of one"
        hint = f"Write answer.json, {own}, {kinds}, or labels as in positive,negative."
        raise SetupError(f"output {name} is neither a .json file nor module:Type", hint)
    return named(name, "type", beside)


def plain_type(name: str) -> Any | None:
    """The type of a name that needs no module: ``int``, ``list[date]``, or labels, ``positive,negative``."""
    if found := re.fullmatch(r"list\[(.+)\]", name):
        inner = plain_type(found[1])
        return GenericAlias(list, (inner,)) if inner else None
    labels = [label.strip() for label in name.split(",")]
    if len(labels) > 1 and all(_LABEL.fullmatch(label) and label not in _PLAIN for label in labels):
        return Literal[*labels]
    return _PLAIN.get(name)


def loaded() -> Iterator[tuple[EntryPoint, list[AnyTool], SetupError | None]]:
    """What stands for each installed name: its tools, or none and what keeps them from being loaded."""
    for entry in installed().values():
        try:
            tools, fault = tools_of(entry), None
        except SetupError as error:
            tools, fault = list[AnyTool](), error
        yield entry, tools, fault


def offering(tool: str) -> str:
    """What to write behind --tool to get the tool of that name alone, or a pattern to fill in."""
    for entry, tools, _ in loaded():
        names = [found.name for found in tools]
        if tool in names:
            return entry.name if len(names) == 1 else f"{entry.name}.{tool}"
    return f"{UNKNOWN}:{tool}"


def tools_of(entry: EntryPoint, folder: str | None = None) -> list[AnyTool]:
    """The tools behind an entry point, working in that folder (default: as they are).

    Raises SetupError saying what keeps it from being loaded, or that it takes no folder.
    """
    try:
        found: object = entry.load()
        made = _in_folder(entry.name, found, folder) if folder is not None else found() if isfunction(found) else found
    except SetupError:
        raise
    except (Exception, SystemExit) as error:
        raise _broken(f"the installed tool {entry.name}", error, entry) from error
    return _tools(entry.name, made)


def _in_folder(name: str, found: object, folder: str) -> object:
    """What an entry point's function makes of a folder: it takes one when its first parameter may be a Path."""
    parameters = list(signature(found, eval_str=True).parameters.values()) if isfunction(found) else []
    hint: Any = parameters[0].annotation if parameters else None
    if not isfunction(found) or (hint is not Path and Path not in get_args(hint)):
        raise SetupError(f"{name} takes no folder", f"Write {name} alone.")
    place = Path(os.path.abspath(folder))
    if not place.is_dir():
        beside = place.parent.glob("*/") if place.parent.is_dir() else ()
        near = did_you_mean(place.name, (each.name for each in beside))
        raise SetupError(f"there is no folder {place}", near or "Make it, or name another.")
    return found(place)


def _tools(name: str, found: object) -> list[AnyTool]:
    if isinstance(found, list | tuple):
        return [tool for each in cast("Sequence[Any]", found) for tool in _tools(name, each)]
    if isinstance(found, Tool) or (callable(found) and not isinstance(found, type)):
        return [as_tool(cast("Callable[..., Any]", found))]
    kind = "a class" if isinstance(found, type) else f"of type {type(found).__name__}"
    raise SetupError(f"{name} is no tool but {kind}", "Name a function, a Tool or a list.")


def agent_named(name: str) -> Agent[Any, Any]:
    """The agent that ``module:agent`` stands for. Raises SetupError."""
    found = named(name, "agent")
    if not isinstance(found, Agent):
        raise SetupError(f"{name} is no agent", "Write module:agent, where agent = Agent(...).")
    return cast("Agent[Any, Any]", found)


def named(name: str, what: str, beside: str = "") -> Any:
    """What ``module:name`` stands for, a ``what`` in error messages. Raises SetupError with close names."""
    module_name, _, path = name.partition(":")
    if not module_name or not path:
        example = {"type": "app:Answer", "agent": "app:agent"}.get(what, "app.tools:weather")
        raise SetupError(f"{name!r} names no {what}", f"Write module:name, as in {example}.")
    if "/" in module_name or module_name.endswith(".py"):
        module = _module_name(module_name)
        raise SetupError(
            f"{module_name!r} is a file, not a module", f"Write {module}:{path}, from the folder it is in."
        )
    found: Any = _module(module_name, beside)
    for part in path.split("."):
        if not hasattr(found, part):
            own = _own(found, what)
            hint = did_you_mean(part, own) or f"It has: {', '.join(own) or 'nothing'}."
            raise SetupError(f"{module_name} has no {path!r}", hint)
        found = getattr(found, part)
    return found


def _own(found: object, what: str) -> list[str]:
    """The public names of the tools, functions and types defined there, or of its agents, without what it imports."""
    names = [name for name in dir(found) if not name.startswith("_")]
    if not isinstance(found, ModuleType):
        return names
    if what == "agent":
        values = {name: getattr(found, name) for name in names}
        return [name for name, value in values.items() if isinstance(getattr(value, "agent", value), Agent)]
    return [name for name in names if _is_own(getattr(found, name), found.__name__)]


def _is_own(value: object, module: str) -> bool:
    if isinstance(value, list | tuple):
        return any(isinstance(each, Tool) for each in cast("Sequence[object]", value))
    defined = cast("AnyTool", value).function if isinstance(value, Tool) else value
    return callable(defined) and getattr(defined, "__module__", "") == module


def _module(name: str, beside: str) -> ModuleType:
    folders = dict.fromkeys((os.path.abspath(beside), os.getcwd()))
    for folder in reversed(folders):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    token = put_off.set(True)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            close = did_you_mean(name, (found for folder in folders for found in _modules_in(Path(folder))))
            file = f"{name.partition('.')[0]}.py"
            hint = f"{close} Run outrider from the folder that {file} is in, or install the package it is in.".lstrip()
            raise SetupError(f"there is no module {name!r} in {', '.join(folders)} or installed", hint) from error
        raise _broken(f"module {name}", error) from error
    except SetupError:
        raise
    except (Exception, SystemExit) as error:  # a script that ends in sys.exit(main()), say
        raise _broken(f"module {name}", error) from error
    finally:
        put_off.reset(token)


def _own_module(name: str) -> str:
    """A sentence for one who names a module of this folder, or its file, in the place of a tool in it."""
    module = _module_name(name)
    parts = module.split(".")
    path = Path(*parts)
    if not all(part.isidentifier() for part in parts) or not (
        path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()
    ):
        return ""
    return f"{module} is a module here: write {module}:NAME, with the name of a tool in it."


def _module_name(file: str) -> str:
    """Of a file below the current folder its dotted name; of one elsewhere the name it has in its own folder."""
    path = os.path.normpath(file).removesuffix(".py")
    return os.path.basename(path) if path.startswith(("..", "/")) else path.replace("/", ".")


def _modules_in(folder: Path) -> Iterable[str]:
    return (path.stem for path in folder.glob("*.py"))


def _broken(what: str, error: Exception | SystemExit, entry: EntryPoint | None = None) -> SetupError:
    """What keeps something from being imported, and where to mend it: in the code of whoever wrote it."""
    told = error.msg if isinstance(error, SyntaxError) else error
    debug = "with OUTRIDER_DEBUG=1 it shows the whole traceback."
    place = (error.filename, error.lineno) if isinstance(error, SyntaxError) else _blamed(error)
    if place is not None:
        mend = f"Mend {os.path.relpath(place[0] or what)}, line {place[1]}"
    else:  # the name itself leads nowhere
        offer = f"the entry point {entry.name} = {entry.value}" if entry else what
        mend = f"Mend {offer}{f' of {entry.dist.name}' if entry and entry.dist else ''}"
    return SetupError(f"{what} cannot be imported: {type(error).__name__}: {told}", f"{mend}; {debug}")


def _blamed(error: BaseException) -> tuple[str, int | None] | None:
    """File and line of the last frame in the current folder, or else in any file that is not Python's or ours."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(("<", str(Path(__file__).parents[1]), str(Path(importlib.__file__).parent)))
    ]
    own = [frame for frame in frames if frame.filename.startswith(os.getcwd())]
    return ((own or frames)[-1].filename, (own or frames)[-1].lineno) if frames else None


def _schema(path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise SetupError(f"{path} cannot be read: {error.strerror}", "Name a file with a JSON Schema.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SetupError(f"{path} holds no JSON object: {error}", "Name a file with a JSON Schema.") from error
