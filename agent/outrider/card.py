"""A run as a small block of HTML, for notebooks: no script, no style sheet, readable on light and on dark."""

from collections.abc import Iterator

import msgspec
from msgspec import UNSET, Raw

from outrider.messages import AssistantMessage, SystemMessage, ToolMessage, UserMessage, from_wire, thoughts
from outrider.parts import short
from outrider.state import State
from outrider.telling import clean, figures, pretty

MOST = 10_000
"""Characters shown of the answer; of a message a fifth of that."""
MOST_MESSAGES = 100
"""Messages shown of a conversation: the first and the last of them."""

_BOX = (
    "margin:4px 0;border:1px solid rgba(128,128,128,.4);border-radius:6px;padding:8px 12px;max-width:60em;"
    "font-size:13px"
)
_TEXT = (
    "white-space:pre-wrap;overflow-wrap:anywhere;max-height:24em;overflow:auto;margin:4px 0;padding:6px 8px;"
    "background:rgba(128,128,128,.12);border-radius:4px;color:inherit;font:12px/1.4 ui-monospace,monospace"
)
_COLOURS = {
    "finished": "#2e9e5b",
    "under way": "#3b82c4",
    **dict.fromkeys(("paused", "interrupted", "limit"), "#b7791f"),
}
_BAD = "#d64545"


def card(state: State, outcome: str, detail: str = "", hint: str = "") -> str:
    """How a run went or goes: outcome, answer, figures, ``detail`` on why and ``hint`` on what to do, conversation."""
    colour = _COLOURS.get(outcome, _BAD)
    parts = [
        f'<div><b style="color:{colour}">{outcome}</b> · {_safe(state.run)} · {_safe(state.model)}</div>',
        _block(pretty(state.accepted), MOST) if state.accepted else "",
        f"<div>{_safe(detail)}</div>" if detail else "",
        f'<div style="opacity:.8">{_safe(hint)}</div>' if hint else "",
        f'<div style="opacity:.7">{_safe(figures(state, live=outcome == "under way"))}</div>',
        _conversation(state.messages),
    ]
    return f'<div style="{_BOX}">{"".join(parts)}</div>'


def _conversation(messages: list[Raw]) -> str:
    left_out = max(0, len(messages) - MOST_MESSAGES)
    half = MOST_MESSAGES // 2
    shown = [*messages[:half], *messages[half + left_out :]]
    told = [_message(wire) for wire in shown]
    if left_out:
        told.insert(half, f"<div>… {left_out} more messages</div>")
    heading = f"{len(messages)} message{'' if len(messages) == 1 else 's'}"
    return f'<details style="margin-top:4px"><summary>{heading}</summary>{"".join(told)}</details>'


def _message(wire: Raw) -> str:
    try:
        parts = "".join(f"<div>{label}</div>{_block(text, MOST // 5)}" for label, text in _said(wire))
    except (msgspec.DecodeError, UnicodeError, RecursionError):  # a damaged record
        parts = _block(bytes(wire).decode("utf-8", "replace"), MOST // 5)
    return f'<div style="margin:6px 0 0 12px">{parts}</div>'


def _said(wire: Raw) -> Iterator[tuple[str, str]]:
    """What a message says, each part with its label in HTML."""
    match from_wire(wire):
        case SystemMessage(content=text):
            yield "instructions", text
        case UserMessage(content=text):
            yield "user", short(text)
        case ToolMessage(content=text):
            yield "result", text
        case AssistantMessage() as message:
            if thought := thoughts(message):
                yield "thought", thought
            if message.content:
                yield "model", message.content
            for call in message.tool_calls or () if message.tool_calls is not UNSET else ():
                yield f"calls <b>{_safe(call.function.name)}</b>", call.function.arguments or "{}"


def _block(text: str, most: int) -> str:
    left = len(text) - most
    return f'<pre style="{_TEXT}">{_safe(text[:most])}{f"… {left} more characters" if left > 0 else ""}</pre>'


def _safe(text: str) -> str:
    from html import escape

    return escape(clean(text))
