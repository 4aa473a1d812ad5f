"""What the small model is given to go on with, and what is made of its text."""

import json

import msgspec
from msgspec import Raw, Struct

from outrider.local.asked import Asked, Offered, Schema
from outrider.local.constrain import narrow, source, written_numbers
from outrider.local.shots import for_choice, for_fields, for_sentence
from outrider.messages import AssistantMessage, WireCall, WireFunction
from outrider_prompts import say

MAX_TOKENS = 256
ONE_LINE = r'root ::= " "? [^ \n] [^\n]* "\n"'


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
        }
        if self.schema is None:
            body |= {"grammar": self.grammar, "stop": ["\n"]}
        else:
            form = {"name": "form", "schema": self.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        return Raw(msgspec.json.encode(body))


def wants_call(asked: Asked) -> bool:
    """Whether a tool comes next: always when tools are offered and none has answered for this task."""
    return bool(asked.tools) and not asked.done


def choice(asked: Asked) -> Step:
    """Which of several tools to call."""
    shots = for_choice(asked.tools, 2 if len(asked.tools) < 4 else 1)
    names = [tool.name for tool in asked.tools]
    return Step(say("local_choice", shots=shots, task=asked.task), {"enum": names})


def arguments(asked: Asked, tool: Offered) -> Step:
    """With which arguments to call it."""
    prompt = say("local_call", shots=for_fields(tool.parameters, 3), name=tool.name, task=asked.task)
    return Step(prompt, narrow(tool.parameters, source(asked)))


def answer(asked: Asked) -> Step:
    """The answer: fields when a schema is asked for, else a sentence."""
    results = [done.result for done in asked.done]
    if asked.schema is not None:
        few = len(asked.schema.get("properties", {})) > 1  # one field makes short examples
        shots = for_fields(asked.schema, 3 if few else 6)
        prompt = say("local_fields", shots=shots, task=asked.task, results=results)
        return Step(prompt, narrow(asked.schema, source(asked)))
    if results:
        prompt = say("local_sentence", shots=for_sentence(results, 3), task=asked.task, results=results)
        return Step(prompt, grammar=_sentence(results))
    return Step(say("local_plain", task=asked.task))


def _sentence(results: list[str]) -> str:
    """The grammar of a line whose numbers are those of the results."""
    known = dict.fromkeys(number for result in results for number in written_numbers(result))
    if not known:
        return ONE_LINE
    number = " | ".join(f'"{text}"' for text in known)
    return f'root ::= " "? [^ 0-9\\n] text* (number text+)* "\\n"\ntext ::= [^0-9\\n]\nnumber ::= {number}'


def chosen(asked: Asked, text: str) -> Offered:
    """The tool the model named."""
    name = json.loads(text)
    return next(tool for tool in asked.tools if tool.name == name)


def call_message(asked: Asked, tool: Offered, arguments: str) -> AssistantMessage:
    """The model's JSON as the tool call it stands for."""
    call = WireCall(f"call_{asked.calls + 1}", WireFunction(tool.name, arguments.strip()))
    return AssistantMessage(tool_calls=(call,))
