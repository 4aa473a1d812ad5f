"""Searching the web: bounds, pace, what is said of each failure; ``ddgs`` itself against a server on loopback."""

import json
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from ddgs.engines.duckduckgo import Duckduckgo
from ddgs.exceptions import DDGSException, RatelimitException, TimeoutException

from outrider import SetupError, ToolError
from outrider_tools import search
from outrider_tools.search import Find, Hit, Pace, engines, recorded, search_tool, web_search

BELL = Hit("The bell of Arden", "https://example.org/bell", "It weighs 900 kg.")


def of(*hits: Hit) -> Find:
    return lambda query, most: hits


def saying(error: Exception) -> Find:
    def find(query: str, most: int) -> Sequence[Hit]:
        raise error

    return find


# ---------------------------------------------------------------------------------------------- the tool


def test_results_are_numbered_lines() -> None:
    found = search_tool(of(BELL, Hit("", "http://example.org/untold", "")))("bell")
    assert found.splitlines() == [
        "1. The bell of Arden",
        "   https://example.org/bell",
        "   It weighs 900 kg.",
        "2. http://example.org/untold",
        "   http://example.org/untold",
    ]


def test_results_are_bounded_and_clean() -> None:
    loud = Hit("t\x1b[31m\n" * 99, "https://example.org/a", "x\u202ey " * 999)
    hits = [loud, Hit("no page", "javascript:alert(1)", ""), Hit("long", "https://" + "e" * 999, "")]
    lines = search_tool(of(*hits, *[BELL] * 20))("bell", 3).splitlines()
    assert len(lines) == 9
    assert all(line.isprintable() for line in lines)
    assert len(lines[0]) <= len("1. ") + search.MAX_TITLE
    assert len(lines[2]) <= len("   ") + search.MAX_TEXT
    assert lines[0].endswith("...")
    assert lines[2].endswith("...")
    assert lines[3] == "2. The bell of Arden"


def test_what_is_asked_is_passed_on_in_one_line() -> None:
    asked: list[tuple[str, int]] = []

    def find(query: str, most: int) -> list[Hit]:
        asked.append((query, most))
        return [BELL]

    search_tool(find)("  bell\n of   Arden ", 2)
    assert asked == [("bell of Arden", 2)]


@pytest.mark.parametrize(
    ("query", "told"), [(" ", "1 to 300 characters; this one has 0"), ("x" * 301, "this one has 301")]
)
def test_what_cannot_be_asked_is_said(query: str, told: str) -> None:
    with pytest.raises(ToolError, match=told):
        search_tool(of(BELL))(query)


@pytest.mark.parametrize(("wanted", "given"), [(0, 1), (3, 3), (100, search.MAX_RESULTS)])
def test_no_more_results_come_than_the_bound(wanted: int, given: int) -> None:
    found = search_tool(of(*[BELL] * 200))("bell", wanted)
    assert found.splitlines()[-3].startswith(f"{given}. ")
    assert len(found.splitlines()) == 3 * given


def test_no_results_is_said_with_what_to_do() -> None:
    with pytest.raises(ToolError, match=r"No results for 'bell'.*fewer or other words; then go on without"):
        search_tool(of())("bell")


def test_it_sends_the_query_out_and_brings_what_strangers_wrote() -> None:
    assert (web_search.effect, web_search.repeat, web_search.trust) == ("egress", "safe", "untrusted")
    assert web_search.sinks == ("query",)
    assert web_search.timeout == search.SECONDS


# ---------------------------------------------------------------------------------------------- the pace


def test_searches_keep_apart() -> None:
    time, slept = [100.0], list[float]()
    pace = Pace(1.5, clock=lambda: time[0], sleep=slept.append)
    for _ in range(3):
        pace.wait()
    time[0] = 103.5
    pace.wait()
    time[0] = 200.0
    pace.wait()
    assert slept == [1.5, 3.0, 1.0]


def test_too_many_searches_at_once_are_refused() -> None:
    pace = Pace(search.MAX_WAIT, clock=lambda: 0.0, sleep=lambda seconds: None)
    pace.wait()
    pace.wait()
    with pytest.raises(ToolError, match="Too many searches at once"):
        pace.wait()


# ---------------------------------------------------------------------------------------------- ddgs

PAGE = """<html><body><div class="result__body">
<h2>The bell of Arden</h2><a href="https://example.org/bell">It weighs 900 kg.</a></div></body></html>"""


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_pace", Pace(0.0))
    monkeypatch.delenv("DDGS_PROXY", raising=False)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, str], list[str]]]:
    """An engine of ddgs, asked on loopback: give it what it answers, and get what it is asked."""
    asked: list[str] = []
    answer = [200, ""]

    class Engine(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(int(answer[0]))
            self.end_headers()
            self.wfile.write(str(answer[1]).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Engine) as server:
        monkeypatch.setattr(Duckduckgo, "search_url", f"http://127.0.0.1:{server.server_port}/html/")
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()

        def answers(status: int, body: str) -> list[str]:
            answer[:] = [status, body]
            return asked

        yield answers
        server.shutdown()
        thread.join()


def test_an_engine_is_asked(engine: Callable[[int, str], list[str]]) -> None:
    asked = engine(200, PAGE)
    found = search_tool(engines(backend="duckduckgo"))("bell of Arden")
    assert found == "1. The bell of Arden\n   https://example.org/bell\n   It weighs 900 kg."
    assert "bell+of+Arden" in asked[0]


@pytest.mark.parametrize(("status", "body"), [(200, "<html><body></body></html>"), (429, "slow down"), (403, "no")])
def test_an_engine_that_has_nothing_or_turns_away_gives_no_results(
    engine: Callable[[int, str], list[str]], status: int, body: str
) -> None:
    engine(status, body)
    with pytest.raises(ToolError, match="nothing fits it, or the search engines turn this machine away"):
        search_tool(engines(backend="duckduckgo"))("bell of Arden")


def test_without_a_network_it_says_so() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]  # free again in a moment: nobody listens there
    with pytest.raises(ToolError, match=r"No search engine can be reached: this machine is offline"):
        search_tool(engines(proxy=f"http://127.0.0.1:{port}"))("bell of Arden")


def test_engines_that_never_answer_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "ENGINE_SECONDS", 0.2)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        proxy = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ToolError, match="did not answer in time"):
            search_tool(engines(backend="duckduckgo", proxy=proxy))("bell of Arden")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RatelimitException("202"), "turn this machine away: too many searches"),
        (TimeoutException("timed out"), "did not answer in time"),
        (DDGSException("DNSError: no records found for Query"), "this machine is offline"),
        (DDGSException("No results found."), "No results for 'bell'"),
        (DDGSException("ParserError: https://example.org/?q=bell"), "The search failed"),
    ],
)
def test_each_failure_is_said_in_plain_words(monkeypatch: pytest.MonkeyPatch, error: Exception, told: str) -> None:
    def text(self: object, query: str, **more: object) -> list[dict[str, str]]:
        raise error

    monkeypatch.setattr("ddgs.ddgs.DDGS.text", text)
    with pytest.raises(ToolError, match=told) as raised:
        search_tool(engines())("bell")
    assert "example.org" not in str(raised.value)
    assert raised.value.__cause__ is error


# ------------------------------------------------------------------------------------------ recorded


@pytest.fixture
def record(tmp_path: Path) -> Path:
    path = tmp_path / "results.json"
    hit = {"title": "The bell of Arden", "url": "https://example.org/bell", "text": "It weighs 900 kg."}
    clock = {"title": "The clock of Arden", "url": "https://example.org/clock", "text": "Made in 1712."}
    path.write_text(json.dumps({"bell of Arden weight": [hit], "clock of Arden": [clock], "nothing known": []}))
    return path


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("How much does the Bell of Arden weigh?", "The bell of Arden"),
        ("weight of the bell", "The bell of Arden"),
        ("arden clock", "The clock of Arden"),
    ],
)
def test_the_recorded_query_that_is_nearest_answers(record: Path, query: str, title: str) -> None:
    assert search_tool(recorded(record))(query).startswith(f"1. {title}")


@pytest.mark.parametrize("query", ["tower of Pisa", "nothing known"])
def test_what_was_not_recorded_or_found_nothing_has_no_results(record: Path, query: str) -> None:
    with pytest.raises(ToolError, match="No results"):
        search_tool(recorded(record))(query)


def test_a_record_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"gone.json cannot be read: No such file"):
        recorded(tmp_path / "gone.json")
    (tmp_path / "odd.json").write_text('["bell"]')
    with pytest.raises(SetupError, match=r"odd.json holds no recorded results: Expected `object`"):
        recorded(tmp_path / "odd.json")


def test_a_failure_of_your_own_search_is_told_as_it_is() -> None:
    with pytest.raises(ToolError, match="The library is closed"):
        search_tool(saying(ToolError("The library is closed.")))("bell")
