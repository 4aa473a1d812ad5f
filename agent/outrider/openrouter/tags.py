"""Thinking between tags at the beginning of a text, told apart while the text still comes in."""

from outrider.openrouter.leaked import MOST
from outrider.openrouter.mend import CLOSE, OPEN


class Tags:
    """Sorts the pieces of one streamed text. What may be the beginning of a tag is held back, and nothing else.

    ``over`` is True once the answer has begun: from there on no piece needs sorting.
    """

    def __init__(self) -> None:
        self._held: str = ""
        self._inside = False
        self._blocks = 0
        self.over = False

    def sort(self, text: str) -> tuple[str, str]:
        """The thinking and the answer that this piece brings."""
        thought, text = "", self._held + text
        self._held = ""
        while not self.over:
            if self._inside:
                inner, closed, text = text.partition(CLOSE)
                if not closed:
                    inner, self._held = _but_begun(inner)
                    return thought + inner, ""
                thought, self._inside = thought + inner, False
            start = text.lstrip()
            if start.startswith(OPEN) and self._blocks < MOST:
                self._inside, self._blocks = True, self._blocks + 1
                text = start[len(OPEN) :]
            elif OPEN.startswith(start):
                self._held = text
                return thought, ""
            else:
                self.over = True
        return thought, text.lstrip() if self._blocks else text

    def end(self) -> tuple[str, str]:
        """What was still held back when the text ended."""
        held, self._held = self._held, ""
        return (held, "") if self._inside else ("", held)


def _but_begun(text: str) -> tuple[str, str]:
    """The text without what may be the beginning of a closing tag, and that."""
    place = text.rfind("<", -len(CLOSE))
    if place < 0 or not CLOSE.startswith(text[place:]):
        return text, ""
    return text[:place], text[place:]
