"""Requests that are refused with an HTTP error, before any work."""

from typing import Any

from outrider.testing.reply import FakeReply

STATUSES = {
    400: "Bad request",
    401: "No auth credentials found",
    402: "Insufficient credits",
    403: "Forbidden",
    404: "No endpoints found",
    408: "Request timed out",
    409: "Conflict",
    410: "Gone",
    412: "Precondition failed",
    413: "Payload too large",
    422: "Unprocessable entity",
    429: "Rate limit exceeded",
    499: "Client closed request",
    500: "Internal server error",
    502: "Provider returned error",
    503: "Provider overloaded",
    504: "Provider timed out",
    524: "A timeout occurred",
    529: "Provider overloaded",
}
"""HTTP status -> message."""

ERROR_TYPES = {
    "context_length_exceeded": 400,
    "max_tokens_exceeded": 400,
    "token_limit_exceeded": 400,
    "string_too_long": 400,
    "invalid_request": 400,
    "invalid_prompt": 400,
    "content_policy_violation": 400,
    "refusal": 400,
    "invalid_image": 400,
    "image_too_large": 400,
    "image_too_small": 400,
    "unsupported_image_format": 400,
    "image_download_failed": 400,
    "authentication": 401,
    "payment_required": 402,
    "permission_denied": 403,
    "not_found": 404,
    "image_not_found": 404,
    "precondition_failed": 412,
    "payload_too_large": 413,
    "unprocessable": 422,
    "rate_limit_exceeded": 429,
    "server": 500,
    "unmapped": 500,
    "provider_unavailable": 502,
    "provider_overloaded": 503,
    "timeout": 504,
}
"""OpenRouter's word for an error -> HTTP status."""

AVAILABILITY = {
    "model_not_found": 400,
    "wrong_endpoint": 400,
    "region_restricted": 403,
    "no_endpoints": 404,
    "model_deprecated": 404,
    "model_unavailable_upstream": 404,
    "privacy_restricted": 404,
    "constraint_filtered": 404,
    "free_variant_ended": 404,
    "capacity_exhausted": 429,
    "temporarily_unavailable": 503,
}
"""Why no provider can serve the model -> HTTP status. The last two pass."""

PAGE = b"<!DOCTYPE html><html><title>Bad gateway</title></html>"
"""What a gateway says for itself."""


def status(code: int, message: str = "", *, retry_after: float | None = None, **error: Any) -> FakeReply:
    """An HTTP error before any work; ``error`` are further fields of its ``error`` object."""
    headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
    told = {"code": code, "message": message or STATUSES.get(code, "Error")} | error
    return FakeReply(status=code, error=told, headers=headers)


def error_type(kind: str, **metadata: Any) -> FakeReply:
    """An HTTP error that says in OpenRouter's own word what it is: one of ERROR_TYPES."""
    return status(ERROR_TYPES[kind], metadata={"error_type": kind, **metadata})


def availability(code: str, **more: Any) -> FakeReply:
    """An HTTP error that says why no provider can serve the model: one of AVAILABILITY. It has no ``code``."""
    http, kind = AVAILABILITY[code], "not_found" if AVAILABILITY[code] == 404 else code
    told = {"code": code, "retryable": http in (429, 503), "requested_models": ["qwen/qwen3-14b"], **more}
    error = {"message": f"The model is not available: {code}", "http_status": http, "error_type": kind}
    return FakeReply(status=http, error=error | {"availability": told})


def moderated() -> FakeReply:
    """A 403 because the input was flagged."""
    flagged = {"reasons": ["violence"], "flagged_input": "a flagged text", "provider_name": "Fake"}
    return status(403, "Your input was flagged", metadata=flagged | {"model_slug": "qwen/qwen3-14b"})


def guarded() -> FakeReply:
    """A 403 because a guardrail of the account forbids it."""
    return status(403, "Blocked by a guardrail", metadata={"patterns": ["secret"]})


def provider_error(raw: Any = "no slots available", code: int = 502) -> FakeReply:
    """A provider's own error passed on, in the older shape: ``raw`` is a text, a JSON text or an object."""
    return status(code, metadata={"provider_name": "Fake", "raw": raw})


def html_error(code: int = 502) -> FakeReply:
    """An HTTP error with a web page in the place of JSON."""
    return FakeReply(status=code, body=PAGE, headers={"Content-Type": "text/html"})


def error_object(code: int) -> dict[str, Any]:
    """An ``error`` object of today's form."""
    kind = next(kind for kind, http in ERROR_TYPES.items() if http == code)
    return {"code": code, "message": STATUSES[code], "metadata": {"error_type": kind}}
