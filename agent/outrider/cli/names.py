"""Tools and types by name: only those that a person has typed, never those that a record names."""

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import EntryPoint, entry_points
from inspect import isfunction
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import msgspec

from outrider.errors import SetupError, did_you_mean
from outrider.tool import Tool, as_tool

GROUP = "outrider.tools"

AnyTool = Tool[..., Any]


def tools_by_name(name: str, beside: str = "") -> list[AnyTool]:
    """The tools of an installed entry point, or of ``module:name``. Raises SetupError with close names.

    Modules are looked for in the folder ``beside`` too, before the current one.
    """
    if ":" in name:
        return _tools(name, _attribute(name, "tool", beside))
    entries = installed()
    if name not in entries:
        known = f"Installed: {', '.join(entries) or 'none'}; or give module:name of your own."
        hint = _own_module(name) or " ".join(filter(None, (did_you_mean(name, entries), known)))
        raise SetupError(f"there is no installed tool {name!r}", hint)
    return tools_of(entries[name])


def offered() -> list[EntryPoint]:
    """What packages here offer as tools, in order; none of it is loaded. A name may be there more than once."""
    return sorted(entry_points(group=GROUP), key=lambda entry: entry.name)


def installed() -> dict[str, EntryPoint]:
    """What stands for each name that packages here offer."""
    return {entry.name: entry for entry in offered()}


def output_by_name(name: str, beside: str = "") -> Any:
    """The output type: the JSON Schema in a .json file, or the type ``module:Type``. Raises SetupError.

    Both are looked for in the folder ``beside``, a module then in the current one.
    """
    if name.endswith(".json"):
        return _schema(Path(beside, name))
    if ":" not in name:
        raise SetupError(f"output {name} is neither a .json file nor module:Type", f"Write answer.json, or app:{name}")
    return _attribute(name, "type", beside)


def offering(tool: str) -> str:
    """What to write behind --tool to get the tool of that name: an entry point's name, or a pattern to fill in."""
    for entry in installed().values():
        try:
            names = [found.name for found in tools_of(entry)]
        except SetupError:  # one that does not load offers nothing
            continue
        if tool in names:
            return entry.name
    return f"MODULE:{tool}"


def tools_of(entry: EntryPoint) -> list[AnyTool]:
    """The tools behind an entry point. Raises SetupError saying what keeps it from being loaded."""
    try:
        found: object = entry.load()
        made = found() if isfunction(found) else found
    except SetupError:
        raise
    except (Exception, SystemExit) as error:
        raise _broken(f"the installed tool {entry.name}", error) from error
    return _tools(entry.name, made)


def _tools(name: str, found: object) -> list[AnyTool]:
    if isinstance(found, list | tuple):
        return [tool for each in cast("Sequence[Any]", found) for tool in _tools(name, each)]
    if isinstance(found, Tool) or (callable(found) and not isinstance(found, type)):
        return [as_tool(cast("Callable[..., Any]", found))]
    raise SetupError(f"{name} is no tool but of type {type(found).__name__}", "Name a function, a Tool or a list.")


def _attribute(name: str, what: str, beside: str) -> Any:
    module_name, _, path = name.partition(":")
    if not module_name or not path:
        raise SetupError(f"{name!r} names no {what}", "Write module:name, as in app.tools:weather.")
    if "/" in module_name or module_name.endswith(".py"):
        module = _module_name(module_name)
        raise SetupError(
            f"{module_name!r} is a file, not a module", f"Write {module}:{path}, from the folder it is in."
        )
    found: Any = _module(module_name, beside)
    for part in path.split("."):
        if not hasattr(found, part):
            own = _own(found)
            hint = did_you_mean(part, own) or f"It has: {', '.join(own) or 'nothing'}."
            raise SetupError(f"{module_name} has no {path!r}", hint)
        found = getattr(found, part)
    return found


def _own(found: object) -> list[str]:
    """The public names of the tools, functions and types defined there, without what it imports."""
    names = [name for name in dir(found) if not name.startswith("_")]
    if not isinstance(found, ModuleType):
        return names
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
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            close = did_you_mean(name, (found for folder in folders for found in _modules_in(Path(folder))))
            hint = close or "Modules are looked for in this folder: app:weather is weather in ./app.py."
            raise SetupError(f"there is no module {name!r} in {', '.join(folders)} or installed", hint) from error
        raise _broken(f"module {name}", error) from error
    except SetupError:
        raise
    except Exception as error:
        raise _broken(f"module {name}", error) from error


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
    return os.path.normpath(file).removesuffix(".py").replace("/", ".")


def _modules_in(folder: Path) -> Iterable[str]:
    return (path.stem for path in folder.glob("*.py"))


def _broken(what: str, error: Exception | SystemExit) -> SetupError:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename.startswith(os.getcwd())]
    frame = (own or frames)[-1]
    file, line = (error.filename, error.lineno) if isinstance(error, SyntaxError) else (frame.filename, frame.lineno)
    told = error.msg if isinstance(error, SyntaxError) else error
    return SetupError(
        f"{what} cannot be imported: {type(error).__name__}: {told}",
        f"Mend {os.path.relpath(file or what)}, line {line}; with OUTRIDER_DEBUG=1 it shows the whole traceback.",
    )


def _schema(path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise SetupError(f"{path} cannot be read: {error.strerror}", "Name a file with a JSON Schema.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SetupError(f"{path} holds no JSON object: {error}", "Name a file with a JSON Schema.") from error
