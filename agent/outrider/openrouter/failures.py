"""Everything that can go wrong with a request, and whether trying again can help.

What decides on a retry, in this order: what the server says of its availability, its word for the error, the
HTTP status. A 200 is no promise: errors also come inside replies, and some replies are none.
"""

import random
import ssl
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct

from outrider.messages import AssistantMessage
from outrider.openrouter.cost import object_of
from outrider.openrouter.deadline import TimedOut
from outrider.openrouter.mend import only_thoughts
from outrider.openrouter.merge import BadReply, Merger

PATIENCE = 120.0
"""A server that asks us to wait longer than this many seconds is not waited for."""

PLAIN = "answer_in_reasoning"
"""The reason of a reply whose answer stands in its thinking: asked again without."""

_PASSING = frozenset(
    ("rate_limit_exceeded", "provider_overloaded", "provider_unavailable", "timeout", "server", "unmapped")
)
_LASTING = frozenset(
    (
        "context_length_exceeded",
        "max_tokens_exceeded",
        "token_limit_exceeded",
        "string_too_long",
        "invalid_request",
        "invalid_prompt",
        "content_policy_violation",
        "refusal",
        "invalid_image",
        "image_too_large",
        "image_too_small",
        "unsupported_image_format",
        "image_download_failed",
        "authentication",
        "payment_required",
        "permission_denied",
        "not_found",
        "image_not_found",
        "precondition_failed",
        "payload_too_large",
        "unprocessable",
    )
)
_WORDS = {
    400: "invalid_request",
    401: "authentication",
    402: "payment_required",
    403: "permission_denied",
    404: "not_found",
    408: "timeout",
    413: "payload_too_large",
    422: "unprocessable",
    429: "rate_limit_exceeded",
    500: "server",
    502: "provider_unavailable",
    503: "provider_overloaded",
    504: "timeout",
    524: "timeout",
    529: "provider_overloaded",
}


class Failure(Struct, frozen=True):
    """One failed attempt: what happened, whether to try again, and after how many seconds (None: ours)."""

    reason: str
    message: str
    retry: bool
    status: int = 0
    wait: float | None = None
    provider: str = ""
    raw: str = ""
    billed: Literal["no", "unknown"] = "unknown"


class Broken(Exception):
    """The attempt came to nothing."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def delay(failures: int) -> float:
    """Seconds to the next attempt after so many failures in a row: 0.5 doubling up to 8, less 0-25 %."""
    return min(8.0, 0.5 * 2 ** min(failures, 10)) * (1 - random.random() / 4)


def from_status(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """The failure an HTTP status other than success means. Refusals before any work are not billed."""
    try:
        error = object_of(msgspec.json.decode(body)).get("error")
    except (msgspec.DecodeError, UnicodeDecodeError):
        error = None
    failure = from_error(error or f"The server answered with HTTP status {status}.", status)
    wait = _retry_after(headers)
    changes: dict[str, Any] = {"billed": "no", "raw": body.decode("utf-8", "replace")}
    if wait is not None:
        changes["wait"] = wait
    if status < 400:
        changes |= {"reason": "redirect", "retry": False}
        changes["message"] = f"The server sent us on to {headers.get('location', 'another place')}."
    return msgspec.structs.replace(failure, **changes)


def from_error(error: Any, status: int = 0) -> Failure:
    """The failure an ``error`` object means, wherever it was found."""
    known = object_of(error)
    metadata, availability = object_of(known.get("metadata")), object_of(known.get("availability"))
    code = status or _number(known.get("code")) or _number(known.get("http_status")) or 0
    kind = metadata.get("error_type") or known.get("error_type")
    kind = kind if isinstance(kind, str) else ""
    return Failure(
        reason=kind or _WORDS.get(code) or (f"http_{code}" if code else "provider_error"),
        message=_message(error, known, metadata),
        retry=_retryable(availability, kind, code),
        status=code,
        wait=_seconds(availability.get("retry_after")),
        provider=str(metadata.get("provider_name") or ""),
    )


def from_exception(error: Exception) -> Failure:
    """The failure of the connection, of the clock, or of bytes that make no reply."""
    import httpx2

    if isinstance(error, BadReply):
        return Failure(error.reason, str(error), retry=True)
    if isinstance(error, TimedOut):
        return Failure("timeout", f"The request timed out: {error}.", retry=True)
    unsent = isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.ProxyError)
    billed: Literal["no", "unknown"] = "no" if unsent else "unknown"
    text = (str(error) or type(error).__name__).removesuffix(".")
    if untrusted := _about_certificates(error):
        message = f"The server's certificate is not trusted: {untrusted}."
        return Failure("certificate", message, retry=False, billed=billed)
    if isinstance(error, httpx2.ProxyError):
        return Failure("proxy", f"There is no way through the proxy: {text}.", retry=True, billed=billed)
    what = "There is no connection to the server" if unsent else "The connection broke"
    return Failure("connection", f"{what}: {text}.", retry=True, billed=billed)


def judge(merger: Merger, message: AssistantMessage | None = None) -> Failure | None:
    """What is wrong with a body that came to its end, if anything; ``message`` is its reply once it was mended."""
    if merger.error:
        return from_error(merger.error)
    if merger.finish == "error":
        return Failure("provider_error", "The provider broke off the reply with an error.", retry=True)
    if not merger.finish:
        if not (merger.text or merger.has_calls or merger.reasoned):
            return Failure("empty_reply", "The reply is empty: neither text nor tool calls.", retry=True)
        return Failure("truncated_stream", "The reply broke off before its end.", retry=True)
    if merger.finish in ("length", "content_filter") or merger.refusal:
        return None  # outcomes of their own, told by ``finish``
    message = message or merger.message()
    if only_thoughts(message, merger.finish):
        text = "The reply is only thinking: its answer is missing, or stands in there."
        return Failure(PLAIN, text, retry=True, wait=0.0)  # nobody is busy
    if not ((message.content or "").strip() or message.tool_calls):
        thought = " though the model thought" if merger.reasoned else ""
        return Failure("empty_reply", f"The reply is empty: neither text nor tool calls{thought}.", retry=True)
    return None


def _retryable(availability: dict[str, Any], kind: str, code: int) -> bool:
    if isinstance(told := availability.get("retryable"), bool):
        return told
    if kind in _PASSING:
        return True
    if kind in _LASTING:
        return False
    return not code or code in (408, 429) or code >= 500


def _message(error: Any, known: dict[str, Any], metadata: dict[str, Any]) -> str:
    """The server's sentence, and the provider's own when OpenRouter only passes it on."""
    if isinstance(error, str):
        return error
    text = known.get("message")
    sentence = text.strip() if isinstance(text, str) and text.strip() else "The server reported an error."
    raw = metadata.get("raw")
    if raw and not isinstance(raw, str):
        raw = msgspec.json.encode(raw).decode()
    if raw:
        sentence = f"{sentence} ({metadata.get('provider_name') or 'provider'}: {raw[:500]})"
    return sentence if sentence.endswith((".", ")", "!", "?")) else f"{sentence}."


def _retry_after(headers: Mapping[str, str]) -> float | None:
    if (milliseconds := _seconds(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    value = headers.get("retry-after", "")
    if (seconds := _seconds(value)) is not None:
        return seconds
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    from datetime import UTC, datetime

    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _seconds(value: Any) -> float | None:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _number(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _about_certificates(error: BaseException | None) -> str:
    """What is wrong with the server's certificate, if that is the cause."""
    found = ""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):  # aiohttp wraps it in one without its message
            found = getattr(error, "verify_message", "") or found or str(error)
        error = error.__cause__ or error.__context__
    return found
