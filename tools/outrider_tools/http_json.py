"""Reading a JSON document from the web, whole or in part.

The address that is really connected to is checked, at each redirect anew: a model, or a page that it believes,
cannot make this machine ask its own network.
"""

import asyncio
import ipaddress
import json
import socket
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, cast

from outrider import Tool, ToolError, tool
from outrider_tools._plain import one_line

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession
    from yarl import URL

MAX_BYTES = 1_000_000
"""Largest document."""
MAX_TEXT = 16_000
"""Most characters that one call returns."""
MAX_ERROR = 500
"""Most characters shown of the body of an answer that reports a failure."""
MAX_REDIRECTS = 5
"""Most redirects that are followed."""
MAX_KEYS = 40
"""Most names listed of an object that is too large to show, or has no such member."""
SECONDS = 20.0
"""What one call may take, redirects included."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def http_json_tool(*, hosts: Collection[str] = (), private: bool = False) -> Tool[..., Any]:
    """The tool ``http_json``. Without arguments it reads from any public address.

    ``hosts``: only these hosts are asked, by the names given, wherever they are. ``private``: this machine and
    its own network may be asked as well.
    """
    allowed = frozenset(host.lower() for host in hosts)

    @tool(effect="egress", repeat="safe", trust="untrusted", timeout=2 * SECONDS, sinks=("url",))
    async def http_json(url: str, pointer: str = "") -> str:
        """Read a JSON document from a web address.

        Args:
            url: The address, beginning with https:// or http://.
            pointer: Which part to show, as in "/items/0/name"; empty: all of it.
        """
        data = await _get(url, allowed, anywhere=private or bool(allowed))
        try:
            document = json.loads(data, parse_constant=_refuse)
        except (ValueError, RecursionError):  # the second by very deep nesting
            raise ToolError(f"This is no JSON. It begins: {_plain(data[:200])!r}") from None
        return _shown(_part(document, pointer), pointer)

    return http_json


http_json = http_json_tool()


# ----------------------------------------------------------------------------------------- the request


async def _get(url: str, allowed: frozenset[str], anywhere: bool) -> bytes:
    import aiohttp

    def opened(info: tuple[Any, ...]) -> socket.socket:
        """The socket for one address, just before it is connected: no look-up comes after this."""
        family, kind, protocol, _, address = info
        if not anywhere and not _is_public(address[0]):
            raise ToolError(f"Refused: {address[0]} is no public address.")
        return socket.socket(family, kind, protocol)

    try:
        connector = aiohttp.TCPConnector(socket_factory=opened)
        headers = {"Accept": "application/json", "User-Agent": "outrider"}
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session, asyncio.timeout(SECONDS):
            return await _follow(session, url, allowed)
    except TimeoutError:
        raise ToolError(f"The server did not answer within {SECONDS:g} seconds.") from None
    except (aiohttp.ClientError, OSError) as error:
        told = f"{type(error).__name__}: {error}"
        raise ToolError(f"The document cannot be read: {_plain(told.encode())}") from error


async def _follow(session: "ClientSession", url: str, allowed: frozenset[str]) -> bytes:
    target = _checked(url, allowed)
    for _ in range(MAX_REDIRECTS + 1):
        async with session.get(target, allow_redirects=False) as response:
            location = response.headers.get("Location")
            if response.status not in (301, 302, 303, 307, 308) or location is None:
                return await _body(response)
            target = _checked(location, allowed, target)
    raise ToolError(f"More than {MAX_REDIRECTS} redirects.")


def _checked(url: str, allowed: frozenset[str], base: "URL | None" = None) -> "URL":
    """The address to ask. Raises ToolError when it is none, or none that may be asked."""
    from yarl import URL

    try:
        target = base.join(URL(url)) if base else URL(url.strip())
    except ValueError as error:
        raise ToolError(f"{url!r} is no web address: {error}.") from None
    if target.scheme not in ("http", "https") or not target.host:
        raise ToolError(f"Refused: {str(target)!r}. Only addresses that begin with https:// or http:// are read.")
    if target.user is not None or target.password is not None:
        raise ToolError("Refused: the address holds a user name or a password.")
    if allowed and target.host.lower() not in allowed:
        raise ToolError(f"Refused: {target.host} is not among the hosts of this tool: {', '.join(sorted(allowed))}.")
    return target


async def _body(response: "ClientResponse") -> bytes:
    data = bytearray()
    async for chunk in response.content.iter_any():
        data += chunk
        if len(data) > (MAX_BYTES if response.ok else MAX_ERROR):
            break
    if not response.ok:
        raise ToolError(f"The server answered {response.status} {response.reason}: {_plain(data[:MAX_ERROR])}")
    if len(data) > MAX_BYTES:
        raise ToolError(f"The document is too large: at most {MAX_BYTES} bytes are read.")
    return bytes(data)


def _is_public(text: str) -> bool:
    address: _Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        address = inner or address
    return address.is_global and not (address.is_multicast or address.is_reserved)


# ---------------------------------------------------------------------------------------- the document


def _part(document: Any, pointer: str) -> Any:
    """The part that a JSON Pointer (RFC 6901) names."""
    if pointer and not pointer.startswith("/"):
        raise ToolError(f"A pointer begins with a slash, as in /{pointer}.")
    value, walked = document, ""
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        match value:
            case dict() if name in value:
                value = cast("dict[str, Any]", value)[name]
            case list() if name in map(str, range(len(cast("list[Any]", value)))):
                value = cast("list[Any]", value)[int(name)]
            case _:
                raise ToolError(f"There is no {name!r} at {walked or 'the top'}: {_outline(value)}.")
        walked += f"/{step}"
    return value


def _outline(value: Any) -> str:
    """What there is to point at."""
    match value:
        case dict():
            names = list(cast("dict[str, Any]", value))
            more = f" and {len(names) - MAX_KEYS} more" if len(names) > MAX_KEYS else ""
            return f"an object with {', '.join(name[:60] for name in names[:MAX_KEYS]) or 'nothing'}{more}"
        case list():
            count = len(cast("list[Any]", value))
            return f"a list with items 0 to {count - 1}" if count else "an empty list"
        case _:
            return "it holds neither members nor items"


def _shown(value: Any, pointer: str) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
        if len(text) <= MAX_TEXT:
            wide = json.dumps(value, ensure_ascii=False, indent=1)
            return wide if len(wide) <= MAX_TEXT else text
    except RecursionError:
        raise ToolError("The document is nested too deeply to be shown.") from None
    cut = f"cut: {MAX_TEXT} of {len(text)} characters. {pointer or 'All of it'} is {_outline(value)}"
    return f"{text[:MAX_TEXT]}\n... {cut}: choose a part with pointer."


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and Infinity, which Python takes and JSON has not


def _plain(data: bytes | bytearray) -> str:
    """Bytes as one printable line."""
    return one_line(data.decode("utf-8", "replace"))
