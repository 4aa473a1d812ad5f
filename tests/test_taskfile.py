"""Task files and --prompt on the command line: what runs, what flags replace, how a run goes on, what is refused."""

import json
import re
import signal
from pathlib import Path

import pytest

from outrider.testing.fake import FakeReply
from shell import FORECAST, Say, Shell, pay_call, weather_call

NIGHTLY = """\
task = \"\"\"
How warm is it in {{ city }}?
{{ notes }}\"\"\"
name = "nightly"
instructions = "It is {{ day }}. {% if short %}Be short.{% endif %}"
model = "qwen/qwen3-8b"
tools = ["tools_here:look", "app:weather"]
output = "forecast.json"
approve = "writes"

[limits]
turns = 7
dollars = 0.05
seconds = "none"
tokens = 50_000

[inputs]
city = "Paris"
day = "Monday"
short = true
notes = { file = "notes.txt" }
"""
SCHEMA = {
    "title": "Forecast",
    "type": "object",
    "properties": {"city": {"type": "string"}, "celsius": {"type": "number"}},
    "required": ["city", "celsius"],
    "additionalProperties": False,
}


@pytest.fixture
def outrider(outrider: Shell, tmp_path: Path) -> Shell:
    """A shell in one folder; the task file, and what it names, in another."""
    jobs = tmp_path / "jobs"
    jobs.mkdir()
    (jobs / "nightly.toml").write_text(NIGHTLY)
    (jobs / "notes.txt").write_text("{{ day }} was cold.")
    (jobs / "forecast.json").write_text(json.dumps(SCHEMA))
    (jobs / "tools_here.py").write_text('def look() -> str:\n    """Look."""\n    return "seen"\n')
    return outrider


def asked(outrider: Shell, number: int = -1) -> list[str]:
    return [message["content"] for message in outrider.server.requests[number].json["messages"]]


# ----------------------------------------------------------------------------------------------- runs


def test_a_task_file_is_all_that_a_run_needs(outrider: Shell) -> None:
    outrider.server.add(weather_call(), "Warm.", FORECAST)
    done = outrider("run", "../jobs/nightly.toml", "-q")
    assert (done.code, json.loads(done.out), done.err) == (0, {"city": "Paris", "celsius": 21.5}, "")
    first, *_, last = (request.json for request in outrider.server.requests)
    assert [message["content"] for message in first["messages"]] == [
        "It is Monday. Be short.",
        "How warm is it in Paris?\n{{ day }} was cold.",
    ]
    assert first["model"] == "qwen/qwen3-8b"
    assert [tool["function"]["name"] for tool in first["tools"]] == ["look", "weather"]
    assert last["response_format"]["json_schema"]["name"] == "Forecast"
    (run,) = outrider("runs", "--json").lines
    assert run["agent"] == "nightly"
    started = outrider("show", "last", "--json").lines[0]["event"]
    assert started["limits"] == {
        "turns": 7, "tool_calls": None, "tokens": 50000, "seconds": None, "dollars": "0.05", "repeats": 3,
        "purse": None,
    }  # fmt: skip


def test_flags_and_variables_replace_what_the_file_says(outrider: Shell) -> None:
    (outrider.work / "more.txt").write_text("Bring a hat.\n")
    done = outrider(
        "run", "../jobs/nightly.toml", "--dry-run", "-m", "qwen/qwen3-32b", "-t", "calculator",
        "--output", "app:Forecast", "--var", "city=Rome", "--var", "short=false", "--var", "notes=@more.txt",
        "--name", "daily",
    )  # fmt: skip
    request = done.json
    assert [message["content"] for message in request["messages"]] == [
        "It is Monday. ", "How warm is it in Rome?\nBring a hat.\n"
    ]  # fmt: skip
    assert request["model"] == "qwen/qwen3-32b"
    assert [tool["function"]["name"] for tool in request["tools"]] == ["calculator"]
    told = outrider("run", "../jobs/nightly.toml", "--dry-run", "--instructions", "Be kind.").json
    assert told["messages"][0]["content"] == "Be kind."


def test_a_task_file_needs_no_more_than_a_task_and_the_variable_outranks_nothing_in_it(outrider: Shell) -> None:
    (outrider.work / "a b.toml").write_text('task = "Hi"')
    outrider.server.add("Hello.", "Hello.")
    assert outrider("run", "a b.toml", "-q", OUTRIDER_MODEL="qwen/qwen3-8b").out == "Hello.\n"
    assert outrider.server.requests[-1].json["model"] == "qwen/qwen3-8b"
    (outrider.work / "c.toml").write_text('task = "Hi"\nmodel = "qwen/qwen3-14b"')
    assert outrider("run", "c.toml", "-q", OUTRIDER_MODEL="qwen/qwen3-8b").out == "Hello.\n"
    assert outrider.server.requests[-1].json["model"] == "qwen/qwen3-14b"


def test_a_task_file_names_its_run_and_a_stronger_model(outrider: Shell) -> None:
    (outrider.work / "mon.toml").write_text('task = "Hi"\nid = "mon-1"\nstronger = "strong/one"\noutput = "int"')
    outrider.server.add("none", *["no"] * 9)
    first = outrider("run", "mon.toml")
    assert "strong/one" in [request.json.get("model") for request in outrider.server.requests if request.json]
    assert outrider.last() == "mon-1"
    assert first.code == 3


def test_a_task_file_names_a_prompt_file_beside_it(outrider: Shell) -> None:
    jobs = outrider.work.parent / "jobs"
    (jobs / "ask.md").write_text("+++\ninstructions = 'Be {{ mood }}.'\n+++\nCount to {{ n }}.\n")
    (jobs / "count.toml").write_text('prompt = "ask.md"\n[inputs]\nn = 1.50\nmood = "calm"\n')
    done = outrider("run", str(jobs / "count.toml"), "--dry-run", "--var", "mood=quick")
    assert [message["content"] for message in done.json["messages"]] == ["Be quick.", "Count to 1.50."]


def test_images_and_files_come_from_beside_the_task_file_or_from_an_address(outrider: Shell) -> None:
    jobs = outrider.work.parent / "jobs"
    (jobs / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n and more")
    (jobs / "parts.toml").write_text(
        'task = "What is on them?"\nmodel = "acme/eyes"\n'
        'images = ["photo.png", "https://example.org/a.jpg"]\nfiles = ["notes.txt"]\n'
    )
    done = outrider("run", "../jobs/parts.toml", "--image", "../jobs/photo.png", "--dry-run", "-q")
    content = done.json["messages"][-1]["content"]
    assert [part["type"] for part in content] == ["text", "image_url", "image_url", "file", "image_url"]
    assert content[1]["image_url"]["url"].startswith("data:image/png;base64,")
    assert content[2]["image_url"]["url"] == "https://example.org/a.jpg"
    assert content[3]["file"]["filename"] == "notes.txt"


def test_labels_need_no_file_and_a_run_that_had_them_asks_for_them_again(outrider: Shell) -> None:
    outrider.server.add('{"answer": "very bad"}')
    limited = outrider("run", "Soup was cold.", "--output", "good, very bad", "--max-turns", "0")
    assert limited.resume[-4:-2] == ["--output", "good, very bad"]
    assert "--output LABEL,LABEL" in outrider("resume", "last").err
    done = outrider("resume", "last", "--output", "good, very bad", "--max-turns", "1", "-q")
    assert (done.code, done.out) == (0, "very bad\n")
    schema = outrider.server.requests[-1].json["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["answer"]["enum"] == ["good", "very bad"]
    listed = outrider("run", "x", "--output", "list[a,b]", "--dry-run", "-q").json
    items = listed["response_format"]["json_schema"]["schema"]["properties"]["answer"]["items"]
    assert items["enum"] == ["a", "b"]
    assert "or labels" in outrider("run", "x", "--output", "int,str").err


def test_the_file_of_a_local_model_is_looked_for_beside_the_task_file(outrider: Shell) -> None:
    jobs = outrider.work.parent / "jobs"
    (jobs / "own.toml").write_text('task = "Hi"\nmodel = "local:models/own.gguf"')
    done = outrider("run", str(jobs / "own.toml"), "--dry-run")
    assert (done.code, done.out) == (2, "")
    assert str(jobs / "models" / "own.gguf") in done.err


def test_an_output_type_can_be_a_table(outrider: Shell) -> None:
    (outrider.work / "x.toml").write_text(
        'task = "Which?"\n[output]\ntitle = "City"\ntype = "object"\nrequired = ["size"]\n'
        '[output.properties.size]\ntype = "number"\nminimum = 0.5\n'
    )
    request = outrider("run", "x.toml", "--dry-run").json
    sent = request["response_format"]["json_schema"]["schema"]
    assert sent["properties"]["size"] == {"type": "number", "description": '{"minimum":0.5}'}
    outrider.server.add('{"size": 0.75}')
    assert outrider("run", "x.toml", "-q").out == '{"size":0.75}\n'


# ------------------------------------------------------------------------------------------- going on


def test_a_run_goes_on_with_its_task_file_and_with_limits_that_were_raised(outrider: Shell) -> None:
    outrider.server.add(weather_call(), FORECAST, weather_call(), weather_call(), "Cold.", "Warm.", FORECAST)
    nightly = str(outrider.work.parent / "jobs" / "nightly.toml")
    met = outrider("run", "../jobs/nightly.toml", "--max-turns", "1")
    assert met.code == 4
    assert met.resume[2:] == [nightly, "--max-turns", "4"]
    again = outrider(*met.resume)
    assert again.code == 4
    assert again.resume[2:] == [nightly, "--max-turns", "10"]
    done = outrider(*again.resume, "--json")
    assert (done.code, done.json["output"]) == (0, {"city": "Paris", "celsius": 21.5})
    told = re.findall(r"changed: (.*)", again.err + done.err)
    assert told[0] == "the limit of turns was 1 and is 4"
    assert len(told) == 2  # nothing but the limits


def test_a_limit_that_the_file_would_take_back_is_among_the_flags_to_go_on(outrider: Shell) -> None:
    (outrider.work / "pay.toml").write_text(
        'task = "Pay"\ntools = ["app:pay"]\napprove = "writes"\nlimits = { turns = 1, dollars = "0.5" }\n'
    )
    outrider.server.add(pay_call(), "Paid.")
    paused = outrider("run", "pay.toml", "--max-turns", "3", "--max-dollars", "none")
    assert paused.code == 6
    assert paused.resume[2:] == [str(outrider.work / "pay.toml"), "--max-turns", "3", "--max-dollars", "none"]
    assert outrider("approve", "last", "1:0").code == 0
    assert outrider(*paused.resume).out == "Paid.\n"


def test_after_a_kill_the_task_file_is_enough_and_the_task_is_that_on_record(outrider: Shell) -> None:
    job = outrider.work / "look.toml"
    job.write_text('task = "Look {{ where }}"\ninstructions = "Be short."\ntools = ["app:look"]\ninputs.where = "up"\n')
    outrider.server.add(FakeReply(calls=[("look", {})]), "Seen.")
    assert outrider("run", "look.toml", DIE="1").code == -signal.SIGKILL
    job.write_text('task = "Look {{ elsewhere }}"\ntools = ["app:look"]\nmodel = "qwen/qwen3-8b"\n')
    done = outrider("resume", "last", "look.toml")
    assert (done.code, done.out) == (0, "Seen.\n")
    assert asked(outrider)[:2] == ["Be short.", "Look up"]
    assert outrider.server.requests[-1].json["model"] == "qwen/qwen3-8b"


def test_without_its_task_file_a_run_says_what_it_lacks(outrider: Shell) -> None:
    outrider.server.add(weather_call())
    assert outrider("run", "../jobs/nightly.toml", "--max-turns", "1").code == 4
    less = outrider("resume", "last")
    assert (less.code, less.out) == (2, "")
    assert "tool look" in less.err
    assert "or its task file, if it was run from one" in less.err


# ------------------------------------------------------------------------------------------- --prompt


def test_a_prompt_file_is_the_task_or_holds_it(outrider: Shell) -> None:
    ask = outrider.work / "ask.md"
    ask.write_text("+++\nabout = 'x'\ninstructions = 'It is {{ day }}.'\n+++\nCount for {{ who | default('me') }}.\n")
    done = outrider("run", "--prompt", "ask.md", "--var", "day=@@home = Monday", "--dry-run")
    assert [message["content"] for message in done.json["messages"]] == ["It is @home = Monday.", "Count for me."]
    ask.write_text("Shortly: {{ task }}")
    for given, stdin in (("Count", ""), ("-", "Count")):
        done = outrider("run", given, "--prompt", "ask.md", "--instructions", "Be kind.", "--dry-run", stdin=stdin)
        assert [message["content"] for message in done.json["messages"]] == ["Be kind.", "Shortly: Count"]


# ------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('task = "x"\nmodle = "local"', "2: there is no key 'modle'\n  Did you mean model?"),
        ('task = "x"\nquite = "local"', "2: there is no key 'quite'\n  The keys: task, prompt, "),
        ('task = "x"\nmodel = 3', "2: model is 3\n  Give the name of a model in quotes."),
        ('task = "x"\n\n"tools" = "calculator"', "3: tools is 'calculator'\n  Give a list of names"),
        ('task = "x"\n[tools]\na = 1', "2: tools is a table\n"),
        ('task = "x"\n[[limits]]\nturns = 1', "2: limits is a list\n"),
        ('model = "local"\n', " there is no task\n  Write task = "),
        ('task = "x"\nprompt = "ask.md"', "2: there is a task as well as a prompt\n"),
        ('\ntask = " "', "2: task is empty\n"),
        ("\ntask = What is it?", "2: this is not TOML (Invalid value): task = What is it?\n"),
        ('task = "x"\n[limits]\ntunrs = 3', "3: there is no key 'tunrs' in [limits]\n  Did you mean turns"),
        ('task = "x"\nlimits.turns = 2.5', "2: limit turns is 2.5\n  Give a whole number from 0 up, or \"none\""),
        ('task = "x"\nlimits = { turns = 3, seconds = "long" }', "2: limit seconds is 'long'\n"),
        ('task = "x"\n[limits]\n\ndollars = true', "4: limit dollars is true\n  Give a number from 0 up"),
        ('task = "x"\n[limits]\nseconds = nan', "3: limit seconds is NaN\n"),
        ('task = "x"\ntools = [\n  "calculator",\n  "calcluator",\n]', "4: there is no installed tool 'calcluator'\n"),
        ('task = "x"\ntools = [\n  "calculator",\n  3,\n]', "4: a tool is 3\n"),
        ('task = "x"\nfiles = [\n  "https://a.org/a.pdf",\n  "notse.txt",\n]', "4: there is no file notse.txt\n  Did"),
        ('task = "x"\nimages = [true]', "2: an image is true\n  Give a list of files or addresses"),
        ('task = "x"\ntools = ["own_toosl:look"]', "2: there is no module 'own_toosl' in "),
        ('task = "x"\ntools = ["tools_of_task:lok"]', "2: tools_of_task has no 'lok'\n  Did you mean look?"),
        ('task = "x"\ntools = ["calculator", "calculator"]', "2: two tools are named calculator\n"),
        ('task = "x"\n\noutput = "nope.json"', "3: nope.json cannot be read: No such file"),
        ('task = "x"\noutput = "broken.json"', "2: broken.json holds no JSON object"),
        ('task = "x"\noutput = "wrong.json"', "2: the schema is not valid at $.type: "),
        ('task = "x"\noutput = "Forecast"', "2: output Forecast is neither a .json file nor module:Type\n"),
        ('task = "x"\n[output]\ntyp = "object"', "2: output is {'typ': 'object'}\n"),
        (
            'task = "x"\n[output]\ntype = "object"\n[output.properties.city]\ntype = "strin"',
            "5: the schema is not valid at $.properties.city.type: ",
        ),
        ('task = "x"\napprove = "write"', "2: approve is 'write'\n  Did you mean writes?"),
        ('task = """\nWhat is\n{{ day }"""', "3: the template is broken: unexpected '}'\n"),
        ('task = """\nWhat is\n{{ day }}"""', "3: nothing was given for {{ day }}\n  Give it a value: NAME = TEXT"),
        ('task = "x"\ninstructions = """a\n{{ b }}"""', "3: nothing was given for {{ b }}\n"),
        ('task = "{{ day }}"\n[inputs]\n\ndya = "x"', "4: there is no slot {{ dya }}\n  Did you mean day?"),
        ('task = "x"\n[inputs]\nday = "x"', "3: there is no slot {{ day }}\n  The slots: none."),
        ('task = "{{ day }}"\n[inputs]\nday = 2026-11-01', "3: day is 2026-11-01\n  Give a text, a number"),
        ('task = "{{ day }}"\n[inputs]\nday = ["x"]', "3: day is a list\n"),
        ('task = "{{ day }}"\n[inputs.day]\nfiel = "x"', "3: there is no key 'fiel' in [inputs.day]\n  Did"),
        ('task = "{{ day }}"\n[inputs]\nday = {}', "3: day names no file\n"),
        ('task = "{{ day }}"\n[inputs]\nday = { file = "notse.txt" }', "3: there is no input file notse.txt\n  Did"),
        ('prompt = "aks.md"', "1: there is no prompt file aks.md\n  Did you mean ask.md?"),
        ('prompt = "ask.md"\ninstructions = "x"\n', "2: ask.md has instructions too\n"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_task_file_is_named_with_its_line(say: Say, tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "x.toml").write_text(text)
    (tmp_path / "tools_of_task.py").write_text('def look() -> str:\n    """Look."""\n    return ""\n')
    (tmp_path / "ask.md").write_text("+++\ninstructions = 'x'\n+++\nHi")
    (tmp_path / "notes.txt").write_text("Hi")
    (tmp_path / "broken.json").write_text("[1")
    (tmp_path / "wrong.json").write_text('{"type": "strin"}')
    code, out, err = say("run", "x.toml", "--dry-run")
    assert (code, out) == (2, "")
    assert err.startswith(f"outrider: x.toml:{told}")
    assert len(err.splitlines()) == 2
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["nightyl.toml"], "there is no task file nightyl.toml\n  Did you mean nightly.toml?"),
        (
            ["ask.md"],
            "ask.md is a file, and its name would itself be the task\n  For the text in it: outrider run - < ask.md",
        ),
        (
            ["nightly.tml"],
            "there is no file nightly.tml, and the name would itself be the task\n  Did you mean nightly.toml?",
        ),
        (
            ["nightly.yaml"],
            "itself be the task\n  A task file is TOML, and its name ends in .toml. Did you mean nightly.toml?",
        ),
        (
            ["./held.md", "--prompt", "held.md"],
            "For the text in it: outrider run --prompt held.md - < ./held.md, or --var task=@./held.md",
        ),
        (["jbos/nightly.toml"], "there is no task file jbos/nightly.toml\n  Did you mean jobs/nightly.toml?\n"),
        (["jobs/nightyl.toml"], "there is no task file jobs/nightyl.toml\n  Did you mean jobs/nightly.toml?\n"),
        (["jobs/nightly.tml"], "would itself be the task\n  Did you mean jobs/nightly.toml or jobs/"),
        (["elsewhere/nightly.toml"], "there is no task file elsewhere/nightly.toml\n  Give the path from /"),
        (["jobs/none", "--var", "day=x"], "itself be the task\n  For the name itself: echo jobs/none | outrider run -"),
        ([], "there is no task\n"),
        (["nightly.toml", "--prompt", "ask.md"], 'nightly.toml says the task\n  Write there: prompt = "ask.md".'),
        (["nightly.toml", "--var", "day"], "--var day cannot be understood\n  Write --var NAME=TEXT"),
        (["nightly.toml", "--var", "day=@"], "--var day=@ cannot be understood\n"),
        (["nightly.toml", "--var", "da y=x"], "--var da y=x cannot be understood\n"),
        (["nightly.toml", "--var", "day=x", "--var", "day=y"], "--var day is given twice\n"),
        (["nightly.toml", "--var", "dya=x"], "nightly.toml has no slot {{ dya }}\n  Did you mean day?"),
        (["nightly.toml", "--var", "day=@nope.txt"], "there is no file nope.txt\n"),
        (["nightly.toml", "--var", "short=maybe"], "--var short is 'maybe'\n  Give true or false"),
        (["nightly.toml", "--var", "n=many"], "--var n is 'many'\n  Give a number"),
        (["Hi", "--var", "day=x"], "--var fills slots, and there are none\n"),
        (["Hi", "--prompt", "ask.md"], "ask.md has no slot for TASK\n  Write {{ task }} where it goes"),
        (["Hi", "--prompt", "held.md", "--var", "task=x"], "the task is given twice"),
        (["-", "--prompt", "held.md"], "the task is empty\n"),
        (["--prompt", "held.md"], "held.md:1: nothing was given for {{ task }}\n"),
        (["--prompt", "ask.md", "--instructions", "x"], "--instructions are given, and ask.md has its own\n"),
        (["--prompt", "aks.md"], "there is no prompt file aks.md\n  Did you mean ask.md?"),
    ],
)
def test_wrong_use_says_what_is_right(
    say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], told: str
) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "nightly.toml").write_text("")
    (tmp_path / "jobs" / "morning.toml").write_text("")
    (tmp_path / "nightly.toml").write_text(
        'task = "{{ day }} {{ short }} {{ n }}"\ninputs = { day = "x", short = true, n = 1.5 }'
    )
    (tmp_path / "ask.md").write_text("+++\ninstructions = 'x'\n+++\nHi")
    (tmp_path / "held.md").write_text("Hi {{ task }}")
    with open("/dev/null", encoding="utf-8") as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        code, out, err = say("run", *args, "--dry-run")
    assert (code, out) == (2, "")
    assert told in err
    assert len(err.splitlines()) == 2


@pytest.mark.parametrize(
    "task", ["3.14", "1/2", "Hello.", "e.g.", "https://a.example/b", "load.tml, and why?", "23*19"]
)
def test_what_is_no_path_is_a_task(say: Say, task: str) -> None:
    code, out, _ = say("run", task, "--dry-run")
    assert (code, json.loads(out)["messages"][0]["content"]) == (0, task)


def test_numbers_from_the_command_line_stay_numbers(say: Say, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('task = "{% if n > 3 %}many{% else %}few{% endif %}: {{ n }}"\ninputs.n = 1\n')
    for given, task in (("4", "many: 4"), ("3.50", "many: 3.50"), ("2", "few: 2")):
        code, out, _ = say("run", "x.toml", "--dry-run", "--var", f"n={given}")
        assert (code, json.loads(out)["messages"][0]["content"]) == (0, task)


def test_resume_names_a_wrong_task_file(outrider: Shell) -> None:
    outrider.server.add(weather_call())
    assert outrider("run", "Hi", "-t", "app:weather", "--max-turns", "1").code == 4
    (outrider.work / "x.toml").write_text('task = "x"\nmodle = "y"')
    assert "x.toml:2: there is no key 'modle'" in outrider("resume", "last", "x.toml").err
    assert "there is no task file y.toml" in outrider("resume", "last", "y.toml").err
