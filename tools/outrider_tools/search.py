"""Searching the web, through ``ddgs``: several search engines, no key. Results are what strangers wrote.

A search is a function from a query and a number to hits. ``engines()`` makes the one that asks the search engines,
``recorded(path)`` one that answers from a file, for tests and for working offline; any function of yours will do:

    Agent(tools=[web_search])
    Agent(tools=[search_tool(engines(region="de-de"))])
    Agent(tools=[search_tool(recorded("results.json"))])
"""

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from outrider import SetupError, Tool, ToolError, tool
from outrider_tools._plain import one_line

MAX_RESULTS = 10
"""Most results of one search."""
MAX_TITLE = 150
"""Most characters of a title."""
MAX_URL = 300
"""Longest address that is shown; a result with a longer one is left out."""
MAX_TEXT = 400
"""Most characters of what a result says."""
MAX_QUERY = 300
"""Longest query, in characters."""
SECONDS = 45
"""What one search may take, over all engines it tries."""
ENGINE_SECONDS = 5
"""What one engine may take to answer."""
PAUSE = 1.5
"""Seconds between the starts of two searches of this process; engines block who asks faster."""
MAX_WAIT = 20.0
"""Seconds a search waits for its turn; one that would have to wait longer is refused."""


class Hit(NamedTuple):
    """One result."""

    title: str
    url: str
    text: str


Find = Callable[[str, int], Sequence[Hit]]
"""Finds at most so many hits for a query. A ToolError that it raises is told to the model."""


class Pace:
    """Keeps what many threads begin at least so many seconds apart."""

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._seconds, self._clock, self._sleep = seconds, clock, sleep
        self._lock = threading.Lock()
        self._free = float("-inf")

    def wait(self) -> None:
        """Wait for a turn. Raises ToolError when it is too far away."""
        with self._lock:
            present = self._clock()
            turn = max(present, self._free)
            if turn - present > MAX_WAIT:
                raise ToolError("Too many searches at once: wait for the results of the others, then search again.")
            self._free = turn + self._seconds
        if turn > present:
            self._sleep(turn - present)


_pace = Pace(PAUSE)


def search_tool(find: Find | None = None) -> Tool[..., str]:
    """The tool ``web_search`` over a search of your choice; default: ``engines()``."""
    finder = find or engines()

    @tool(effect="egress", repeat="safe", trust="untrusted", timeout=SECONDS, sinks=("query",))
    def web_search(query: str, max_results: int = 5) -> str:
        """Search the web. Gives titles, addresses and a few words of each page.

        Args:
            query: A few words to search for.
            max_results: How many results; never more than 10.
        """
        wanted = " ".join(query.split())
        if not wanted or len(wanted) > MAX_QUERY:
            raise ToolError(f"A query has 1 to {MAX_QUERY} characters; this one has {len(wanted)}.")
        most = min(max(max_results, 1), MAX_RESULTS)
        hits = [hit for hit in map(_cleaned, finder(wanted, most)) if hit]
        if not hits:
            raise _nothing(wanted)
        return "\n".join(_shown(number, hit) for number, hit in enumerate(hits[:most], 1))

    return web_search


def engines(region: str = "us-en", backend: str = "auto", proxy: str | None = None) -> Find:
    """A search by the engines that ``ddgs`` knows, in turn until there are enough results.

    ``region`` is country and language, ``backend`` the engines by name ("auto": all), ``proxy`` one such as
    "http://host:8080" (default: the variable DDGS_PROXY). All searches of a process share one pace.
    """

    def find(query: str, most: int) -> list[Hit]:
        from ddgs.ddgs import DDGS
        from ddgs.exceptions import DDGSException

        _pace.wait()
        try:
            found = DDGS(proxy=proxy, timeout=ENGINE_SECONDS).text(
                query, region=region, backend=backend, max_results=most
            )
        except DDGSException as error:
            raise _failed(query, error) from error
        return [_hit(each, ("title", "href", "body")) for each in found]

    return find


def recorded(path: str | Path) -> Find:
    """A search that answers from a JSON file: ``{"a query": [{"title": ..., "url": ..., "text": ...}]}``.

    The recorded query that shares most words with the one asked answers, if at least half of its words are there.
    Raises SetupError when the file cannot be read or is not of that form.
    """
    results = _read(Path(path))

    def find(query: str, most: int) -> list[Hit]:
        asked = _words(query)
        nearest = max(results, key=lambda known: _likeness(asked, _words(known)), default="")
        return results[nearest][:most] if _likeness(asked, _words(nearest)) >= 0.5 else []

    return find


web_search = search_tool()


def _likeness(asked: set[str], known: set[str]) -> float:
    return len(asked & known) / len(known) if known else 0.0


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))


def _read(path: Path) -> dict[str, list[Hit]]:
    import msgspec

    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, list[dict[str, str]]])
    except OSError as error:
        raise SetupError(f"{path} cannot be read: {error.strerror}", "Name a file of recorded results.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = 'Its form: {"a query": [{"title": "...", "url": "https://...", "text": "..."}]}'
        raise SetupError(f"{path} holds no recorded results: {error}", hint) from error
    return {query: [_hit(each, ("title", "url", "text")) for each in hits] for query, hits in found.items()}


def _hit(found: Mapping[str, Any], names: tuple[str, str, str]) -> Hit:
    return Hit(*(str(found.get(name) or "") for name in names))


def _cleaned(hit: Hit) -> Hit | None:
    """The hit in single lines of bounded length, or None when its address is none that can be shown."""
    title, url, text = map(one_line, hit)
    if not url.startswith(("https://", "http://")) or " " in url or len(url) > MAX_URL:
        return None
    return Hit(_cut(title, MAX_TITLE) or url, url, _cut(text, MAX_TEXT))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3].rstrip()}..."


def _shown(number: int, hit: Hit) -> str:
    return "\n".join(filter(None, (f"{number}. {hit.title}", f"   {hit.url}", hit.text and f"   {hit.text}")))


def _nothing(query: str) -> ToolError:
    return ToolError(
        f"No results for {query!r}: nothing fits it, or the search engines turn this machine away for now. "
        "Try once more with fewer or other words; then go on without searching, and say so."
    )


def _failed(query: str, error: Exception) -> ToolError:
    """What is said of a search that failed; ``ddgs`` tells most failures apart only in its text."""
    from ddgs.exceptions import RatelimitException, TimeoutException

    if isinstance(error, TimeoutException):
        told = "The search engines did not answer in time. Try once more; then go on without searching, and say so."
    elif isinstance(error, RatelimitException):
        told = "The search engines turn this machine away: too many searches. Go on without searching, and say so."
    elif "No results" in str(error):
        return _nothing(query)
    elif re.search(r"DNSError|ConnectError|error resolving|Connection refused", str(error)):
        told = "No search engine can be reached: this machine is offline, or needs a proxy (DDGS_PROXY). "
        told += "Go on without searching, and say so."
    else:
        told = "The search failed, and another one will most likely fail too. Go on without searching, and say so."
    return ToolError(told)
