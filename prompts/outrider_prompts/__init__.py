"""The words Outrider says to models: one Markdown file a prompt, with a front matter and strict Jinja2 slots.

---
about: When this is said.
---
There is no tool named {{ name }}.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template

_FOLDER = Path(__file__).parent


def names() -> tuple[str, ...]:
    """The names of all prompts, sorted."""
    return tuple(sorted(file.stem for file in _FOLDER.glob("*.md")))


@cache
def _template(name: str) -> "Template":
    from jinja2 import Environment, StrictUndefined

    _, _, body = (_FOLDER / f"{name}.md").read_text("utf-8").split("---\n", 2)
    # These texts go to a model, not to a browser: escaping HTML would change them.
    environment = Environment(undefined=StrictUndefined, autoescape=False)
    return environment.from_string(body.strip())


def say(name: str, /, **values: object) -> str:
    """The text of a prompt with its slots filled.

    Raises FileNotFoundError for an unknown name and jinja2.UndefinedError for a slot without a value.
    """
    return _template(name).render(values)
