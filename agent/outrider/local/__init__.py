"""A small real model on this machine: no key, no network, no bill.

    weights.py     where the model's file is, and how it gets there (``outrider local pull``)
    server.py      llama.cpp in a child process on loopback (child.py is that process)
    model.py       LocalModel: the Model protocol
    asked.py       what a request asks for
    steps.py       ... as text to go on with, shown after examples (shots.py, shots.toml)
    constrain.py   ... and what may stand there: taken from the task (texts.py, sums.py, words.toml)
    scoring.py     which of these is the likeliest

The embedded model has 135 million parameters: it shows the loop with a real model, it is no general agent.
It calls the tool that is offered, or one of two, copies what stands in the task, fills in fields and picks labels.
Any better GGUF file can take its place: ``local:/path/to/model.gguf``. docs/local-model.md has figures.
"""

from outrider.local.model import LocalModel
from outrider.local.weights import LIMITS

__all__ = ["LIMITS", "LocalModel"]
