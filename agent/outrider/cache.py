"""The folder for what is fetched once and may be thrown away: weights, the catalogue of models."""

import os
from pathlib import Path

from outrider.errors import SetupError


def cache_home() -> Path:
    """$OUTRIDER_CACHE, or ``outrider`` in $XDG_CACHE_HOME or ~/.cache. Raises SetupError without a home folder."""
    if own := os.environ.get("OUTRIDER_CACHE"):
        return Path(own)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "outrider"
    except RuntimeError:  # no HOME, and a user that the system does not know
        raise SetupError(
            "there is no home folder to keep a cache in", "Name a folder in OUTRIDER_CACHE, or set HOME."
        ) from None
