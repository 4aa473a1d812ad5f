"""Choosing by likelihood: where only certain texts can come next, they are weighed, not written.

The examples before a task are the same for many tasks, so llama.cpp keeps what it has worked out for them. What is kept
is always brought into the same state before it is used: equal questions get equal answers, bit by bit, from a server
that is new and from one that has served others.
"""

import heapq
import math
import re
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from typing import Self, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from outrider.local.server import Server

T = TypeVar("T")

MOST_LIKELY = 500
"""How many of the next tokens are asked for; any other one counts as less likely than all of these."""

PLAIN_CHARACTER = r"root ::= [\x01-\x7f]+"

FINALISTS = 6
"""Of so many likely choices the one is taken that is likeliest token by token."""

NOTHING_SAID = ("N/A", "The thing.", "I bought this last week.", "Text")
"""Texts that speak for no label: what a label scores for them it scores by habit."""


class Frame(Struct, frozen=True):
    """What stands around a task: worked examples and the beginning of a line; then what follows the task."""

    before: str
    after: str


class Unanswered(Exception):
    """The server did not answer, or (with an HTTP status) refused."""

    def __init__(self, why: str, status: int = 0) -> None:
        super().__init__(why)
        self.status = status


class _Tokens(Struct):
    tokens: list[int]


class _Likely(Struct):
    id: int
    logprob: float


class _Place(Struct):
    top_logprobs: list[_Likely]


class _Completion(Struct):
    completion_probabilities: list[_Place] = []


class Scorer:
    """Puts questions to a server, which serves nobody else meanwhile. ``read`` counts the tokens of the prompts.

    All methods raise Unanswered when the server does not answer.
    """

    def __init__(self, server: Server) -> None:
        self.read = 0
        self._server = server
        self._line = HTTPConnection(urlsplit(server.url).netloc, timeout=server.patience)

    def __enter__(self) -> Self:
        self._server.busy.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()
        self._server.busy.release()

    def likeliest(self, frame: Frame, task: str, written: str, choices: Sequence[str]) -> str:
        """The choice that most likely follows the prompt and what is ``written`` there already."""
        at = self._place(frame, f" {task}{frame.after}{written}")
        ends = {tuple(self._tokens(choice)): choice for choice in choices}
        open_ends: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
        best: list[tuple[float, str]] = []
        while open_ends and len(best) < FINALISTS:  # the likeliest beginning first
            cost, start = heapq.heappop(open_ends)
            if start in ends:
                best.append((cost / len(start), ends[start]))  # by the token, or short ones would always win
                continue
            following = self._following(at, start)
            for token in {end[len(start)] for end in ends if end[: len(start)] == start}:
                heapq.heappush(open_ends, (cost - following.get(token, min(following.values()) - 1), (*start, token)))
        return min(best)[1]

    def judge(self, frames: Sequence[Frame], task: str, choices: Sequence[str]) -> int:
        """Which choice a task speaks for most, compared with texts that say nothing; the index."""
        sums = [0.0] * len(choices)
        for frame in frames:
            habit = self._habit(frame, tuple(choices))
            odds = self.odds(frame, task, choices)
            sums = [total + mine - usual for total, mine, usual in zip(sums, odds, habit, strict=True)]
        return max(range(len(choices)), key=lambda index: sums[index])

    def _habit(self, frame: Frame, choices: tuple[str, ...]) -> list[float]:
        known = self._server.habits
        if (frame, choices) not in known:
            odds = [self.odds(frame, text, choices) for text in NOTHING_SAID]
            known[frame, choices] = [sum(column) / len(column) for column in zip(*odds, strict=True)]
        return known[frame, choices]

    def odds(self, frame: Frame, task: str, choices: Sequence[str]) -> list[float]:
        """The log-likelihood of each choice among them all."""
        at = self._place(frame, f" {task}{frame.after}")
        seen: dict[tuple[int, ...], dict[int, float]] = {}
        found: list[float] = []
        for choice in choices:
            tokens, score = tuple(self._tokens(choice)), 0.0
            for length, token in enumerate(tokens):
                start = tokens[:length]
                if start not in seen:
                    seen[start] = self._following(at, start)
                score += seen[start].get(token, min(seen[start].values()) - 1)
            found.append(score)
        whole = math.log(sum(map(math.exp, found)))
        return [score - whole for score in found]

    # ---------------------------------------------------------------------------------------- the server

    def _place(self, frame: Frame, rest: str) -> tuple[int, list[int]]:
        """The slot and the prompt, the slot holding the prompt's beginning in its one and only state."""
        beginning = self._tokens(frame.before)
        slot, new = self._server.slot(frame.before)
        if new:
            self._ask(slot, beginning, cached=False)
        self._ask(slot, beginning, cached=True)  # drops what follows, and works out the last token alone
        prompt = beginning + self._tokens(rest)
        self.read += len(prompt)
        return slot, prompt

    def _following(self, at: tuple[int, list[int]], start: tuple[int, ...]) -> dict[int, float]:
        slot, prompt = at
        here = [*prompt, *start]
        found = self._ask(slot, here, cached=True).completion_probabilities
        if not found:  # the next token would be a piece of a character, and of such ones llama.cpp tells nothing
            found = self._ask(slot, here, cached=True, grammar=PLAIN_CHARACTER).completion_probabilities
        return {token.id: token.logprob for token in found[0].top_logprobs}

    def _ask(self, slot: int, prompt: list[int], cached: bool, grammar: str = "") -> _Completion:
        body: dict[str, object] = {"prompt": prompt, "id_slot": slot, "cache_prompt": cached, "n_predict": 1}
        body["grammar"] = grammar  # for the token that is taken; the likelihoods are those without it
        return self._post("/completion", body | {"n_probs": MOST_LIKELY, "temperature": 0}, _Completion)

    def _tokens(self, text: str) -> list[int]:
        return self._post("/tokenize", {"content": text}, _Tokens).tokens

    def _post(self, path: str, body: dict[str, object], kind: type[T]) -> T:
        headers = {"Authorization": f"Bearer {self._server.key}", "Content-Type": "application/json"}
        try:
            self._line.request("POST", path, msgspec.json.encode(body), headers)
            answer = self._line.getresponse()
            read = answer.read()
            if answer.status == 200:
                return msgspec.json.decode(read, type=kind)
        except (OSError, HTTPException, msgspec.DecodeError) as error:
            raise Unanswered(str(error)) from error
        told = re.search(rb'"message":"([^"]*)"', read)
        raise Unanswered((told[1] if told else read[:200]).decode(errors="replace"), answer.status)
