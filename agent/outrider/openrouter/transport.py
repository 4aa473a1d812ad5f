"""The one way out: a connection pool per process, event loop and settings.

The OpenAI SDK holds base URL, authentication and headers; requests and replies pass it by as bytes, since its
own path costs several times as much per request. The pool is aiohttp's, behind httpx2.
This module is heavy to import; the client does it in a thread.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Hashable
from typing import Self
from urllib.request import getproxies, proxy_bypass
from weakref import WeakSet

import aiohttp
import httpx2
from openai import AsyncOpenAI, Omit

from outrider.errors import SetupError
from outrider.openrouter.settings import Settings

CONNECT_SECONDS = 30.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class _Sdk(AsyncOpenAI):
    """The SDK's client with our headers only: no OPENAI_* variable reaches a request."""

    own_headers: dict[str, str]

    @property
    def default_headers(self) -> dict[str, str | Omit]:
        return dict(self.own_headers)


class Line:
    """A pool of connections to one server. ``users`` are the models that share it; without a key none is sent."""

    def __init__(self, settings: Settings, key: str) -> None:
        self._owned = settings.http_client is None
        self._http = settings.http_client or httpx2.AsyncClient(
            transport=Pool(_proxy(settings)), timeout=None, trust_env=False
        )
        self.users: WeakSet[object] = WeakSet()
        self.sdk = _Sdk(base_url=settings.base_url, api_key=key or "none", max_retries=0, http_client=self._http)
        self.sdk.own_headers = _headers(settings)
        self._headers = httpx2.Headers(self.sdk.own_headers | (self.sdk.auth_headers if key else {}))
        self._base = str(self.sdk.base_url).rstrip("/")
        self._url = httpx2.URL(f"{self._base}/chat/completions")

    async def send(self, body: bytes) -> httpx2.Response:
        """Send a body; returns the open response, of which only the head has been read.

        Raises httpx2.RequestError.
        """
        if self._owned:
            request = httpx2.Request("POST", self._url, headers=self._headers, content=body)
        else:  # dearer, but with the headers and cookies of the user's client
            build = self._http.build_request
            request = build("POST", self._url, headers=self._headers, content=body, timeout=None)
        return await self._http.send(request, stream=True, follow_redirects=False)

    async def get(self, path: str) -> httpx2.Response:
        """Fetch what lies at a path of the API, whole. Raises httpx2.RequestError."""
        request = httpx2.Request("GET", httpx2.URL(f"{self._base}{path}"), headers=self._headers)
        return await self._http.send(request, follow_redirects=False)

    async def close(self) -> None:
        """Close the connections, unless the client was the user's own."""
        if self._owned:
            await self._http.aclose()


class Pool(httpx2.AsyncBaseTransport):
    """httpx2 over aiohttp. Its session closes with its event loop, silently, even if nobody closes it."""

    def __init__(self, proxy: str | None) -> None:
        self._proxy = proxy
        self._held: AsyncGenerator[aiohttp.ClientSession, None] | None = None
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; returns the open response."""
        if self._session is None:
            self._held = _hold()
            self._session = await anext(self._held)  # never waits, so two requests cannot both come here
        try:
            response = await self._session.request(
                request.method,
                str(request.url),
                data=request.content,
                headers=[(name.decode(), value.decode("latin-1")) for name, value in request.headers.raw],
                proxy=self._proxy,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError) as error:
            raise _told(error, request) from error
        return httpx2.Response(
            response.status, headers=response.raw_headers, stream=_Body(response, request), request=request
        )

    async def aclose(self) -> None:
        """Close the session."""
        if self._held is not None:
            await self._held.aclose()


class _Body(httpx2.AsyncByteStream):
    """A reply's bytes as they come, all that has piled up in one piece."""

    def __init__(self, response: aiohttp.ClientResponse, request: httpx2.Request) -> None:
        self._response, self._request = response, request

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            data = await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise _told(error, self._request) from error
        if not data:
            raise StopAsyncIteration
        return data

    async def aclose(self) -> None:
        self._response.close()  # a body read to its end has given its connection back already


async def _hold() -> AsyncGenerator[aiohttp.ClientSession, None]:
    """A session. asyncio.run closes generators that are open when the loop ends, and this one closes it."""
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
    # trust_env costs two thread hops a request; the proxy is looked up once instead
    session = aiohttp.ClientSession(
        connector=connector, timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
    )
    try:
        yield session
    finally:
        await session.close()


def _told(error: Exception, request: httpx2.Request) -> httpx2.RequestError:
    """The same error in httpx2's words; what matters is whether the request can have reached the server."""
    kind: type[httpx2.RequestError] = httpx2.ReadError
    if isinstance(error, aiohttp.ClientHttpProxyError | aiohttp.ClientProxyConnectionError):
        kind = httpx2.ProxyError
    elif isinstance(error, aiohttp.ClientConnectorError | aiohttp.InvalidURL):
        kind = httpx2.ConnectError
    elif isinstance(error, aiohttp.ConnectionTimeoutError):
        kind = httpx2.ConnectTimeout
    return kind(_words(error), request=request)


def _words(error: Exception) -> str:
    """Who could not be reached and why; aiohttp's own words hold Python objects."""
    if isinstance(error, aiohttp.ClientConnectorError) and not isinstance(error, aiohttp.ClientSSLError):
        number, own = error.os_error.errno, error.os_error.strerror
        why = os.strerror(number) if number and number > 0 else own or type(error.os_error).__name__
        return f"{error.host}:{error.port}: {why}"
    return str(error) or type(error).__name__


def _headers(settings: Settings) -> dict[str, str]:
    headers = {
        "Accept": "text/event-stream, application/json",
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
        "User-Agent": "outrider",
    }
    if settings.referer:
        headers["HTTP-Referer"] = settings.referer
    if not settings.keep_alive:
        headers["Connection"] = "close"
    if settings.title:
        headers |= {"X-OpenRouter-Title": settings.title, "X-Title": settings.title}
    return headers


def _proxy(settings: Settings) -> str | None:
    """The proxy for this server: the one set, else what the environment says. Loopback never has one."""
    url = httpx2.URL(settings.base_url)
    proxy = settings.proxy
    if not proxy and url.host not in _LOOPBACK and not proxy_bypass(url.host):
        proxies = getproxies()
        proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if not proxy.startswith(("http://", "https://")):
        raise SetupError(
            f"the proxy {proxy.split('@')[-1]} is not an HTTP proxy",
            "Set HTTPS_PROXY or settings.proxy to an HTTP proxy, or give an http_client of your own.",
        )
    return proxy


_lines: dict[tuple[int, asyncio.AbstractEventLoop, Hashable], Line] = {}


def line(settings: Settings, key: str, user: object) -> Line:
    """The line for these settings in this process and event loop, made when there is none."""
    loop = asyncio.get_running_loop()
    wire = (
        settings.base_url,
        key,
        settings.referer,
        settings.title,
        settings.proxy,
        settings.keep_alive,
        id(settings.http_client),
    )
    place = (os.getpid(), loop, wire)
    found = _lines.get(place)
    if found is None:
        for old in [old for old in _lines if old[1].is_closed()]:
            del _lines[old]
        found = _lines[place] = Line(settings, key)
    found.users.add(user)
    return found


async def leave(user: object) -> None:
    """Close the lines of this event loop that nobody but ``user`` uses."""
    loop = asyncio.get_running_loop()
    for place, found in list(_lines.items()):
        if place[1] is loop and user in found.users:
            found.users.discard(user)
            if not found.users:
                del _lines[place]
                await found.close()
