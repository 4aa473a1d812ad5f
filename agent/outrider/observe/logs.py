"""Every entry of a run as a structured log line, through structlog."""

from collections.abc import Callable
from typing import Any, cast

import msgspec

from outrider import events as e
from outrider.parts import short

_WARNINGS = (
    e.RequestFailed,
    e.ToolInDoubt,
    e.CommandRefused,
    e.OutputRejected,
    e.LimitReached,
    e.ReaderFailed,
    e.JournalWaited,
)


def log_events(logger: Any = None) -> Callable[[e.Entry], None]:
    """An observer that logs each entry: the event's kind as the message, its fields and number as values.

    ``logger`` is any structlog logger, by default ``structlog.get_logger("outrider")``; it is configured by
    your program, never here. What went wrong is logged as a warning, the run's error as an error.

        Agent(observers=[log_events()])
    """
    if logger is None:
        import structlog

        logger = structlog.get_logger("outrider")

    def observe(entry: e.Entry) -> None:
        event = entry.event
        fields: dict[str, Any] = msgspec.json.decode(e.encode(event))
        kind = fields.pop("kind")
        if isinstance(event, e.RunStarted):
            fields["messages"] = [_without_data(message) for message in fields["messages"]]
        fields["run"] = entry.run
        _level(logger, event)(kind, seq=entry.seq, at=entry.at, **fields)

    return observe


def _without_data(message: dict[str, Any]) -> dict[str, Any]:
    """The message with its images and files in short: their data is for the record."""
    content = message.get("content")
    return message | {"content": short(cast("list[Any]", content))} if isinstance(content, list) else message


def _level(logger: Any, event: e.Durable) -> Callable[..., None]:
    if isinstance(event, e.RunFinished) and event.outcome == "error":
        return logger.error
    return logger.warning if isinstance(event, _WARNINGS) else logger.info
