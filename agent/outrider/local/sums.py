"""The calculations a text may ask for, in plain signs: ``12 plus 30`` is ``12 + 30``, ``9% of 80`` is ``9 / 100 * 80``.

A calculation that stands in the text is taken as it stands. For a story with two or three numbers the calculations are
offered that its words leave open; which of them it is, the model has to say.
"""

import re
from itertools import product

_SIGNS = {
    r"\bto the power of\b": "**",
    r"\bsquared\b": "** 2",
    r"\bdivided by\b|(?<=\d) over (?=\d)|\u00f7|(?<=\d) : (?=\d)": " / ",
    r"\bmultiplied (?:by|with)\b|\btimes\b|[\u00d7\u00b7]|(?<=[\d)])\s*x\s*(?=[\d(])": " * ",
    r"\bplus\b|\badded to\b": "+",
    r"\bminus\b|\btake away\b|[\u2212\u2013]": "-",
    r"\bmodulo\b|\bmod\b": "%",
}
_MONEY = re.compile(
    r"[\u20ac$\u00a3\u00a5\u20b9]\s?(?=[\d.])|(?<=\d)\s?[\u20ac\u00a3]|\b(?:[A-Z]{1,3}|Rs\.?)\s?(?=\d[\d,.]*(?:\s|$))"
)
_THOUSANDS = re.compile(r"(?<![\d.,])(\d{1,3}(?:,\d{3})+)(?!\d)")
_COMMA = re.compile(r"(?<![\d.,])(\d{1,3}(?:\.\d{3})+|\d+),(\d\d)(?!\d)")

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_N = r"(-?\d+(?:\.\d+)?|\.\d+)"
_UNIT = r"(?:\s[a-z]+)?"
_OPERAND = r"\(*-?(?:\d+(?:\.\d+)?|\.\d+)\)*"
_SUM = re.compile(rf"(?<![\w.]){_OPERAND}(?:{_UNIT}\s*(?:\*\*|//|[-+*/%^])\s*\(*{_OPERAND})+(?![\w.]\d)")
_FORMS = [
    (rf"{_N} ?(?:%|per ?cent) of (?:the )?{_N}", "{0} / 100 * {1}"),
    (rf"{_N} ?(?:%|per ?cent) (?:off|discount on) {_N}", "{1} - {0} / 100 * {1}"),
    (rf"(?:divide|split|share) {_N}{_UNIT} (?:by|into|between|among|with) {_N}", "{0} / {1}"),
    (rf"multiply {_N}{_UNIT} (?:by|with|and|times) {_N}", "{0} * {1}"),
    (rf"{_N} ?(?:%|per ?cent) (?:on top of|more than) {_N}", "{1} + {0} / 100 * {1}"),
    (rf"from {_N}{_UNIT} (?:subtract|take|deduct|remove)(?: away)? {_N}", "{0} - {1}"),
    (rf"(?:subtract|take|deduct|remove) {_N}{_UNIT} (?:away )?(?:from|off) {_N}", "{1} - {0}"),
    (rf"(?:add|add up|sum of|sum up) {_N}{_UNIT}(?:(?:,| to| with|,? and) {_N})+", " + "),
    (rf"product of {_N} and {_N}", "{0} * {1}"),
    (rf"difference (?:between|of) {_N}{_UNIT} and {_N}", "{0} - {1}"),
    (rf"half of {_N}", "{0} / 2"),
    (rf"double {_N}", "{0} * 2"),
    (rf"{_N}(?: [a-z]+){{0,5}} (?:at|@|for) {_N}(?: [a-z]+)? (?:each|apiece|per\b|a piece)", "{0} * {1}"),
    (rf"{_N}(?: [a-z]+){{1,4}} @ {_N}", "{0} * {1}"),
]
"""Sums in words, and what they are in signs; numbers are joined by a bare sign."""
_CLEAR = {
    "/": r"split\w*|shar(?:e|ed|ing)|divid\w+|equal(?:ly)?|between|among|average|(?:per|a) head",
    "-": r"left|remain\w*|still|change|fewer",
}
"""Words that leave one sign open."""
_HINTS = {
    "+": r"altogether|in all|total|sum|together|more|plus|another|older|both|combined|new",
    "-": r"used|spent|gone|lost|lose|less|difference|burned|ate|gave|sold|off|owe",
    "*": r"each|every|per|an?|rows?|times|at|apiece|if one|area|days?|weeks?|months?|hours?",
    "/": r"each|cut|per|half|pieces",
}


def sums(text: str) -> list[str]:
    """The calculations that a text asks for or may ask for, the likeliest forms only."""
    plain = _plain(text)
    written = [_tidy(found) for found in _SUM.findall(plain)]
    if written:
        longest = max(map(_size, written))
        return list(dict.fromkeys(found for found in written if _size(found) == longest))
    for form, made in _FORMS:
        if found := re.search(form, plain):
            return [made.join(_NUMBER.findall(found[0])) if made == " + " else made.format(*found.groups())]
    return _stories(plain)


def _plain(text: str) -> str:
    """The text with plain signs for words, points before decimals, and without signs of money and thousands."""
    plain = _THOUSANDS.sub(lambda found: found[0].replace(",", ""), _MONEY.sub("", text))
    plain = _COMMA.sub(lambda found: f"{found[1].replace('.', '')}.{found[2]}", plain).lower()
    for written, sign in _SIGNS.items():
        plain = re.sub(written, sign, plain)
    return " ".join(plain.split())


def _tidy(found: str) -> str:
    """Without units, and without a bracket that has no partner."""
    found = re.sub(r"\s[a-z]+", "", found).replace("^", "**")
    missing = found.count("(") - found.count(")")
    if missing < 0:
        return found[:missing]
    return found[missing:] if missing else found


def _size(found: str) -> int:
    return len(_NUMBER.findall(found))


def _stories(plain: str) -> list[str]:
    numbers = re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?!\w*\d)", plain)
    signs = _open(_CLEAR, plain)[:1] or _open(_HINTS, plain) or list(_HINTS)
    if len(numbers) == 3:
        a, b, c = numbers
        return [f"{a} {sign} {b} {then} {c}" for sign, then in product(signs, repeat=2)]
    if len(numbers) != 2:
        return []
    less, more = sorted(numbers, key=float)
    a, b = numbers
    made = {"+": [f"{a} + {b}"], "-": [f"{more} - {less}"], "*": [f"{a} * {b}"], "/": [f"{a} / {b}", f"{b} / {a}"]}
    return [found for sign in signs for found in made[sign]]


def _open(words: dict[str, str], plain: str) -> list[str]:
    return [sign for sign, cues in words.items() if re.search(rf"\b(?:{cues})\b", plain)]
