"""What goes wrong between an agent and OpenRouter, each as a reply for FakeOpenRouter.

    FakeOpenRouter([faults.error_mid_stream(), "Hello."])

All of them, by name, in four groups, so that one test can go through a group:

PASSING   nothing usable comes, and asking again helps       PASSING["cut_off"]()
LASTING   the request is refused, and asking again does not  LASTING["status_402"]()
ODD       the answer is there, in an unusual form            ODD["no_done"]("Hello.")
CALLS     a tool call is there, in an unusual form           CALLS["call_hermes"]("add", {"a": 1})

``stalled`` and ``comments_only`` are in no group: they take the client's ``idle_seconds``. ``status``,
``error_type`` and ``availability`` make any refusal of which the tables STATUSES, ERROR_TYPES and AVAILABILITY know.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from outrider.testing.faults.broken import (
    answer_in_reasoning,
    comments_only,
    cut_off,
    dropped,
    dropped_unanswered,
    empty_body,
    empty_completion,
    error_in_200,
    error_in_choice,
    error_in_chunk,
    error_mid_stream,
    finish_error,
    html_200,
    malformed_chunk,
    silent,
    stalled,
    truncated_json,
)
from outrider.testing.faults.calls import (
    call_almost_named,
    call_encoded_twice,
    call_finished_as_stop,
    call_hermes,
    call_in_one_chunk,
    call_repeats_itself,
    call_then_blanks,
    call_with_object,
    call_without_id,
    call_without_index,
    call_xml,
    calls_with_one_id,
)
from outrider.testing.faults.odd import (
    choices_null,
    comments_between,
    json_instead_of_stream,
    leading_empty_choices,
    no_done,
    padded_json,
    reasoning_twice,
    stream_instead_of_json,
    think_empty,
    think_in_content,
    unknown_fields,
    usage_with_choice,
)
from outrider.testing.faults.refused import (
    AVAILABILITY,
    ERROR_TYPES,
    STATUSES,
    availability,
    error_type,
    guarded,
    html_error,
    moderated,
    provider_error,
    status,
)
from outrider.testing.reply import FakeReply, chunk

__all__ = [
    "AVAILABILITY",
    "CALLS",
    "ERROR_TYPES",
    "LASTING",
    "ODD",
    "PASSING",
    "STATUSES",
    "answer_in_reasoning",
    "availability",
    "call_almost_named",
    "call_encoded_twice",
    "call_finished_as_stop",
    "call_hermes",
    "call_in_one_chunk",
    "call_repeats_itself",
    "call_then_blanks",
    "call_with_object",
    "call_without_id",
    "call_without_index",
    "call_xml",
    "calls_with_one_id",
    "choices_null",
    "chunk",
    "comments_between",
    "comments_only",
    "cut_off",
    "dropped",
    "dropped_unanswered",
    "empty_body",
    "empty_completion",
    "error_in_200",
    "error_in_choice",
    "error_in_chunk",
    "error_mid_stream",
    "error_type",
    "finish_error",
    "guarded",
    "html_200",
    "html_error",
    "json_instead_of_stream",
    "leading_empty_choices",
    "malformed_chunk",
    "moderated",
    "no_done",
    "padded_json",
    "provider_error",
    "reasoning_twice",
    "silent",
    "stalled",
    "status",
    "stream_instead_of_json",
    "think_empty",
    "think_in_content",
    "truncated_json",
    "unknown_fields",
    "usage_with_choice",
]

_AGAIN = (408, 429, 500, 502, 503, 504, 524, 529)

PASSING: dict[str, Callable[[], FakeReply]] = {
    **{f"status_{code}": partial(status, code) for code in _AGAIN},
    **{f"type_{kind}": partial(error_type, kind) for kind, code in ERROR_TYPES.items() if code in _AGAIN},
    **{code: partial(availability, code) for code, http in AVAILABILITY.items() if http in _AGAIN},
    "provider_error": provider_error,
    "html_error": html_error,
    "html_200": html_200,
    "error_in_200": error_in_200,
    "error_in_choice": error_in_choice,
    "error_mid_stream": error_mid_stream,
    "error_in_chunk": error_in_chunk,
    "finish_error": finish_error,
    "empty_completion": empty_completion,
    "answer_in_reasoning": answer_in_reasoning,
    "cut_off": cut_off,
    "dropped": dropped,
    "dropped_unanswered": dropped_unanswered,
    "malformed_chunk": malformed_chunk,
    "truncated_json": truncated_json,
    "empty_body": empty_body,
}

LASTING: dict[str, Callable[[], FakeReply]] = {
    **{f"status_{code}": partial(status, code) for code in STATUSES if code not in _AGAIN},
    **{f"type_{kind}": partial(error_type, kind) for kind, code in ERROR_TYPES.items() if code not in _AGAIN},
    **{code: partial(availability, code) for code, http in AVAILABILITY.items() if http not in _AGAIN},
    "moderated": moderated,
    "guarded": guarded,
}

ODD: dict[str, Callable[[str], FakeReply]] = {
    make.__name__: make
    for make in (
        json_instead_of_stream, stream_instead_of_json, padded_json, no_done, usage_with_choice,
        leading_empty_choices, choices_null, comments_between, unknown_fields, reasoning_twice, think_in_content,
        think_empty,
    )
}  # fmt: skip

CALLS: dict[str, Callable[[str, dict[str, Any]], FakeReply]] = {
    make.__name__: make
    for make in (
        call_in_one_chunk, call_without_index, call_without_id, call_repeats_itself, call_then_blanks,
        call_with_object, call_encoded_twice, call_finished_as_stop, call_hermes, call_xml, call_almost_named,
    )
}  # fmt: skip
