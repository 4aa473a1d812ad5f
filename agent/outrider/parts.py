"""What a task may hold besides text: pictures and files, given by path, address or bytes.

    agent.run_sync(["What is on it?", Image("photo.png")])

They are read when the run begins and recorded with its first messages, so that a resumed run asks the same.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import unquote, urlsplit

from msgspec import Raw, Struct

from outrider.errors import SetupError, did_you_mean
from outrider.messages import printable

MOST = 20_000_000
"""Bytes of one image or file that is sent as data."""

IMAGE_MARK, FILE_MARK = b'"type":"image_url"', b'"type":"file"'
"""How these parts begin in a message; in a text the quotes are escaped."""

Detail = Literal["auto", "low", "high", "original"]
Source = str | Path | bytes
"""A path, an address (http, https or data), or the bytes themselves."""


class Text(Struct, frozen=True):
    """A text. ``cache``, "5m" or "1h": the provider is to keep what comes up to here, where it has to be asked."""

    text: str
    cache: Literal["5m", "1h"] | None = None


class Image(Struct, frozen=True):
    """A PNG, JPEG, WebP or GIF. ``detail`` is how closely the model looks, where it can be told."""

    source: Source
    detail: Detail = "auto"


class File(Struct, frozen=True):
    """A file, such as a PDF. ``name`` is what the model is told it is called: by default the end of path or address."""

    source: Source
    name: str = ""


Part = Text | Image | File
Task = str | Sequence[str | Part]
"""A text, or a list of parts, in which a plain str is a text too."""

Content = str | list[Any]
"""What a user message holds: a text, or parts in their wire form."""


class Said(Struct, frozen=True):
    """A task as it is sent, and as it is told in short: ``[image photo.png] What is this?``"""

    content: Content
    short: str


def read_task(task: object) -> Said:
    """The task, with its files read. Raises SetupError for one that says nothing or cannot be read."""
    if isinstance(task, str):
        if not task.strip():
            raise SetupError("the task is empty", "Say what is to be done.")
        return Said(printable(task), printable(task))
    if isinstance(task, bytes | bytearray) or not isinstance(task, Sequence):
        single = isinstance(task, Part)
        hint = "Put it in a list: [...]" if single else "Give a text, or a list of texts, images and files."
        raise SetupError(f"the task is {_shown(task)}", hint)
    read = [_read(part) for part in cast("Sequence[object]", task)]
    if not read:
        raise SetupError("the task is empty", "Say what is to be done.")
    return Said([wire for wire, _ in read], " ".join(short for _, short in read))


def short(content: Content) -> str:
    """What a message says, in short: without the data of images and files."""
    if isinstance(content, str):
        return content
    return " ".join(map(_short, content))


def inputs(messages: Iterable[Raw]) -> frozenset[str]:
    """What these messages hold besides text, as the catalogue calls it: "image", "file"."""
    kinds = (("image", IMAGE_MARK), ("file", FILE_MARK))
    wires = [bytes(message) for message in messages]
    return frozenset(name for name, mark in kinds if any(mark in wire for wire in wires))


# ------------------------------------------------------------------------------------------------- reading


def _read(part: object) -> tuple[dict[str, Any], str]:
    """A part in its wire form, and in short."""
    match part:
        case str():
            return _text(Text(part))
        case Text():
            return _text(part)
        case Image():
            return _image(part)
        case File():
            return _file(part)
        case _:
            raise SetupError(f"a part of the task is {_shown(part)}", "Give a text, a Text, an Image or a File.")


def _text(part: Text) -> tuple[dict[str, Any], str]:
    if not isinstance(cast(object, part.text), str) or not part.text.strip():
        raise SetupError(f"a text of the task is {part.text!r:.60}", "Say something in it, or leave it out.")
    wire: dict[str, Any] = {"type": "text", "text": printable(part.text)}
    if part.cache is not None:
        _check_word("Text.cache", part.cache, ("5m", "1h"))
        wire["cache_control"] = {"type": "ephemeral", "ttl": part.cache}
    return wire, wire["text"]


def _image(part: Image) -> tuple[dict[str, Any], str]:
    _check_word("Image.detail", part.detail, ("auto", "low", "high", "original"))
    _check_source("the image", part.source)
    url = _address(part.source)
    if not url:
        data = _data(part.source, "the image")
        url = _data_url(data, _image_type(data, part.source))
    wire = {"type": "image_url", "image_url": {"url": url, "detail": part.detail}}
    return wire, _told("image", _name(part.source))


def _file(part: File) -> tuple[dict[str, Any], str]:
    _check_source("the file", part.source)
    if not isinstance(cast(object, part.name), str):
        raise SetupError(f"File.name is {_shown(part.name)}", "Give a text.")
    name = printable(part.name or _name(part.source))
    if isinstance(part.source, str | Path) and not _address(part.source) and Path(part.source).is_dir():
        raise SetupError(f"{printable(str(part.source))} is a folder", "Name the files in it that are to be sent.")
    if not name:
        raise SetupError("a file of the task has no name", 'Give it one: File(data, name="report.pdf").')
    url = _address(part.source)
    if not url:
        data = _data(part.source, "the file")
        url = _data_url(data, _file_type(data, name))
    return {"type": "file", "file": {"filename": name, "file_data": url}}, _told("file", name)


def _address(source: Source) -> str:
    """The source if it is an address, else nothing."""
    if not isinstance(source, str) or not (scheme := scheme_of(source)):
        return ""
    if scheme not in ("http", "https", "data"):
        raise SetupError(f"{source:.80} is no address that a model can open", "Give http, https, data, or a path.")
    if len(source) > 2 * MOST:
        raise SetupError("a data: address of the task is too long", f"At most {MOST // 1_000_000} MB are sent.")
    return printable(source)


def scheme_of(source: str) -> str:
    """The scheme of an address; nothing for a path."""
    head, colon, rest = source.partition(":")
    known = colon and (rest.startswith("//") or head.lower() == "data") and head.isalnum()
    return head.lower() if known else ""


def _data(source: Source, what: str) -> bytes:
    """The bytes, read from disk where a path is given. Raises SetupError."""
    data, name = (source, what) if isinstance(source, bytes) else (_from_disk(Path(source)), printable(str(source)))
    if not data:
        raise SetupError(f"{name} is empty", "There is nothing in it to send.")
    if len(data) > MOST:
        raise SetupError(f"{name} is larger than {MOST // 1_000_000} MB", "Make it smaller, or give its address.")
    return data


def _from_disk(path: Path) -> bytes:
    try:
        path = path.expanduser()
        if path.exists() and not path.is_file():  # a folder, or a device that never ends
            raise SetupError(f"{path} is no file", "Name one file; several are several parts.")
        with path.open("rb") as file:
            return file.read(MOST + 1)
    except (OSError, ValueError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        message = f"{printable(str(path))} cannot be read: {why}"
        raise SetupError(message, _near(path) or "Name a file that is there.") from None


def _near(path: Path) -> str:
    try:
        return did_you_mean(path.name, (each.name for each in path.parent.iterdir() if each.is_file()))
    except (OSError, ValueError):
        return ""


def _image_type(data: bytes, source: Source) -> str:
    """The media type that the first bytes tell; what a name says of an image is often wrong."""
    for start, kind in (
        (b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF87a", "gif"), (b"GIF89a", "gif"),
    ):  # fmt: skip
        if data.startswith(start):
            return f"image/{kind}"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    name = _name(source) or "the image"
    raise SetupError(f"{name} is no PNG, JPEG, WebP or GIF", "Convert it, or send it as a file: File(...).")


def _file_type(data: bytes, name: str) -> str:
    from mimetypes import guess_type

    return "application/pdf" if data.startswith(b"%PDF-") else guess_type(name)[0] or "application/octet-stream"


def _data_url(data: bytes, kind: str) -> str:
    from base64 import b64encode

    return f"data:{kind};base64,{b64encode(data).decode()}"


# ------------------------------------------------------------------------------------------------- telling


def _short(part: Any) -> str:
    match part:
        case {"type": "text", "text": str(text)}:
            return text
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return _told("image", _name(url))
        case {"type": "file", "file": {"filename": str(name)}}:
            return _told("file", name)
        case {"type": str(kind)}:
            return f"[{kind}]"
        case _:
            return "[part]"


def _told(kind: str, name: str) -> str:
    return f"[{kind} {name}]" if name else f"[{kind}]"


def _name(source: Source) -> str:
    """What a path or an address ends in; nothing for mere data."""
    if isinstance(source, bytes):
        return ""
    scheme = scheme_of(source) if isinstance(source, str) else ""
    if scheme == "data":
        return ""
    if not scheme:
        return printable(Path(source).name)
    try:
        address = urlsplit(cast(str, source))
    except ValueError:  # no address after all, which the server will say
        return ""
    return printable(unquote(address.path.rstrip("/").rpartition("/")[2]) or address.netloc)


def _check_word(what: str, word: str, words: Sequence[str]) -> None:
    if word not in words:
        raise SetupError(f"{what} is {word!r:.60}", did_you_mean(str(word), words) or f"Give {', '.join(words)}.")


def _check_source(what: str, source: object) -> None:
    if not isinstance(source, Source):
        raise SetupError(f"{what} of the task is {_shown(source)}", "Give a path, an address or bytes.")


def _shown(given: object) -> str:
    kind = type(given).__name__
    return f"{len(given)} bytes" if isinstance(given, bytes) else f"{given!r:.60}, of the type {kind}"
