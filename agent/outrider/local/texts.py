"""What a text offers for copying: phrases, numbers, amounts of money, currencies, dates."""

import re
from collections.abc import Iterable, Iterator
from importlib.resources import files
from typing import TypeVar

import msgspec
from msgspec import Struct

T = TypeVar("T")

MOST_PHRASES = 400
LONGEST_PHRASE = 8
"""In words."""


class _Words(Struct, frozen=True):
    little: frozenset[str]
    nameless: list[str]
    currencies: list[str]
    total: list[str]
    signs: dict[str, str]


WORDS = msgspec.toml.decode((files("outrider.local") / "words.toml").read_bytes(), type=_Words)
"""The words of words.toml."""

_BREAK = re.compile(
    r"[;:!?()\[\]{}\"\u201c\u201d\u00ab\u00bb|]|,(?!\d|\s(?:Ltd|Inc|LLC)\b)|(?<=\s)[-/@\u2013\u2014](?=\s)"
)
_DOTTED = re.compile(r"(?:\w\.){2,}|[A-Z]\.|(?:Bros|Co|Dr|Mr|Mrs|Ms|No|Nr|Prof|St)\.")
_FIRM = re.compile(r"(?i)(?:Inc|Ltd)\.")
_NUMBER = r"\d{1,3}(?:[,.'\u2019\u00a0 ]\d{3})+(?:[.,]\d{1,2})?(?!\d)|\d+(?:[.,]\d+)?"
_CODE = rf"\b(?:{'|'.join(WORDS.currencies)})\b"
_SIGN = "|".join(
    (r"(?<![^\W\d_])" if sign[0].isalpha() else "") + re.escape(sign) + (r"(?![^\W\d_])" if sign[-1].isalpha() else "")
    for sign in sorted(WORDS.signs, key=len, reverse=True)
)
_LETTERS = r"(?-i:(?<![^\W_])[A-Z][A-Za-z]?(?=\d{1,3}[.,]\d|\s\d{1,3}\s\d{3}))|\bkr\b\.?"  # as in R4,200 and 340 kr
_MONEY = rf"(?:{_CODE}|{_SIGN}|{_LETTERS})"
_ALONE = re.compile(
    rf"""(?<![^\s(\u20ac$\u00a3\u00a5\#:])         # after a space, a bracket or a sign of money
         [-+]?(?:{_NUMBER.replace(" ", "")})
         (?=[.,;:?!)%\u20ac$\u00a3]*(?:\s|$))      # the word ends here
         (?!\s+(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec))  # and is no day of a month""",
    re.VERBOSE,
)
_ANYWHERE = re.compile(_NUMBER.replace(" ", ""))
_AMOUNT = re.compile(rf"(?i){_MONEY}\.?[^\S\n]?({_NUMBER})|(?<![\w.,-])({_NUMBER})[^\S\n]?{_MONEY}")

_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sep(?:t(?:ember)?)?|"
    r"Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\b\.?"
)
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_DATE = re.compile(
    rf"""(?ix) (?<![\w/.-]) (?:
      (?P<year>\d{{4}})([-/.])\d{{1,2}}\2\d{{1,2}}
    | \d{{1,2}}([-/.])\d{{1,2}}\3(?P<short>\d{{4}}|\d{{2}})
    | {_DAY}(?:[-/.\s]|\s+of\s)\s*{_MONTH}(?:[-/,\s]\s*(?P<late>\d{{4}}|'\d{{2}}|(?<=[-/])\d{{2}}))?
    | {_MONTH}\s{_DAY}(?:,?\s(?P<last>\d{{4}}))?
    ) (?![\w/-]|[.,:]\d)"""
)
_ISSUED = re.compile(
    r"(?i)(?:\bdated?|\bissued|\bwritten|\bbilled|\bof|\btax point)\b(?:\s(?:of issue|on|the))?[\s:|]*$"
)
_DUE = re.compile(
    r"(?i)\b(?:due|pay|payable|paid|payment|until|by|before|deadline|expires|deliver\w*|period|to|"
    r"order\w*|shipped|sales?|suppl\w+|visit|travel|event|stay)\b"
    r"[^\n.;|]{0,15}$"
)

_TOTAL = rf"(?<![\w-])(?:{'|'.join(sorted(WORDS.total, key=len, reverse=True))})\b"
_TAXED = r"(?:\s\(?inc(?:l|luding)?\b\.?(?:\s?\d+\s?%)?)?"
_TOTAL_BEFORE = re.compile(rf"(?i){_TOTAL}{_TAXED}[^\d.,;|]{{0,20}}$")
_TOTAL_AFTER = re.compile(rf"(?i)[^\S\n]?(?:in\s)?{_TOTAL}")


def phrases(text: str) -> list[str]:
    """The runs of words in a text that no punctuation breaks, without little words at their ends."""
    parts = [part.split() for part in _BREAK.split(_marked(text))]
    longest = max(1, min(LONGEST_PHRASE, MOST_PHRASES // max(1, sum(map(len, parts)))))
    found = (
        " ".join(words[start:end])
        for words in parts
        for start in range(len(words))
        for end in range(start + 1, min(start + longest, len(words)) + 1)
        if _whole(words[start:end])
    )
    return list(unique(found))[:MOST_PHRASES]


def _marked(text: str) -> str:
    """The text with a break where a sentence, a line or a column ends, and words without what surrounds them."""
    words = re.sub(r"\n|[^\S\n]{2,}", " | ", text.strip()).split()
    marked: list[str] = []
    for word, after in zip(words, [*words[1:], ""], strict=True):
        bare = word.strip("'`\u2018\u2019*_#")
        dotted = _DOTTED.fullmatch(bare.lstrip('"\u201c(')) or (after == "|" and _FIRM.fullmatch(bare))
        ends = bare.endswith(".") and not dotted and not after[:1].islower()
        marked.append(f"{bare.rstrip('.')} |" if ends else bare)
    return " ".join(marked)


def _whole(words: list[str]) -> bool:
    ends = words[0], words[-1]
    named = len(words) > 1 and words[0] == "The" and words[1][0].isupper()  # The Paper Mill
    little = any(word.lower() in WORDS.little and not word[1:].isupper() for word in (ends[1:] if named else ends))
    return not little and all(any(map(str.isalnum, word)) for word in ends)


def numbers(text: str) -> list[int | float]:
    """The numbers in a text, ``1,240`` being 1240; those inside other words only when no number stands alone.

    Dates that have their year hold none.
    """
    text = _DATE.sub(lambda date: " " if any(date.groupdict().values()) else date[0], text)
    return list(unique(_value(found) for found in _ALONE.findall(text) or _ANYWHERE.findall(text)))


def written_numbers(text: str) -> list[str]:
    """The numbers in a text as they are written."""
    return _ANYWHERE.findall(text)


def amounts(text: str) -> list[int | float]:
    """The numbers beside a sign or a code of money; those called the total, when one is."""
    found = list(_AMOUNT.finditer(text))
    totals = [one for one in found if _TOTAL_BEFORE.search(text[: one.start()])]
    totals = totals or [one for one in found if _TOTAL_AFTER.match(text[one.end() :])]
    return list(unique(_value(one[1] or one[2]) for one in totals or found))


def currencies(text: str) -> list[str]:
    """The codes of the currencies in a text; of those its signs stand for when it holds no code."""
    beside = re.findall(rf"(?i)(?:(?<=\d)|(?<=\d\s)){_CODE}|{_CODE}(?=\s?\d)", text)
    if codes := re.findall(_CODE, text) + [code.upper() for code in beside]:
        return list(unique(codes))
    signs = re.findall(_SIGN, text)
    return list(unique(WORDS.signs[sign] for sign in signs))


def dates(text: str, due: bool = False) -> list[str]:
    """The dates in a text as they are written: those of issue, or those by which something is ``due``.

    Where none is called so, those that are called nothing else. One without its year counts only when none has one.
    """
    found = list(_DATE.finditer(text))
    found = [one for one in found if any(one.groupdict().values())] or found

    def calling(one: re.Match[str]) -> int:
        before = text[: one.start()]
        late, issued = bool(_DUE.search(before)), bool(_ISSUED.search(before))
        return (late - issued) if due else (issued - late)

    best = max(map(calling, found), default=0)
    return list(unique(one[0] for one in found if calling(one) == best))


def unique(items: Iterable[T]) -> Iterator[T]:
    """The items without repetitions, in order."""
    return iter(dict.fromkeys(items))


def _value(text: str) -> int | float:
    """The number, whether its decimals follow a point or a comma."""
    text = re.sub(r"['\u2019\u00a0 ]", "", text)
    if re.search(r",\d{1,2}$", text):
        text = text.replace(".", "").replace(",", ".")
    elif re.search(r"\.\d{3}\.\d{3}$", text):
        text = text.replace(".", "")
    value = float(text.replace(",", ""))
    return int(value) if value.is_integer() else value
