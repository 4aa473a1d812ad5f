"""Reading files under one folder, and nothing outside it.

Names are relative to that folder. Absolute names, ``..``, links that lead out, devices and pipes are refused,
and so are hidden files (``.env``, ``.git``) unless opened. What the tools return is untrusted: it is what
somebody wrote into a file.
"""

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from outrider import SetupError, Tool, ToolError, tool

MAX_BYTES = 5_000_000
"""Largest file that is read or searched."""
MAX_TEXT = 16_000
"""Most characters that one call returns of a file."""
MAX_NAMES = 400
"""Most names that one list shows."""
MAX_HITS = 80
"""Most lines that one search shows."""
MAX_LINE = 200
"""Most characters that a search shows of a line."""
MAX_VISITED = 20_000
"""Most files that one list or search looks at."""
MAX_SEARCHED = 50_000_000
"""Most characters that one search goes through."""


def file_tools(root: str | Path = ".", *, hidden: bool = False) -> list[Tool[..., Any]]:
    """Three read-only tools over the files under ``root``: list_files, read_file and search_files.

    ``hidden`` opens files and folders whose name begins with a dot. The root is resolved at each call, so it
    need not exist yet and may be a link. Raises SetupError where the root is not given and the current folder is
    that of the whole disk, as it is under cron.
    """
    if root == "." and Path.cwd() == Path("/"):
        raise SetupError(
            "the files tools would read the whole disk: the current folder is /",
            'Name a folder: files=FOLDER, in Python file_tools("FOLDER"); or cd to it first.',
        )
    folder, place = Folder(Path(root), hidden), os.path.abspath(root)

    @tool(effect="read", trust="untrusted", place=place)
    def list_files(pattern: str = "*") -> str:
        """List files with their sizes in bytes.

        Args:
            pattern: Which files: "*" stands for any characters, as in "*.md" or "docs/*".
        """
        return folder.listing(pattern)

    @tool(effect="read", trust="untrusted", place=place)
    def read_file(path: str, first_line: int = 1) -> str:
        """Read a text file.

        Args:
            path: Name of the file, as list_files shows it.
            first_line: Line to begin at, counted from 1.
        """
        return folder.read(path, first_line)

    @tool(effect="read", trust="untrusted", place=place)
    def search_files(text: str, pattern: str = "*") -> str:
        """Find the lines that contain a text, whatever its case.

        Args:
            text: What to look for, as plain text.
            pattern: Which files to search: "*" stands for any characters, as in "*.md" or "docs/*".
        """
        return folder.search(text, pattern)

    return [list_files, read_file, search_files]


class Folder:
    """What the three tools do, bound to one root."""

    def __init__(self, root: Path, hidden: bool = False) -> None:
        self._root = root
        self._hidden = hidden

    def listing(self, pattern: str) -> str:
        """The names that match, sorted, with sizes."""
        names, notes = self._matching(pattern)
        lines: list[str] = []
        for name in names[:MAX_NAMES]:
            try:
                lines.append(f"{_shown(name)} ({(self._root / name).stat().st_size} bytes)")
            except OSError as error:
                lines.append(f"{_shown(name)} (cannot be looked at: {error.strerror})")
        if len(names) > MAX_NAMES:
            lines.append(f"... {len(names) - MAX_NAMES} more: use a narrower pattern")
        return "\n".join([*(lines or [f"No file matches {pattern!r}."]), *notes])

    def read(self, path: str, first_line: int) -> str:
        """The text from a line on, as much as one call returns."""
        lines = self._text(path).splitlines(keepends=True)
        if not lines:
            return "(the file is empty)"
        if not 1 <= first_line <= len(lines):
            raise ToolError(f"{path!r} has lines 1 to {len(lines)}; there is no line {first_line}.")
        end, size = first_line - 1, 0
        while end < len(lines) and (size := size + len(lines[end])) <= MAX_TEXT:
            end += 1
        shown = "".join(lines[first_line - 1 : end])
        if not shown:
            end, shown = first_line, f"{lines[end][:MAX_TEXT]}\n... line {first_line} is cut here\n"
        if end == len(lines):
            return shown
        return f"{shown}... lines {end + 1} to {len(lines)} follow: read on with first_line={end + 1}"

    def search(self, text: str, pattern: str) -> str:
        """The lines that contain the text, as ``name:line: text``."""
        if not text:
            raise ToolError("The text to look for is empty.")
        names, notes = self._matching(pattern)
        wanted = text.casefold()
        hits: list[str] = []
        unread = searched = 0
        for name in names:
            try:
                content = self._text(name)
            except ToolError:
                unread += 1
                continue
            hits += _hits(name, content, wanted)
            searched += len(content)
            if len(hits) > MAX_HITS or searched > MAX_SEARCHED:
                notes.append("(not all was searched: use a longer text or a narrower pattern)")
                break
        if unread:
            notes.append(f"({unread} files were left out: too large, or no UTF-8 text)")
        return "\n".join([*(hits[:MAX_HITS] or [f"No line contains {text!r}."]), *notes])

    def _matching(self, pattern: str) -> tuple[list[str], list[str]]:
        """The names that match, and what there is to say about the search for them."""
        names: list[str] = []
        notes: list[str] = []
        for visited, name in enumerate(self._walk(notes)):
            if visited == MAX_VISITED:
                notes.append(f"(only the first {MAX_VISITED} files were looked at)")
                break
            if fnmatchcase(name, pattern) or fnmatchcase(PurePosixPath(name).name, pattern):
                names.append(name)
        return sorted(names), notes

    def _walk(self, notes: list[str]) -> Iterator[str]:
        def unreadable(error: OSError) -> None:
            if Path(error.filename) == self._root:
                raise ToolError(f"The folder cannot be read: {error.strerror}.")
            notes.append(f"({_shown(Path(error.filename).name)} cannot be read: {error.strerror})")

        for place, folders, names in os.walk(self._root, onerror=unreadable):
            folders[:] = sorted(name for name in folders if self._hidden or not name.startswith("."))
            for name in sorted(names):
                full = Path(place, name)
                if (self._hidden or not name.startswith(".")) and not full.is_symlink() and full.is_file():
                    yield full.relative_to(self._root).as_posix()

    def _text(self, path: str) -> str:
        real = self._inside(path)
        try:  # without following a link put there since, or waiting for the other end of a pipe
            handle = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise ToolError(f"{path!r} cannot be opened: {error.strerror}.") from None
        with os.fdopen(handle, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ToolError(f"{path!r} is too large: at most {MAX_BYTES} bytes are read.")
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ToolError(f"{path!r} is no UTF-8 text: byte {error.start} cannot be decoded.") from None

    def _inside(self, path: str) -> Path:
        name = PurePosixPath(path)
        if name.is_absolute() or ".." in name.parts or "\0" in path:
            raise ToolError(f"{path!r} is refused: give a name inside the folder, as list_files shows it.")
        try:
            root = self._root.resolve(strict=True)
            real = (root / name).resolve(strict=True)
        except (OSError, RuntimeError):  # a loop of links is a RuntimeError before Python 3.13
            raise ToolError(f"There is no file {path!r}; list_files shows what there is.") from None
        if not real.is_relative_to(root):
            raise ToolError(f"{path!r} is refused: it leads out of the folder.")
        parts = (*name.parts, *real.relative_to(root).parts)
        if not self._hidden and any(part.startswith(".") for part in parts):
            raise ToolError(f"{path!r} is refused: hidden files are not open to this tool.")
        if not real.is_file():
            raise ToolError(f"{path!r} is not a plain file.")
        return real


def _hits(name: str, content: str, wanted: str) -> list[str]:
    return [
        f"{_shown(name)}:{number}: {line.strip()[:MAX_LINE]}"
        for number, line in enumerate(content.splitlines(), 1)
        if wanted in line.casefold()
    ]


def _shown(name: str) -> str:
    return name if name.isprintable() else repr(name)
