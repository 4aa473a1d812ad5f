"""Bytes off the network -> the payloads they carry, cut anywhere."""

_SPACE = b" \t\r\n"


class Lines:
    """Server-sent events, or one JSON object in their place; which of them, the first byte tells.

    Comments and other fields are skipped. ``foreign`` is True once the body has ended without any payload, or
    when it was neither events nor JSON.
    """

    def __init__(self) -> None:
        self._kind = ""
        self._rest: list[bytes] = []  # an unfinished line, or all of a JSON body
        self._event: list[bytes] = []  # the data lines of an unfinished event
        self._any = False
        self.foreign = False

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads that these bytes complete."""
        if not self._kind:
            data = b"".join((*self._rest, data)).lstrip(_SPACE)
            self._rest = []
            if not data:
                return []
            self._kind = "json" if data[:1] in b"{[" else "other" if data[:1] == b"<" else "events"
        if self._kind != "events":
            self._rest.append(data)
            return []
        return self._events(data)

    def end(self) -> list[bytes]:
        """The payloads still open when the body ended."""
        if self._kind == "json":
            return [b"".join(self._rest)]
        payloads = self._events(b"\n\n") if self._kind == "events" else []
        self.foreign = not self._any
        return payloads

    def _events(self, data: bytes) -> list[bytes]:
        if b"\n" not in data:
            self._rest.append(data)
            return []
        lines = b"".join((*self._rest, data)).split(b"\n")
        self._rest = [lines.pop()]
        payloads: list[bytes] = []
        for line in lines:
            if line.startswith(b"data:"):
                self._event.append(line[5:].strip(_SPACE))
            elif self._event and line in (b"", b"\r"):
                payloads.append(b"\n".join(self._event))
                self._event = []
        self._any = self._any or bool(payloads)
        return payloads
