"""One request on the wire: sent, read piece by piece within its time, and closed."""

from contextlib import suppress
from typing import TYPE_CHECKING

from outrider.openrouter.deadline import Deadline, TimedOut
from outrider.openrouter.failures import Broken, from_exception, from_status
from outrider.openrouter.merge import KEPT_BYTES, BadReply, Merger
from outrider.openrouter.settings import Settings

if TYPE_CHECKING:
    import httpx2

    from outrider.openrouter.transport import Line

_END_SECONDS = 0.5
"""How long a stream's end is awaited once all of the reply is there: its connection then serves the next."""


class Exchange:
    """A request and its reply, the latter gathered in ``merger``."""

    def __init__(self, line: "Line", settings: Settings, merger: Merger) -> None:
        self._line, self._merger = line, merger
        self._deadline = Deadline(settings)
        self._response: httpx2.Response | None = None
        self._generation = ""

    @property
    def generation(self) -> str:
        """The id under which the provider knows the reply, as soon as it has said so."""
        return self._generation or self._merger.generation

    async def open(self, body: bytes) -> None:
        """Send the body and await the head of the answer. Raises Broken, also when the server refuses."""
        import httpx2

        try:
            self._response = response = await self._deadline.wait(self._line.send(body))
            self._deadline.data()
            self._generation = response.headers.get("x-generation-id", "")
            encoded = "content-encoding" in response.headers  # we ask for none, but some insist
            self._chunks = response.aiter_bytes() if encoded else response.aiter_raw()
            refusal = None if response.is_success else await self._refusal()
        except (httpx2.RequestError, TimedOut) as error:
            raise Broken(from_exception(error)) from error
        if refusal is not None:
            raise Broken(from_status(response.status_code, response.headers, refusal))

    async def read(self) -> bool:
        """Take in what one network read brings; False once the reply is over. Raises Broken."""
        import httpx2

        merger = self._merger
        try:
            data = await self._deadline.wait(anext(self._chunks, b""))
            if not data:
                merger.end()
                return False
            if merger.feed(data):
                self._deadline.data()
            if merger.done:
                self._deadline.hurry(_END_SECONDS)
        except (httpx2.RequestError, TimedOut, BadReply) as error:
            if merger.finish and not merger.error:
                return False  # the reply itself is whole, at most its bill is missing
            raise Broken(from_exception(error)) from error
        return True

    async def close(self) -> None:
        """Give the connection back, or close it when the reply has not been read to its end."""
        self._deadline.close()
        if self._response is not None:
            await self._response.aclose()

    async def _refusal(self) -> bytes:
        """The beginning of an error's body, or as much of it as comes."""
        import httpx2

        body = b""
        with suppress(httpx2.RequestError, TimedOut):
            while len(body) < KEPT_BYTES and (data := await self._deadline.wait(anext(self._chunks, b""))):
                body += data
        return body
