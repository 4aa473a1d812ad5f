"""A page of the documentation as the steps it consists of: what is fenced in it, and what its comments say.

How a page is written so that it can be run stands in CONTRIBUTING.md.
"""

import re
from pathlib import Path

from msgspec import Struct

_PIECE = re.compile(r"^<!--[ \n](.*?)[ \n]-->$|^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_NAME = re.compile(r"# ([\w/-]+\.\w+)\n")

MARKS = ("not run", "exit", "file")
"""Comments that speak of the block that follows."""

STEPS = ("env", "replies", "lists", "made by")
"""Comments that are steps of their own."""


class Step(Struct, frozen=True):
    """One step of a page. ``kind`` is the language of a block or the word of a comment; ``line`` counts from 1."""

    kind: str
    text: str
    line: int
    marks: dict[str, str]

    @property
    def file(self) -> str:
        """The name under which the page keeps this block, or nothing."""
        named = _NAME.match(self.text)
        return self.marks.get("file") or (named[1] if named else "")


def steps(page: Path) -> list[Step]:
    """The steps of a page, in order. Raises ValueError for a fence that is not understood."""
    text = page.read_text(encoding="utf-8")
    found: list[Step] = []
    marks: dict[str, str] = {}
    blocks = 0
    for piece in _PIECE.finditer(text):
        line = text.count("\n", 0, piece.start()) + 1
        comment, language, body = piece.groups()
        if comment is None:
            found.append(Step(language, body, line + 1, marks))
            marks, blocks = {}, blocks + 1
        else:
            word, _, rest = comment.partition(":")
            if word in MARKS:
                marks = marks | {word: rest.strip()}
            elif word in STEPS:
                found.append(Step(word, rest.strip(), line, {}))
            elif comment.startswith("hidden "):
                language, _, body = comment.removeprefix("hidden ").partition("\n")
                found.append(Step(language, body + "\n", line + 1, {}))
    if 2 * blocks != len(re.findall(r"^\s*```", text, re.MULTILINE)):
        raise ValueError(f"{page.name}: a fence that is indented or never closed")
    return found
