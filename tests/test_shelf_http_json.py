"""Reading JSON from the web, against a real server on loopback; addresses that are not public are refused."""

import contextlib
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from outrider import ToolError
from outrider.testing.guard import NetworkBlocked
from outrider_tools import http_json as room
from outrider_tools.http_json import http_json, http_json_tool

pytestmark = pytest.mark.anyio

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
BELLS = {"bells": [{"name": "Arden", "kg": 900}, {"name": "Brook", "kg": None}], "a/b": {"~": "tilde"}, "": "no name"}


def json_of(text: str, status: int = 200, **headers: str) -> Answer:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=text, status=status, headers=headers)

    return answer


async def bells(request: web.Request) -> web.Response:
    return web.json_response(BELLS)


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(status=int(request.query.get("status", "200")))
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):  # the tool hangs up
        while True:
            await response.write(b'"' + b"x" * 65536)
    return response


async def packed(request: web.Request) -> web.Response:
    return web.Response(body=gzip.compress(b"0" * 50_000_000), headers={"Content-Encoding": "gzip"})


async def on(request: web.Request) -> web.Response:
    steps = int(request.match_info["steps"])
    raise web.HTTPFound(f"/on/{steps - 1}" if steps else "/bells")


async def to(request: web.Request) -> web.Response:
    raise web.HTTPFound(request.query["url"])


@pytest.fixture
async def base() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/bells", bells)
    app.router.add_get("/endless", endless)
    app.router.add_get("/packed", packed)
    app.router.add_get("/on/{steps}", on)
    app.router.add_get("/to", to)
    app.router.add_get("/page", json_of("<html>\n<b>Hello</b></html>"))
    app.router.add_get("/nan", json_of('{"kg": NaN}'))
    app.router.add_get("/deep", json_of("[" * 100_000))
    app.router.add_get("/broken", json_of("No such\nbell \x1b[31m" + "!" * 9999, 404))
    app.router.add_get("/list", json_of(str(list(range(20_000)))))
    async with TestServer(app) as server:
        yield str(server.make_url("/")).rstrip("/")


near = http_json_tool(private=True)


# --------------------------------------------------------------------------------------- the document


async def test_a_document_is_shown_whole_or_in_part(base: str) -> None:
    whole = await near(f"{base}/bells")
    assert whole.startswith('{\n "bells": [\n  {\n   "name": "Arden",')
    assert await near(f"{base}/bells", "/bells/1") == '{\n "name": "Brook",\n "kg": null\n}'
    assert await near(f"{base}/bells", "/bells/0/kg") == "900"
    assert await near(f"{base}/bells", "/a~1b/~0") == '"tilde"'
    assert await near(f"{base}/bells", "/") == '"no name"'


@pytest.mark.parametrize(
    ("pointer", "told"),
    [
        ("/towers", "There is no 'towers' at the top: an object with bells, a/b, ."),
        ("/bells/2", "There is no '2' at /bells: a list with items 0 to 1."),
        ("/bells/-1", "There is no '-1' at /bells: a list"),
        ("/bells/01", "There is no '01' at /bells: a list"),
        ("/bells/0/kg/x", "There is no 'x' at /bells/0/kg: it holds neither members nor items."),
        ("bells", "A pointer begins with a slash, as in /bells."),
    ],
)
async def test_a_pointer_that_leads_nowhere_says_what_is_there(base: str, pointer: str, told: str) -> None:
    with pytest.raises(ToolError) as error:
        await near(f"{base}/bells", pointer)
    assert str(error.value).startswith(told)


async def test_a_large_document_is_cut_and_says_what_to_point_at(base: str) -> None:
    shown = await near(f"{base}/list")
    assert len(shown) < room.MAX_TEXT + 200
    assert shown.endswith(" characters. All of it is a list with items 0 to 19999: choose a part with pointer.")
    assert await near(f"{base}/list", "/19999") == "19999"


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/page", "This is no JSON. It begins: '<html> <b>Hello</b></html>'"),
        ("/nan", "This is no JSON."),
        ("/deep", "This is no JSON. It begins: '[[["),
        ("/packed", "The document is too large: at most 1000000 bytes are read."),
        ("/endless", "The document is too large: at most 1000000 bytes are read."),
        ("/broken", "The server answered 404 Not Found: No such bell [31m!!"),
        ("/endless?status=503", "The server answered 503 Service Unavailable: "),
        ("/on/9", "More than 5 redirects."),
    ],
)
async def test_what_is_no_document_is_said_in_short(base: str, path: str, told: str) -> None:
    with pytest.raises(ToolError) as error:
        await near(base + path)
    assert str(error.value).startswith(told)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 600


async def test_a_server_that_is_not_there_or_never_answers_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        monkeypatch.setattr(room, "SECONDS", 0.2)
        with pytest.raises(ToolError, match=r"did not answer within 0\.2 seconds"):
            await near(url)
    with pytest.raises(ToolError, match="The document cannot be read: ClientConnectorError"):
        await near(url)


# --------------------------------------------------------------------------------------- the address


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "10.0.0.1", "172.16.5.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "240.0.0.1", "[::1]", "[::]", "[fe80::1]", "[fd00:ec2::254]", "[ff02::1]", "[::ffff:127.0.0.1]",
        "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
    ],
)  # fmt: skip
async def test_addresses_that_are_not_public_are_refused(host: str) -> None:
    with pytest.raises(ToolError, match=r"Refused: \S+ is no public address"):
        await http_json(f"http://{host}:9/")


@pytest.mark.parametrize("host", ["93.184.215.14", "[2606:2800:21f:cb07::1]", "[64:ff9b::5db8:d70e]"])
async def test_public_addresses_are_asked(host: str) -> None:
    with pytest.raises(NetworkBlocked):  # by the tests, not by the tool
        await http_json(f"http://{host}/")


async def test_a_name_that_leads_to_this_machine_is_refused(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def look_up(host: Any, port: Any, *rest: Any, **more: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    url = base.replace("127.0.0.1", "bells.example") + "/bells"
    with pytest.raises(ToolError, match=r"Refused: 127\.0\.0\.1 is no public address"):
        await http_json(url)
    assert asked == ["bells.example"]
    assert await http_json_tool(hosts=["Bells.example"])(url, "/bells/0/name") == '"Arden"'


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ftp://example.org/a.json", "Only addresses that begin with https:// or http://"),
        ("file:///etc/passwd", "Only addresses that begin with"),
        ("example.org/a.json", "Only addresses that begin with"),
        ("http:///a.json", "Only addresses that begin with|is no web address"),
        ("http://me:pass@example.org/", "holds a user name or a password"),
        ("http://127.1/", "cannot be read: InvalidUrlClientError"),
        ("http://[::1/", "is no web address"),
    ],
)
async def test_what_is_no_plain_web_address_is_refused(url: str, told: str) -> None:
    with pytest.raises(ToolError, match=told) as error:
        await http_json(url)
    assert "pass@" not in str(error.value)


async def test_each_redirect_is_checked(base: str) -> None:
    here = http_json_tool(hosts=["127.0.0.1"])
    assert await here(f"{base}/on/3", "/bells/0/name") == '"Arden"'
    for url, told in (
        (base.replace("127.0.0.1", "localhost"), "Refused: localhost is not among the hosts of this tool: 127.0.0.1."),
        ("file:///etc/passwd", "Refused: 'file:///etc/passwd'"),
        ("http://me:pass@127.0.0.1/", "Refused: the address holds a user name"),
    ):
        with pytest.raises(ToolError) as error:
            await here(f"{base}/to?url={url}")
        assert str(error.value).startswith(told)


async def test_it_sends_the_address_out_and_brings_what_strangers_wrote() -> None:
    assert (http_json.effect, http_json.repeat, http_json.trust) == ("egress", "safe", "untrusted")
    assert http_json.sinks == ("url",)
