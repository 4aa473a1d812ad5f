"""Replies as small models and their providers get them wrong, and what each has to become."""

from typing import Any

from msgspec import Struct

TOOLS: dict[str, dict[str, Any]] = {
    "get_weather": {"city": {"type": "string"}, "days": {"type": "integer"}, "metric": {"type": "boolean"}},
    "search": {"query": {"type": "string"}, "filters": {"type": "object"}, "tags": {"type": ["array", "null"]}},
    "now": {},
    "run_sql": {"sql": {"type": "string"}, "args": {}},
}
"""The tools on offer."""

Call = tuple[str, str]


class Case(Struct, frozen=True, kw_only=True):
    """A reply; and what it becomes, where that is something else. ``calls`` are names and argument texts."""

    name: str
    content: str | None = None
    reasoning: str = ""
    calls: tuple[Call, ...] = ()
    finish: str = "stop"
    plain: bool = False
    to_content: str | None = None
    to_reasoning: str = ""
    to_calls: tuple[Call, ...] = ()
    told: str = ""
    """A word of the repair; "" means that nothing is changed."""


def kept(name: str, content: str | None = None, **fields: Any) -> Case:
    """A reply that stays as it is."""
    return Case(name=name, content=content, **fields)


def tagged(name: str, content: str, thought: str, rest: str, **fields: Any) -> Case:
    """A reply with its thinking in the text."""
    return Case(name=name, content=content, to_reasoning=thought, to_content=rest, told="between tags", **fields)


def written(name: str, content: str, *calls: Call, rest: str | None = None, **fields: Any) -> Case:
    """A reply with calls in its text."""
    return Case(name=name, content=content, to_calls=calls, to_content=rest, told="written as text", **fields)


def made(name: str, before: Call, after: Call, told: str, **fields: Any) -> Case:
    """A reply with a real call that is put right."""
    return Case(name=name, calls=(before,), to_calls=(after,), told=told, finish="tool_calls", **fields)


PARIS = '{"city": "Paris"}'
HERMES = f'<tool_call>\n{{"name": "get_weather", "arguments": {PARIS}}}\n</tool_call>'
XML = "<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n</function>"
WEATHER = ("get_weather", PARIS)
COMPACT = ("get_weather", '{"city":"Paris"}')

THINKING = [
    tagged("a block before the answer", "<think>\nThe user greets.\n</think>\n\nHello!", "The user greets.", "Hello!"),
    tagged("a block on one line", "<think>A greeting.</think>Hello!", "A greeting.", "Hello!"),
    tagged("space before it", "\n\n  <think>\nHm.\n</think>\n\nHi.", "Hm.", "Hi."),
    tagged("an empty block, as /no_think leaves it", "<think>\n\n</think>\n\nHello!", "", "Hello!"),
    tagged("two blocks", "<think>\nOne.\n</think>\n<think>\nTwo.\n</think>\nHi.", "One.\nTwo.", "Hi."),
    tagged("no opening tag", "The user greets.\n</think>\n\nHello!", "The user greets.", "Hello!"),
    tagged(
        "no opening tag, closed after a sentence", "The user greets.</think>\n\nHello!", "The user greets.", "Hello!"
    ),
    tagged("no opening tag, a thought in Chinese", "用户在问候。</think>\n\n你好!", "用户在问候。", "你好!"),
    tagged("only the closing tag is left", "\n</think>\n\nHello!", "", "Hello!"),
    tagged("the closing tag is left, the thought is not", "</think>\n\nHello!", "Hm.", "Hello!", reasoning="Hm."),
    tagged(
        "cut off within the thought", "<think>\nLet me see, first", "\nLet me see, first".strip(), "", finish="length"
    ),
    tagged("cut off within the answer", "<think>\nHm.\n</think>\n\nThe ans", "Hm.", "The ans", finish="length"),
    tagged("nothing but an open thought", "<think>\nThe answer is 42", "The answer is 42", ""),
    tagged("nothing after the thought", "<think>\nHm.\n</think>", "Hm.", ""),
    tagged("thought before a typed answer", '<think>\nJSON.\n</think>\n{"a": 1}', "JSON.", '{"a": 1}'),
    tagged("a block besides known thinking", "<think>\nTwo.\n</think>\nHi.", "One.\nTwo.", "Hi.", reasoning="One."),
    tagged("the answer speaks of the tag", "<think>\nHm.\n</think>\nUse `</think>`.", "Hm.", "Use `</think>`."),
    tagged("a thought that holds a fence", "<think>\n```\nx\n```\n</think>\nHi.", "```\nx\n```", "Hi."),
    kept("an answer about the tags", "The tags <think> and </think> hold the thought."),
    kept("an answer about the closing tag", "A thought ends with </think>\n\nThen comes the answer."),
    kept("the closing tag in a code block", "Like so:\n```\nHm.\n</think>\n```\nThat is all."),
    kept("the closing tag in quotes", "It is `\n</think>\n` that ends it."),
    kept("both tags in a code block", "```\n<think>\nHm.\n</think>\n```"),
    kept("a block in the middle", "Like this:\n<think>\nHm.\n</think>\nand so on"),
    kept("two closing tags", "One.\n</think>\nTwo.\n</think>\nThree."),
    kept("a typed answer that holds both", '{"text": "<think>Hm.</think> Hello"}'),
    kept("a typed answer that holds one", '{"text": "Hm.",\n"tag":\n"</think>"}'),
    kept("a typed answer that ends a line with it", '["Hm.\n</think>\nx"]'),
    kept("a word that begins alike", "<thinking about it> is no tag"),
    kept("the tag as the answer", "<think>"),
    kept("an opening tag and a sentence", "<think> opens a thought."),
    kept("thinking is known, so no thought ends here", "A list.\n</think>\nMore.", reasoning="One."),
]

LEAKED = [
    written("Hermes", HERMES, WEATHER),
    written("Hermes, said to be calls", HERMES, WEATHER, finish="tool_calls"),
    written("Hermes on one line", HERMES.replace("\n", ""), WEATHER),
    written("Hermes after a sentence", f"I will look.\n{HERMES}", WEATHER, rest="I will look."),
    written("Hermes before a sentence", f"{HERMES}\n\nI wait.", WEATHER, rest="I wait."),
    written(
        "two of them",
        f'{HERMES}\n<tool_call>\n{{"name": "now", "arguments": {{}}}}\n</tool_call>',
        WEATHER,
        ("now", "{}"),
    ),
    written("two of them side by side", HERMES + HERMES, WEATHER, WEATHER),
    written("the closing tag is missing", HERMES.removesuffix("\n</tool_call>"), WEATHER),
    written("the last closing tag is missing", f"{HERMES}\n{HERMES.removesuffix('</tool_call>')}", WEATHER, WEATHER),
    written("no arguments", '<tool_call>\n{"name": "now"}\n</tool_call>', ("now", "{}")),
    written("arguments are null", '<tool_call>\n{"name": "now", "arguments": null}\n</tool_call>', ("now", "{}")),
    written("arguments called parameters", HERMES.replace("arguments", "parameters"), WEATHER),
    written(
        "arguments as text",
        '<tool_call>\n{"name": "get_weather", "arguments": "{\\"city\\":\\"Paris\\"}"}\n</tool_call>',
        COMPACT,
    ),
    written("the name in another case", HERMES.replace("get_weather", "GetWeather"), WEATHER),
    written(
        "the tag in an argument", HERMES.replace("Paris", "</tool_call>"), ("get_weather", '{"city": "</tool_call>"}')
    ),
    written("a brace too few", HERMES.replace("}}", "}"), WEATHER),
    written("a brace too many", HERMES.replace("}}", "}}}"), ("get_weather", PARIS + "}}")),
    written("a quote too few", HERMES.replace('Paris"', "Paris"), ("get_weather", '{"city": "Paris}}')),
    written("XML", XML, COMPACT),
    written("XML in tags", f"<tool_call>\n{XML}\n</tool_call>", COMPACT),
    written("XML with the closing tag alone", f"{XML}\n</tool_call>", COMPACT),
    written("XML after a sentence", f"I will look.\n\n<tool_call>\n{XML}\n</tool_call>", COMPACT, rest="I will look."),
    written("XML without parameters", "<function=now>\n</function>", ("now", "{}")),
    written(
        "XML values by the tool's schema",
        "<function=get_weather><parameter=city>7</parameter><parameter=days>3</parameter>"
        "<parameter=metric>True</parameter></function>",
        ("get_weather", '{"city":"7","days":3,"metric":true}'),
    ),
    written(
        "XML values that are objects and lists",
        '<function=search><parameter=filters>{"year": 2025}</parameter><parameter=tags>["a"]</parameter></function>',
        ("search", '{"filters":{"year":2025},"tags":["a"]}'),
    ),
    written(
        "XML values of several lines",
        "<function=run_sql>\n<parameter=sql>\nselect *\nfrom t\n</parameter>\n"
        "<parameter=args>\n[1]\n</parameter>\n</function>",
        ("run_sql", '{"sql":"select *\\nfrom t","args":[1]}'),
    ),
    written(
        "XML values that are not what the schema wants",
        "<function=get_weather><parameter=days>many</parameter></function>",
        ("get_weather", '{"days":"many"}'),
    ),
    Case(
        name="a thought and a call",
        content=f"<think>\nI look.\n</think>\n\n{HERMES}",
        to_reasoning="I look.",
        to_calls=(WEATHER,),
        told="written as text",
    ),
    Case(
        name="a call at the end of the thinking",
        reasoning=f"I look.\n{HERMES}",
        to_reasoning=f"I look.\n{HERMES}",
        to_calls=(WEATHER,),
        told="written as text",
    ),
    kept("a tool that is not on offer", HERMES.replace("get_weather", "delete_all")),
    kept("XML of a tool that is not on offer", XML.replace("get_weather", "delete_all")),
    kept("a call in a code block", f"Like so:\n```\n{HERMES}\n```"),
    kept("a call in a code block of another kind", f"Like so:\n~~~xml\n{XML}\n~~~\nThat is all."),
    kept("a call in a quotation", "> " + HERMES.replace("\n", "\n> ")),
    kept("a call in a line", f"Write {HERMES.replace(chr(10), '')} and it runs."),
    kept("a call with a sentence on its last line", f"{HERMES} is how it looks."),
    kept("a call in a typed answer", '{"text": "<tool_call>\\n{\\"name\\": \\"now\\"}\\n</tool_call>"}'),
    kept("the tag alone", "The tag is\n<tool_call>\nand that is it."),
    kept("a call cut off", HERMES[:-20], finish="length"),
    kept("a whole call before the cut", f"{HERMES}\n<tool_call>\n{{", finish="length"),
    kept("a call in the middle of the thinking", reasoning=f"Shall I?\n{HERMES}\nNo."),
    kept("a call in the thinking besides an answer", "Hello.", reasoning=f"Shall I?\n{HERMES}"),
    kept("besides a real call", HERMES, calls=(("now", "{}"),), finish="tool_calls"),
    kept("a list in the place of a call", "<tool_call>\n[1, 2]\n</tool_call>"),
    kept("a function without an end", "<function=now>\nand so on"),
    kept("words between the parameters", "<function=now>\nwell\n</function>"),
]

CALLS = [
    made("JSON in a text", ("now", '"{\\"a\\":1}"'), ("now", '{"a":1}'), "JSON in a text"),
    made("JSON in a text in a text", ("now", '"\\"{\\\\\\"a\\\\\\":1}\\""'), ("now", '{"a":1}'), "JSON in a text"),
    made("an empty text in quotes", ("now", '""'), ("now", "{}"), "JSON in a text"),
    made("null", ("now", "null"), ("now", "{}"), "null"),
    made("null with space around", ("now", " null\n"), ("now", "{}"), "null"),
    made("another case", ("Get_Weather", PARIS), WEATHER, "taken for one of get_weather"),
    made("no separators", ("getWeather", PARIS), WEATHER, "taken for one of get_weather"),
    made("other separators", ("get-weather", PARIS), WEATHER, "taken for one of get_weather"),
    made("a namespace", ("functions.get_weather", PARIS), WEATHER, "taken for one of get_weather"),
    made("a namespace of Gemini's", ("default_api.get_weather", PARIS), WEATHER, "taken for one of get_weather"),
    made("a namespace and another case", ("tool.GetWeather", PARIS), WEATHER, "taken for one of get_weather"),
    made("space around the name", (" get_weather ", PARIS), WEATHER, "taken for one of get_weather"),
    kept("arguments that are no JSON", calls=(("now", "{oops"),), finish="tool_calls"),
    kept("arguments with space around", calls=(("now", ' {"a": 1} '),), finish="tool_calls"),
    kept("arguments that are a list", calls=(("now", "[1]"),), finish="tool_calls"),
    kept("arguments that are a word", calls=(("now", '"Paris"'),), finish="tool_calls"),
    kept("arguments cut off", calls=(("now", '"{\\"a\\":'),), finish="length"),
    kept("arguments in a text, perhaps cut off", calls=(("now", '"{\\"a\\":1}"'),), finish="length"),
    kept("a name that nobody knows", calls=(("delete_all", "{}"),), finish="tool_calls"),
    kept("a name that is only near", calls=(("get_wether", "{}"),), finish="tool_calls"),
    kept("no name", calls=(("", "{}"),), finish="tool_calls"),
]

ONLY_THOUGHTS = [
    kept("an answer in the thinking, the first time", reasoning="Hello!"),
    kept("an answer in the thinking, cut off", reasoning="Hello", finish="length", plain=True),
    kept("an answer besides thinking", "Hello!", reasoning="Hm.", plain=True),
    kept("nothing at all", "", plain=True),
    Case(name="an answer in the thinking again", reasoning="Hello!", plain=True, to_content="Hello!", told="no text"),
]

CASES = [*THINKING, *LEAKED, *CALLS, *ONLY_THOUGHTS]
