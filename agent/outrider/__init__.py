"""Outrider: an agent framework for OpenRouter.

A map of the house, low to high:

    errors, messages        the tree of errors; the nouns: messages, calls, usage, limits
    events, deltas, state   what happens in a run, what only watchers see, and what is owed now
    calls, fold             a call on its way to its result; what each event changes in the state
    commands, inbox         what others may ask of a run, and how that becomes events
    parts                   what a task may hold: texts, images, files
    schema, tool, toolbox   functions -> tools -> the results of calls; options: what @tool may be told
    checks                  what an answer must pass besides fitting its type
    output, syntax          the answer's type: whether a reply is one, JSON that is written wrongly
    asking, rungs           how the answer is asked for, and the ways there are
    partial                 what there is of an answer that has not ended, or does not fit
    limits, policy          where a run ends, which calls run
    purse, bills, funds     money: shared, owed, and put aside before a request leaves
    prompt, toml            prompt files: words with slots; TOML, wrong lines named
    model                   what is asked of a model; openrouter/ and local/ answer
    loop                    THE LOOP: agent/outrider/loop.py
    telling, card           a run in a few words, and as a block of HTML
    run, result, agent      a live run, how it ended, and what you make once and share
    given, opening, preview what is checked before a run, how it opens, and what that may cost
    answering, once         what a person may say to a run; one run of a name, however often it is begun
    starting, replay        how runs begin and go on; a recorded run done again
    masking, stop, threads  secrets, the stop flag, threads for sync tools
    differ                  where two JSON values differ first
    cache, times            the folder for what is fetched once; times for people
    journal/, temporal/     where runs are kept, and how many machines share them
    cli/, observe/, testing/  for the terminal, for readers of events, for your own tests
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - pip refuses such a Python; a source tree on its path does not
    raise ImportError(
        "Outrider needs Python 3.11 or later, and this is {}.{}\n"
        "Make an environment with a later one (python3.12 -m venv .venv) and install Outrider there.".format(
            *sys.version_info
        )
    )

from outrider.agent import Agent
from outrider.errors import JournalError, NoOutput, OutriderError, SetupError
from outrider.events import Entry, ReasoningDelta, TextDelta, ToolFinished, ToolStarted
from outrider.messages import Limits, ToolCall, Usage
from outrider.openrouter.settings import Settings
from outrider.policy import Policy, Proposed, Verdict, ask_before
from outrider.purse import Purse
from outrider.result import Result
from outrider.run import Run
from outrider.tool import Context, Tool, ToolError, tool

__all__ = [
    "Agent",
    "Context",
    "Entry",
    "JournalError",
    "Limits",
    "NoOutput",
    "OutriderError",
    "Policy",
    "Proposed",
    "Purse",
    "ReasoningDelta",
    "Result",
    "Run",
    "Settings",
    "SetupError",
    "TextDelta",
    "Tool",
    "ToolCall",
    "ToolError",
    "ToolFinished",
    "ToolStarted",
    "Usage",
    "Verdict",
    "ask_before",
    "tool",
]


def __dir__() -> list[str]:
    return __all__
