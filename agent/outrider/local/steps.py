"""What the small model is given to go on with, and what is made of its answer."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from outrider.local.asked import Asked, Offered, Schema
from outrider.local.constrain import closed, has_all, is_judged, narrow, source
from outrider.local.scoring import Frame, Scorer
from outrider.local.shots import Told, feelings, for_choice, for_fields, for_label, for_sentence
from outrider.local.texts import written_numbers
from outrider.messages import AssistantMessage, WireCall, WireFunction
from outrider_prompts import say

MAX_TOKENS = 256
ONE_LINE = r'root ::= " "? [^ \n] [^\n]{0,200} "\n"'
NO_NUMBERS = r'root ::= " "? [^ 0-9\n] [^0-9\n]{0,200} "\n"'
_TASK = "\x00"


class Step(Struct, frozen=True):
    """A prompt and the form of what follows: JSON of a schema, or else text of a grammar."""

    prompt: str
    schema: Schema | None = None
    grammar: str = ONE_LINE

    def settings(self) -> Raw:
        """The body's fields for this step, its messages aside."""
        body: dict[str, object] = {
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 0,
            "max_tokens": MAX_TOKENS,
            # a cached beginning rounds differently: the same request would not always get the same reply
            "cache_prompt": False,
            "id_slot": 0,
        }
        if self.schema is None:
            body |= {"grammar": self.grammar, "stop": ["\n"]}
        else:
            form = {"name": "form", "schema": self.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        return Raw(msgspec.json.encode(body))


class Blank(Struct, frozen=True):
    """A field and all it can be. ``frames`` are there when it is judged by the whole text and not copied from it."""

    name: str
    choices: tuple[Any, ...]
    frames: tuple[Frame, ...] = ()
    words: tuple[str, ...] = ()


class Form(Struct, frozen=True):
    """An object whose fields can only be certain things. ``told`` is the text by which labels are judged."""

    frame: Frame
    task: str
    blanks: tuple[Blank, ...]
    told: str

    def fill(self, scorer: Scorer) -> str:
        """The object as JSON, field by field; the model is not asked where nothing is left to choose."""
        written = " {"
        for index, blank in enumerate(self.blanks):
            written += f"{' ' if index else ''}{_json(blank.name)}:"
            end = "}" if blank is self.blanks[-1] else ","
            choices = [f" {_json(choice)}{end}" for choice in blank.choices]
            if len(choices) == 1:
                written += choices[0]
            elif blank.frames:
                written += choices[scorer.judge(blank.frames, self.told, blank.words)]
            else:
                written += scorer.likeliest(self.frame, self.task, written, choices)
        return written.strip()


def wants_call(asked: Asked) -> bool:
    """Whether a tool comes next: always when tools are offered and none has answered for this task."""
    return bool(asked.tools) and not asked.done


def choose(asked: Asked, scorer: Scorer) -> Offered:
    """The tool to call, of those for whose arguments the task has something."""
    given = source(asked)
    able = [tool for tool in asked.tools if has_all(tool.parameters, given)] or list(asked.tools)
    if len(able) == 1:
        return able[0]
    shots = for_choice(asked.tools, 5 if len(asked.tools) < 3 else 2)
    frame = _frame("local_choice", shots=shots)
    return able[scorer.judge([frame], asked.task, [f' "{tool.name}"\n' for tool in able])]


def arguments(asked: Asked, tool: Offered) -> Step | Form:
    """With which arguments to call a tool."""
    slots = {"shots": for_fields(tool.parameters, 8), "name": tool.name}
    return _form_or_step("local_call", slots, tool.parameters, asked)


def answer(asked: Asked) -> Step | Form:
    """The answer: fields when a schema is asked for, else a sentence."""
    results = [done.result for done in asked.done]
    if asked.schema is not None:
        few = len(asked.schema.get("properties", {})) > 1  # one field makes short examples
        slots = {"shots": for_fields(asked.schema, 4 if few else 6), "results": results}
        return _form_or_step("local_fields", slots, asked.schema, asked)
    if results:
        prompt = say("local_sentence", shots=for_sentence(results, 3), task=asked.task, results=results)
        return Step(prompt, grammar=_sentence(results))
    return Step(say("local_plain", task=asked.task))


def call_message(asked: Asked, tool: Offered, arguments: str) -> AssistantMessage:
    """The model's JSON as the tool call it stands for."""
    call = WireCall(f"call_{asked.calls + 1}", WireFunction(tool.name, arguments.strip()))
    return AssistantMessage(tool_calls=(call,))


def _form_or_step(prompt: str, slots: dict[str, Any], schema: Schema, asked: Asked) -> Step | Form:
    narrowed = narrow(schema, source(asked))
    fields: dict[str, Schema] = schema.get("properties", {})
    choices = {name: closed(narrowed["properties"][name]) for name in fields}
    if not fields or not all(choices.values()):
        return Step(say(prompt, task=asked.task, **slots), narrowed)
    blanks = [_blank(name, choices[name], is_judged(fields[name], choices[name])) for name in fields]
    told = " ".join(" ".join(done.result for done in asked.done).split())  # a task such as "read x.txt" has no mood
    return Form(_frame(prompt, **slots), asked.task, tuple(blanks), told or asked.task)


def _blank(name: str, choices: Sequence[Any], judged: bool) -> Blank:
    if not judged:
        return Blank(name, tuple(choices))
    plain = feelings(choices)
    words = plain or [{True: "yes", False: "no"}.get(choice, choice) for choice in choices]
    sets: list[list[Told]] = for_label(choices) if plain else [[]]
    frames = [_frame("local_label", name="Feeling" if plain else name, shots=shots) for shots in sets]
    return Blank(name, tuple(choices), tuple(frames), tuple(f" {word}\n" for word in words))


def _frame(prompt: str, **slots: Any) -> Frame:
    """The prompt, cut at the task."""
    before, _, after = say(prompt, task=_TASK, **slots).partition(_TASK)
    return Frame(before.rstrip(" "), after)


def _sentence(results: list[str]) -> str:
    """The grammar of a line whose numbers are those of the results."""
    known = dict.fromkeys(number for result in results for number in written_numbers(result))
    if not known:  # then none is made up either
        return NO_NUMBERS
    number = " | ".join(f'"{text}"' for text in known)
    line = r'" "? [^ 0-9\n] text{0,160} (number text{1,160}){0,3} "\n"'
    return f"root ::= {line}\ntext ::= [^0-9\\n]\nnumber ::= {number}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
