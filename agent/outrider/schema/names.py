"""Tool names on the wire: there only letters, digits, ``_`` and ``-`` are allowed, 64 at most."""

import re
from collections.abc import Iterable

from outrider.errors import SetupError

LONGEST = 64


def wire_name(name: str) -> str:
    """The name a model sees for this one: itself if the wire allows it, else what is left of it and a hash.

    The same name gives the same wire name everywhere and always.
    """
    if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        return name
    from hashlib import sha256

    digest = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    rest = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[: LONGEST - len(digest) - 1]
    return f"{rest or 'tool'}_{digest}"


def wire_names(names: Iterable[str]) -> dict[str, str]:
    """Wire names, each with the name it stands for. Raises SetupError when two are the same."""
    own: dict[str, str] = {}
    for name in names:
        wire = wire_name(name)
        if wire in own:
            both = f"two tools are named {name!r}" if own[wire] == name else f"{own[wire]!r} and {name!r} clash"
            raise SetupError(both, "Give one of them another name: @tool(name=...).")
        own[wire] = name
    return own
