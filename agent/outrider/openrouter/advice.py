"""What a person can do about a request that has failed for good."""

from outrider.openrouter.failures import Failure
from outrider.openrouter.settings import BASE_URL, is_openrouter

_SHORTER = "Shorten the task or what the tools return, or choose a model with a longer context."
_OTHER_WORDS = "Say it in other words, or choose another model."
_SEE = "See what was sent: outrider show RUN --request N"
_LATER = "Try again later, or with another model."
_TOOLS = "Choose a model that takes tools (openrouter.ai/models?supported_parameters=tools), or give it none."
_MODEL = "Write vendor/name as openrouter.ai/models has it, for example qwen/qwen3-14b."
_PAGE = f"Check base_url (the variable OUTRIDER_BASE_URL): OpenRouter's is {BASE_URL}"
_ADVICE = {
    "authentication": "Make or renew a key at openrouter.ai/keys and put it into OPENROUTER_API_KEY.",
    "payment_required": "Add credit at openrouter.ai/credits, or raise the limit of this key at openrouter.ai/keys.",
    "permission_denied": "See what limits and guardrails the key has at openrouter.ai/keys, or choose another model.",
    "not_found": "Check the model's name at openrouter.ai/models; if it is right, loosen what the request insists on "
    "(settings.provider, a strict output type, the price or privacy limits).",
    "payload_too_large": _SHORTER,
    "context_length_exceeded": _SHORTER,
    "token_limit_exceeded": _SHORTER,
    "string_too_long": _SHORTER,
    "max_tokens_exceeded": "Lower settings.max_tokens, or choose another model.",
    "invalid_request": _SEE,
    "unprocessable": _SEE,
    "content_policy_violation": _OTHER_WORDS,
    "invalid_prompt": _OTHER_WORDS,
    "refusal": _OTHER_WORDS,
    "rate_limit_exceeded": "Wait a while, or take another model; free ones take few requests a day.",
    "timeout": "Try again; if it happens again, take another model or allow more seconds in Settings.",
    "redirect": f"Set base_url to where the server is now; OpenRouter's is {BASE_URL}",
    "connection": "Check the network, and the proxy if there is one; --model local needs neither.",
    "proxy": "Mend the proxy's address in HTTPS_PROXY, or unset it where none is needed.",
    "certificate": "Check the clock here; if a company's proxy signs, name its certificates in SSL_CERT_FILE.",
}


def advice(failure: Failure, raw: str, key: str, base_url: str) -> str:
    """What to do, in a sentence. ``raw`` is the beginning of what the server sent; the key is not repeated."""
    if _is_page(failure, raw):
        return _PAGE
    if "support tool use" in failure.message:
        return _TOOLS
    if "valid model ID" in failure.message or '"model_not_found"' in raw:
        return _MODEL
    if failure.reason == "authentication" and is_openrouter(base_url) and not key.startswith("sk-or-"):
        return f"OpenRouter's keys begin with sk-or-, this one does not. {_ADVICE['authentication']}"
    return _ADVICE.get(failure.reason, _LATER)


def _is_page(failure: Failure, raw: str) -> bool:
    """Whether something else than OpenRouter's API has answered."""
    body = raw.lstrip()
    return (400 <= failure.status < 500 and not body.startswith("{")) or (
        failure.reason == "malformed_reply" and body.startswith("<")
    )
