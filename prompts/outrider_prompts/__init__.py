"""The words Outrider says to models: one Markdown file a prompt, with a front matter in TOML and strict Jinja2 slots.

+++
about = "When this is said."
+++
There is no tool named {{ name }}.
"""

from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from outrider_prompts.template import Template

_FOLDER = Path(__file__).parent
_FENCE = "+++"
_YAML_FENCE = "---"


class PromptError(ValueError):
    """A text with slots that cannot be read or filled.

    ``message`` is what happened, ``hint`` what to do next; ``line`` counts from 1, and is 0 where none is meant.
    """

    def __init__(self, message: str, hint: str = "", line: int = 0) -> None:
        super().__init__(f"{message}\n{hint}" if hint else message)
        self.message = message
        self.hint = hint
        self.line = line


def names() -> tuple[str, ...]:
    """The names of all prompts, sorted."""
    return tuple(sorted(file.stem for file in _FOLDER.glob("*.md")))


def parts(text: str) -> tuple[str, str, int]:
    """A prompt file's front matter (which begins on line 2), its body, and the line on which the body begins.

    Without a front matter the first is empty. Raises PromptError for one that is not closed, or is YAML.
    """
    first, *rest = lines = text.split("\n")
    if first.rstrip() == _YAML_FENCE:
        raise PromptError(
            "a front matter stands between two lines of +++ and is TOML; this one begins with ---",
            'Write +++ in the place of ---, and about = "..." in the place of about: ...',
            1,
        )
    if first.rstrip() != _FENCE:
        return "", text, 1
    end = next((number for number, line in enumerate(rest, 1) if line.rstrip() == _FENCE), None)
    if end is None:
        raise PromptError("the front matter is not closed", "End it with a line of +++.", 1)
    return "\n".join(lines[1:end]), "\n".join(lines[end + 1 :]), end + 2


def close_to(name: str, kind: str, known: Collection[str]) -> str:
    """A sentence naming what is close to a name, or everything of that kind when nothing is."""
    from difflib import get_close_matches

    if close := get_close_matches(name, sorted(known), n=3, cutoff=0.6):
        return f"Did you mean {' or '.join(close)}?"
    return f"The {kind}: {', '.join(sorted(known)) or 'none'}."


@cache
def _template(name: str) -> "Template":
    from outrider_prompts.template import Template

    if name not in names():
        raise PromptError(f"there is no prompt {name!r}", close_to(name, "prompts", names()))
    _, body, _ = parts((_FOLDER / f"{name}.md").read_text("utf-8"))
    return Template(body)


def say(name: str, /, **values: object) -> str:
    """The text of a prompt with its slots filled.

    Raises PromptError for a prompt or a slot that does not exist, naming what is close, and for a slot without a value.
    """
    template = _template(name)
    for slot in values.keys() - template.slots:
        raise PromptError(f"the prompt {name} has no slot {slot!r}", close_to(slot, "slots", template.slots))
    for slot in template.slots - values.keys():
        raise PromptError(f"the prompt {name} got no value for its slot {slot!r}", f"say({name!r}, {slot}=...)")
    return template.fill(values)
