"""Texts with slots: Jinja2, strict about what is missing, in a sandbox, and without a way to any file.

Imports jinja2.
"""

from collections.abc import Mapping
from traceback import walk_tb

from jinja2 import StrictUndefined, TemplateSyntaxError, UndefinedError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from outrider_prompts import PromptError

# These texts go to a model, not to a browser: escaping HTML would change them.
_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
_ENVIRONMENT.globals.clear()  # Jinja's own functions would take the names of slots
_REACHING_OUT = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)


class Template:
    """A text with slots. ``slots`` are their names. White space around the text does not count.

    Raises PromptError, with the line, for what Jinja2 does not take.
    """

    def __init__(self, source: str) -> None:
        self._above = source[: len(source) - len(source.lstrip())].count("\n")
        try:
            tree = _ENVIRONMENT.parse(source.strip())
            self._template = _ENVIRONMENT.from_string(tree)
        except TemplateSyntaxError as error:
            raise PromptError(
                f"the template is broken: {(error.message or '').rstrip('.')}",
                "Slots are written {{ name }}; a text with such braces stands between {% raw %} and {% endraw %}.",
                error.lineno + self._above,
            ) from error
        for node in tree.find_all(_REACHING_OUT):
            raise PromptError(
                f"{type(node).__name__.lower()} is not known here: a prompt stands alone",
                "Give the text as a value: {{ name }}.",
                node.lineno + self._above,
            )
        self.slots = frozenset(meta.find_undeclared_variables(tree))

    def fill(self, values: Mapping[str, object]) -> str:
        """The text with its slots filled; values are put in as they are. Raises PromptError, with the line."""
        try:
            return self._template.render(values)
        except Exception as error:
            inside = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename == "<template>"]
            line = inside[-1] + self._above if inside else 0
            missing = self._missing(error, values)
            if missing:
                raise PromptError(f"nothing was given for {{{{ {missing} }}}}", line=line) from error
            hint = "Mend this line; a value is what was given, mostly a text."
            raise PromptError(f"the slot cannot be filled: {error}", hint, line) from error

    def _missing(self, error: Exception, values: Mapping[str, object]) -> str:
        """The slot for want of which it failed."""
        if not isinstance(error, UndefinedError):
            return ""
        return next(
            (slot for slot in self.slots - values.keys() if (error.message or "").startswith(f"{slot!r} is ")), ""
        )
