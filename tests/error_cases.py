"""The mistakes of docs/errors.md: what is there, what is typed, and how it ends."""

from collections.abc import Sequence

from msgspec import Struct

from outrider.testing.fake import FakeReply

KEY = "sk-or-v1-0123"
APP = '''
from outrider import tool

@tool(effect="read")
def weather(city: str) -> str:
    """Tomorrow's weather for a city."""
    return f"{city}: 21 degrees"

def rain(city) -> str:
    """Tomorrow's rain in a city."""
    return f"{city}: none"

answer = 42
'''.lstrip()


class Case(Struct, frozen=True, kw_only=True):
    """One mistake. ``files`` lie in the folder in which ``typed`` is given to a shell; ``first`` is done unseen.

    ``replies`` are the server's in the place of OpenRouter; with ``real`` the address is OpenRouter's own, and what is
    wrong is found before anything is sent. ``ends`` shows only so many of the last lines, behind a traceback.
    """

    title: str
    typed: str
    code: int = 2
    files: dict[str, str] = {}
    first: str = ""
    replies: Sequence[FakeReply | str] = ()
    real: bool = False
    ends: int = 0
    more: bool = False
    """There is more than the two lines: the hint goes on."""


def refused(status: int, message: str, kind: str = "", **headers: str) -> FakeReply:
    error = {"code": status, "message": message} | ({"metadata": {"error_type": kind}} if kind else {})
    return FakeReply(status=status, error=error, headers={name.replace("_", "-"): to for name, to in headers.items()})


def sql(statement: str) -> str:
    return f"python -c \"import sqlite3; sqlite3.connect('.outrider/journal.db').execute('{statement}')\""


RUN = 'outrider run "Hi"'
SHOP = "import os\n\nos.environ['SHOP']\n"
CASES: dict[str, list[Case]] = {
    "The key": [
        Case(title="There is no key", typed=f"unset OPENROUTER_API_KEY; {RUN}", real=True),
        Case(
            title="There is one, but of OpenAI",
            typed=f"unset OPENROUTER_API_KEY; export OPENAI_API_KEY=sk-proj-0123; {RUN}",
            real=True,
        ),
        Case(title="It is in the wrong variable", typed=f"OPENROUTER_API_KEY=sk-proj-0123 {RUN}", real=True),
        Case(title="It has quotes around it", typed=f"OPENROUTER_API_KEY='\"{KEY}\"' {RUN}", real=True),
        Case(title="It is wrong", typed=RUN, code=5, replies=[refused(401, "User not found.")]),
        Case(title="Its credit is used up", typed=RUN, code=5, replies=[refused(402, "Insufficient credits.")]),
    ],
    "The model and the server": [
        Case(title="The model's vendor is missing", typed=f"{RUN} -m qwen3-14b", real=True),
        Case(
            title="There is no such model",
            typed=f"{RUN} -m qwen/qwen3-41b",
            code=5,
            replies=[refused(400, "qwen/qwen3-41b is not a valid model ID")],
        ),
        Case(
            title="The model takes no tools",
            typed='outrider run "How warm is Paris?" -m some/model -t app:weather',
            code=5,
            files={"app.py": APP},
            replies=[refused(404, "No endpoints found that support tool use.")],
        ),
        Case(
            title="The task is too long for the model",
            typed="outrider run - < book.txt",
            code=5,
            files={"book.txt": "Call me Ishmael."},
            replies=[refused(400, "The limit is 40960 tokens, you asked for 50000", "context_length_exceeded")],
        ),
        Case(
            title="Too many requests",
            typed=f"{RUN} -m some/model:free",
            code=5,
            replies=[refused(429, "Rate limit exceeded", Retry_After="3600")],
        ),
        Case(title="The address is not that of the API", typed=f"OUTRIDER_BASE_URL=https://openrouter.ai {RUN}"),
        Case(
            title="Something else answers",
            typed=RUN,
            code=5,
            replies=[FakeReply(status=404, body=b"<html>There is no such page.</html>")],
        ),
        Case(
            title="There is no network",
            typed=f"OUTRIDER_BASE_URL=http://127.0.0.1:9/api/v1 {RUN} --quiet",
            code=5,
        ),
    ],
    "The command": [
        Case(title="A verb that is none", typed='outrider rum "Hi"'),
        Case(title="A flag that is none", typed=f"{RUN} --modle qwen/qwen3-14b"),
        Case(title="A task without quotes", typed="outrider run What is 23 times 19"),
        Case(title="No task", typed="outrider run"),
        Case(title="A limit that is no number", typed=f"{RUN} --max-turns many"),
        Case(
            title="A task file with a mistake in it",
            typed="outrider run nightly.toml",
            files={"nightly.toml": 'task = "Name three rivers."\n\n[limits]\nturn = 3\n'},
        ),
        Case(
            title="A task file that is no TOML",
            typed="outrider run nightly.toml",
            files={"nightly.toml": 'task = "Name three rivers.\n'},
        ),
        Case(title="A task file that is not there", typed="outrider run nightly.toml"),
    ],
    "Tools": [
        Case(title="A tool that is not there", typed=f"{RUN} -t calculatr"),
        Case(title="A module that has no such tool", typed=f"{RUN} -t app:wether", files={"app.py": APP}),
        Case(title="A file in the place of a module", typed=f"{RUN} -t ./app.py:weather", files={"app.py": APP}),
        Case(title="A tool without type hints", typed=f"{RUN} -t app:rain", files={"app.py": APP}),
        Case(title="A module that fails", typed=f"{RUN} -t shop:buy", files={"shop.py": SHOP}),
        Case(title="The same tool twice", typed=f"{RUN} -t app:weather -t app:weather", files={"app.py": APP}),
    ],
    "The answer's type": [
        Case(title="What is named is no type", typed=f"{RUN} --output app:answer", files={"app.py": APP}),
        Case(title="A schema that is not there", typed=f"{RUN} --output city.json"),
        Case(title="A schema that is no JSON", typed=f"{RUN} --output city.json", files={"city.json": '{"type":'}),
        Case(
            title="A schema that is none",
            typed=f"{RUN} --output city.json",
            files={"city.json": '{"type": "objekt", "properties": {}}'},
        ),
    ],
    "The embedded model": [
        Case(title="Its weights are not here", typed=f"{RUN} -m local"),
        Case(
            title="Its weights are damaged",
            typed=f"{RUN} -m local",
            first='mkdir cache; echo "half of it" > cache/WEIGHTS',
        ),
        Case(
            title="What runs it is not installed",
            typed=f"{RUN} -m local",
            first="mkdir cache; echo > cache/WEIGHTS",
            files={"sitecustomize.py": "import sys\n\nsys.modules['xllamacpp'] = None\n"},
        ),
        Case(title="A model's file that is not there", typed=f"{RUN} -m local:qwen3-4b.gguf"),
    ],
    "The record": [
        Case(
            title="The folder cannot be written to",
            typed=RUN,
            code=1,
            first="mkdir .outrider; chmod 500 .outrider",
        ),
        Case(title="The folder is a file", typed=RUN, code=1, first="touch .outrider"),
        Case(
            title="A newer Outrider has written it",
            typed="outrider runs",
            code=1,
            first=f"{RUN} --quiet; {sql('PRAGMA user_version = 3')}",
            replies=["Hello."],
        ),
        Case(
            title="It is the database of another program",
            typed="outrider runs",
            code=1,
            first=f"mkdir .outrider; {sql('CREATE TABLE cookies(x)')}",
        ),
        Case(title="There is no such run", typed="outrider show 1010", first=f"{RUN} --quiet", replies=["Hello."]),
        Case(
            title="A run is resumed without its tools",
            typed="outrider resume last",
            first='outrider run "How warm is Paris?" -t app:weather --max-turns 1 --quiet',
            files={"app.py": APP},
            replies=[FakeReply(calls=[("weather", {"city": "Paris"})])],
            more=True,
        ),
    ],
    "In Python": [
        Case(
            title="No key, in a script",
            typed="unset OPENROUTER_API_KEY; python hello.py",
            code=1,
            files={"hello.py": 'from outrider import Agent\n\nprint(Agent().run_sync("Hi").output)\n'},
            ends=2,
        ),
        Case(
            title="There is no answer to print",
            typed="python hello.py",
            code=1,
            files={
                "hello.py": "import os\n\nfrom outrider import Agent, Settings\n\n"
                'settings = Settings(base_url=os.environ["OUTRIDER_BASE_URL"])\n'
                'print(Agent(settings=settings).run_sync("Hi").output)\n'
            },
            replies=[refused(401, "User not found.")],
            ends=2,
        ),
        Case(
            title="A tool that is no function",
            typed="python hello.py",
            code=1,
            files={"hello.py": 'from outrider import Agent\n\nAgent(tools=["calculator"])\n'},
            ends=2,
        ),
        Case(
            title="A type in quotes",
            typed="python hello.py",
            code=1,
            files={"hello.py": 'from outrider import Agent\n\nAgent(output="Invoice")\n'},
            ends=2,
        ),
        Case(
            title="Python is too old",
            typed='python3.8 -c "import outrider"',
            code=1,
            ends=2,
        ),
    ],
}
