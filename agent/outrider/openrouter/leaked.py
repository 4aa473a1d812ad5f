"""Tool calls that a model wrote into its text, because the provider did not read them out of it.

Two forms: Hermes, ``<tool_call>{"name": ..., "arguments": {...}}</tool_call>``, and the XML of Qwen3-Coder,
``<function=name><parameter=key>value</parameter></function>``. An answer may also be about such things, so a call
begins on a line of its own, has nothing but another call behind it on its last line, and is not in a code block.
"""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, cast

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

Offered = Mapping[str, Mapping[str, Any]]
"""The names of the tools on offer, each with the schemas of its parameters."""

MOST = 200
"""A text with more tags than this is a model that repeats itself: nothing is read out of it."""

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_BEGIN = re.compile(r"^[ \t]*(?=<tool_call>|<function=)", re.MULTILINE)
_FENCE = re.compile(r"^[ \t]*(```|~~~)", re.MULTILINE)
_FUNCTION = re.compile(r"<function=([^<>\n]+)>(.*?)</function>", re.DOTALL)
_PARAMETER = re.compile(r"\s*<parameter=([^<>\n]+)>(.*?)</parameter>", re.DOTALL)
_NAME = re.compile(r'\s*\{\s*"name"\s*:\s*"([^"\\]+)"\s*,\s*"(?:arguments|parameters)"\s*:\s*')
_SPACE = re.compile(r"\s*")
_PREFIX = re.compile(r"^(functions?|tools?|default_api)[.:/]", re.IGNORECASE)
_json = json.JSONDecoder()


class Leaked(Struct, frozen=True):
    """A call found in a text: the tool's name as it is on offer, its arguments, and where it stood."""

    name: str
    arguments: str
    begin: int
    end: int


class _Hermes(Struct):
    name: str
    arguments: Raw | UnsetType = UNSET
    parameters: Raw | UnsetType = UNSET


def leaked(text: str, offered: Offered) -> list[Leaked]:
    """The calls in the text that are of tools on offer, in order."""
    if _OPEN not in text and "<function=" not in text:
        return []
    begins = list(islice(_BEGIN.finditer(text), MOST + 1))
    if len(begins) > MOST:
        return []
    fences = [fence.start() for fence in _FENCE.finditer(text)]
    found: list[Leaked] = []
    for begin in begins:
        place, outside = begin.end(), sum(fence < begin.start() for fence in fences) % 2 == 0
        if outside and (not found or place >= found[-1].end):
            found += _row(text, place, offered)
    return found


def name_on_offer(name: str, offered: Offered) -> str:
    """The one name on offer that this can only mean, or "": case, separators and a namespace do not count."""
    if name in offered:
        return name
    for meant in (_bare(name), _bare(_PREFIX.sub("", name.strip(), count=1))):
        like = [each for each in offered if meant and _bare(each) == meant]
        if like:
            return like[0] if len(like) == 1 else ""
    return ""


def _bare(name: str) -> str:
    return name.casefold().translate({ord(letter): None for letter in "_-. "})


def _row(text: str, place: int, offered: Offered) -> Iterator[Leaked]:
    """The calls that stand behind one another from here on, if their last line ends with them."""
    row: list[Leaked] = []
    while call := _hermes(text, place, offered) or _xml(text, place, offered):
        row.append(call)
        place = _past(text, call.end)
        if not text.startswith((_OPEN, "<function="), place):
            break
    if row and not text[row[-1].end :].partition("\n")[0].strip():
        yield from row


def _past(text: str, place: int) -> int:
    space = _SPACE.match(text, place)
    return space.end() if space else place


def _hermes(text: str, place: int, offered: Offered) -> Leaked | None:
    if not text.startswith(_OPEN, place):
        return None
    start = _past(text, place + len(_OPEN))
    try:
        _, end = _json.raw_decode(text, start)
        call = msgspec.json.decode(text[start:end], type=_Hermes)
    except (ValueError, RecursionError, msgspec.DecodeError):
        return _broken(text, place, offered)
    name, last = name_on_offer(call.name, offered), _past(text, end)
    if text.startswith(_CLOSE, last):
        end = last + len(_CLOSE)
    elif last < len(text):  # only the last one of a reply may lack its closing tag
        return _broken(text, place, offered)
    given = call.arguments if call.arguments is not UNSET else call.parameters
    arguments = "{}" if given is UNSET else bytes(given).decode()
    return Leaked(name, arguments, place, end) if name else None


def _broken(text: str, place: int, offered: Offered) -> Leaked | None:
    """A whole block whose JSON is not, as with a brace too few: what stands for arguments is left to their check."""
    end = text.find(_CLOSE, place)
    begun = _NAME.match(text, place + len(_OPEN))
    name = name_on_offer(begun[1], offered) if begun else ""
    if end < 0 or not begun or not name or begun.end() > end:
        return None
    inner = text[begun.end() : end].strip()
    whole = inner.startswith("{") and _OPEN not in inner
    return Leaked(name, inner, place, end + len(_CLOSE)) if whole else None


def _xml(text: str, place: int, offered: Offered) -> Leaked | None:
    start = _past(text, place + len(_OPEN)) if text.startswith(_OPEN, place) else place
    whole = _FUNCTION.match(text, start)
    name = name_on_offer(whole[1].strip(), offered) if whole else ""
    if not whole or not name:
        return None
    given, body, inside = dict[str, Any](), whole[2], 0
    while parameter := _PARAMETER.match(body, inside):
        key = parameter[1].strip()
        given[key] = _typed(parameter[2], offered[name].get(key))
        inside = parameter.end()
    if body[inside:].strip():
        return None
    last = _past(text, whole.end())
    end = last + len(_CLOSE) if text.startswith(_CLOSE, last) else whole.end()
    return Leaked(name, msgspec.json.encode(given).decode(), place, end)


def _typed(text: str, schema: Any) -> Any:
    """A parameter's value: JSON where the schema wants no text, else the text without the line breaks around it."""
    text = text.removeprefix("\n").removesuffix("\n")
    known = cast("dict[str, Any]", schema) if isinstance(schema, dict) else {}
    kind = known.get("type")
    kinds = cast("list[Any]", kind) if isinstance(kind, list) else [kind]
    if "string" in kinds or (kind is None and not text.strip().startswith(("{", "["))):
        return text
    try:
        return msgspec.json.decode(text.strip().lower() if kind == "boolean" else text)
    except (msgspec.DecodeError, RecursionError):
        return text
