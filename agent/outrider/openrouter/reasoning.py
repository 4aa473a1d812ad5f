"""Merging the pieces of ``reasoning_details``, which must go back to the model exactly as it made them."""

from typing import Any, cast

_JOINED = {"reasoning.text": "text", "reasoning.summary": "summary"}
"""Which types grow by concatenation, and in which field. All others come whole."""


def readable(pieces: list[Any]) -> str:
    """The text that these pieces bring."""
    known = (cast("dict[str, Any]", piece) for piece in pieces if isinstance(piece, dict))
    texts = (piece.get(_JOINED.get(str(piece.get("type")), "")) for piece in known)
    return "".join(text for text in texts if isinstance(text, str))


class Details:
    """The list of details, growing by pieces.

    A piece of text or summary joins the item of the same type and index; without an index, the last item if
    that is of the same type (a signature may come later). Text is concatenated; of other fields the last value
    that is not null stays.
    """

    def __init__(self) -> None:
        self._items: list[Any] = []
        self._texts: dict[int, list[str]] = {}  # by position: joined once, at the end

    def whole(self, items: list[Any]) -> None:
        """Take complete items in as they are."""
        self._items += items

    def pieces(self, pieces: list[Any]) -> None:
        """Take in what one delta brought."""
        for piece in pieces:
            if not isinstance(piece, dict) or str((piece := cast("dict[str, Any]", piece)).get("type")) not in _JOINED:
                self._items.append(piece)
                continue
            position = self._grows(piece)
            if position is None:
                position = len(self._items)
                self._items.append({})
                self._texts[position] = []
            self._join(position, piece)

    def value(self) -> list[Any]:
        """The merged list."""
        for position, texts in self._texts.items():
            if texts:
                self._items[position][_JOINED[self._items[position]["type"]]] = "".join(texts)
        return self._items

    def _grows(self, piece: dict[str, Any]) -> int | None:
        """The position of the item that this piece continues: a late signature has no text of its own."""
        index, last = piece.get("index"), len(self._items) - 1
        late = not piece.get(_JOINED[piece["type"]])
        for position in reversed(self._texts) if late or index is not None else [last]:
            item: dict[str, Any] = self._items[position] if position in self._texts else {}
            if item.get("type") == piece["type"] and (index is None or item.get("index") == index):
                return position
        return None

    def _join(self, position: int, piece: dict[str, Any]) -> None:
        item, field = self._items[position], _JOINED[piece["type"]]
        for name, value in piece.items():
            if name == field and isinstance(value, str):
                self._texts[position].append(value)
                item.setdefault(name, "")
            elif value is not None or name not in item:
                item[name] = value
