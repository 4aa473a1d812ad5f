"""outrider tools: what is installed, what one takes, and one call of it."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

from outrider.testing.fake import FakeOpenRouter, FakeReply
from shell import PATIENCE, START, Say, Shell, end
from typist import Typist

OWN = '''
import os, time
from typing import Any, Literal
from pydantic import BaseModel
from outrider import Context, ToolError, tool

class Place(BaseModel):
    street: str

@tool
def pay(amount: int, to: str | None = None, tags: list[str] = [], how: Literal["cash", "card"] = "cash") -> str:
    """Pay an amount.

    At once.

    Args:
        amount: In euros.
    """
    return f"paid {amount!r} to {to!r} for {tags!r} by {how}"

@tool(effect="read", trust="trusted", sinks=("place",), alone=True, approve=True, timeout=None)
def visit(place: Place) -> Place:
    """Visit a place."""
    return place

@tool(effect="read")
def failing(context: Context[int]) -> int:
    """Fail."""
    return context.deps + 1

@tool(effect="read")
def sorry() -> str:
    """Say what the model should know."""
    raise ToolError("Not today.")

@tool
def half() -> str:
    """Do half of it."""
    raise RuntimeError("no more paper")

@tool(timeout=0.1)
def slow() -> str:
    """Take very long."""
    time.sleep(60)
    return ""

@tool(effect="read", timeout=None)
def endless() -> str:
    """Never end."""
    open("begun", "w").close()
    while True:
        time.sleep(1)

@tool(effect="read", max_result=20)
def long() -> list[int]:
    """Say much."""
    return list(range(100))

@tool(parameters={"type": "object", "properties": {"city": {"type": "string"}}})
def raw(arguments: dict[str, Any]) -> dict[str, Any]:
    """Take anything."""
    return arguments
'''


@pytest.fixture(autouse=True)
def own(tmp_path: Path) -> None:
    (tmp_path / "own_tools.py").write_text(OWN)


def package(folder: Path, name: str, entries: str) -> None:
    """An installed distribution, as an installer would leave it."""
    place = folder / f"{name}-2.1.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.1\n")
    (place / "entry_points.txt").write_text(f"[outrider.tools]\n{entries}\n")


# -------------------------------------------------------------------------------------------- the list


def test_the_list_names_every_tool_with_its_package_and_labels(say: Say) -> None:
    code, out, err = say("tools")
    assert say("tools", "list") == (code, out, err)
    assert code == 0
    assert "calculator  (outrider 0.1.0)\n  calculator      read   trusted    Calculate an" in out
    assert "\n  web_search      egress untrusted  Search the web." in out
    assert err == (
        "more about one: outrider tools show NAME; one call of it: outrider tools try NAME ARGUMENT=VALUE ...\n"
    )


def test_a_package_of_yours_is_in_the_list_and_one_that_is_broken_says_why(say: Say, tmp_path: Path) -> None:
    package(tmp_path, "ourshop", "shop = own_tools:pay\nodd = own_tools:OWN\nquits = quits:tool\nold = own_tools:gone")
    (tmp_path / "quits.py").write_text("raise SystemExit('bye')")
    code, out, _ = say("tools")
    assert code == 0
    assert "shop  (ourshop 2.1)\n  pay             write  untrusted  Pay an amount.\n" in out
    assert "quits  (ourshop 2.1)\n  broken: the installed tool quits cannot be imported: SystemExit: bye\n" in out
    assert "Mend quits.py, line 1" in out
    assert "odd  (ourshop 2.1)\n  broken: " in out
    assert "old  (ourshop 2.1)\n  broken: " in out
    assert "calculator  (outrider" in out
    assert say("tools", "try", "pay", "amount=3")[:2] == (0, "paid 3 to None for [] by cash\n")
    assert say("tools", "try", "shop", "amount=3")[0] == 0
    code, _, err = say("tools", "try", "quits")
    assert (code, err.splitlines()[0]) == (2, "outrider: the installed tool quits cannot be imported: SystemExit: bye")


def test_of_two_packages_that_offer_one_name_the_list_says_which_is_used(say: Say, tmp_path: Path) -> None:
    package(tmp_path, "first", "shop = own_tools:pay")
    package(tmp_path, "second", "shop = own_tools:sorry")
    _, out, _ = say("tools")
    shops = out.split("\nshop  ")[1:]
    assert len(shops) == 2
    assert [shop.splitlines()[1] for shop in shops].count("  not used: another package offers this name") == 1
    used = "sorry" if "  sorry" in out else "pay"
    assert say("tools", "show", "shop")[1].startswith(f"{used}  ")


def test_nobody_takes_the_place_of_a_tool_on_the_shelf(say: Say, tmp_path: Path) -> None:
    package(tmp_path, "usurper", "calculator = own_tools:pay")
    assert say("tools", "try", "calculator", "expression=6*7")[:2] == (0, "42\n")
    assert "calculator  (usurper 2.1)\n  not used: another package offers this name" in say("tools")[1]


def test_an_entry_point_that_leads_nowhere_is_blamed_itself(say: Say, tmp_path: Path) -> None:
    package(tmp_path, "ourshop", "nowhere = no_such_module:tool")
    told = say("tools", "try", "nowhere")[2]
    assert "Mend the entry point nowhere = no_such_module:tool of ourshop;" in told


def test_a_value_of_several_words_wants_quotes(say: Say) -> None:
    told = say("tools", "try", "clock.add_days", "start=New", "York")[2]
    assert "'York' is not written as ARGUMENT=VALUE" in told
    assert 'Perhaps: start="New York"' in told


def test_a_tool_of_your_package_runs_by_name(tmp_path: Path) -> None:
    with FakeOpenRouter() as server:
        shell = Shell(tmp_path, server)
        package(shell.work, "ourshop", "shop = own_tools:pay")
        (shell.work / "own_tools.py").write_text(OWN)
        shell.env["PYTHONPATH"] += f":{shell.work}"
        server.add(FakeReply(calls=[("pay", {"amount": 3})]), "Paid.")
        done = shell("run", "Pay three.", "--tool", "shop", "--quiet")
        assert (done.code, done.out) == (0, "Paid.\n")
        assert server.requests[1].json["messages"][-1]["content"] == "paid 3 to None for [] by cash"


@pytest.fixture
def narrow(outrider: Shell, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """What a terminal of 60 columns shows of ``outrider`` with these arguments and variables."""
    typists: list[Typist] = []

    def shown(*args: str, **env: str) -> str:
        typist = Typist(outrider, *args, columns=60, env={"OUTRIDER_CACHE": str(tmp_path), **env})
        typists.append(typist)
        typist.ends()
        assert typist.glass.wrapped == set(), "the terminal breaks it, in the middle of a word"
        return typist.glass.text

    yield shown
    for typist in typists:
        typist.leaves()


@pytest.mark.parametrize("env", [{}, {"NO_COLOR": "1"}])
def test_in_a_narrow_terminal_lines_break_between_words(narrow: Callable[..., str], env: dict[str, str]) -> None:
    labels = "  calculator      read   trusted    "
    assert f"{labels}Calculate an arithmetic\n{' ' * len(labels)}expression exactly." in narrow("tools", **env)
    doctor = narrow("doctor", OPENROUTER_API_KEY="", **env)
    assert f"no  local     the embedded model's weights are not on this\n{' ' * 14}machine yet" in doctor


# ------------------------------------------------------------------------------------- all about one


def test_all_about_a_tool(say: Say) -> None:
    code, out, err = say("tools", "show", "own_tools:pay")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "pay  write · untrusted results",
        "  Pay an amount.",
        "",
        "  At once.",
        "",
        "  amount  integer           required        In euros.",
        "  to      string or null    default null",
        "  tags    list of string    default []",
        '  how     "cash" or "card"  default "cash"',
        "",
        "  at most 60 s · at most 20000 characters to the model · is never repeated unasked",
    ]
    _, out, _ = say("tools", "own_tools:visit")
    assert "  place  Place  required\n" in out
    assert "no time limit · " in out
    assert (
        "may be repeated · never runs beside others · asks a person before each call · data leaves through place" in out
    )
    assert "  takes no arguments\n" in say("tools", "own_tools:slow")[1]


def test_a_family_shows_each_of_its_tools(say: Say) -> None:
    _, out, _ = say("tools", "show", "clock")
    assert [line.split()[0] for line in out.splitlines() if " results" in line] == ["now", "add_days", "days_between"]
    assert say("tools", "show", "add_days")[1] in out


def test_what_a_model_is_told_of_it(say: Say) -> None:
    _, out, _ = say("tools", "show", "calculator", "--json")
    told = json.loads(out)["function"]
    assert (told["name"], list(told["parameters"]["properties"])) == ("calculator", ["expression"])


def test_of_a_module_only_the_tool_that_is_named_has_to_be_right(say: Say, tmp_path: Path) -> None:
    (tmp_path / "mixed_tools.py").write_text("""
from outrider import tool

@tool(effect="reed")
def wrong(city: str) -> str:
    return city

@tool(effect="read", trust="trusted")
def right(city: str) -> str:
    return city

both = [wrong, right]
""")
    assert say("tools", "try", "mixed_tools:right", "city=Paris")[:2] == (0, "Paris\n")
    for name in ("wrong", "both"):
        code, _, err = say("run", "Hi", "-t", f"mixed_tools:{name}", "--dry-run")
        assert (code, err.splitlines()[0]) == (2, "outrider: wrong: effect is 'reed'")


# ------------------------------------------------------------------------- one of a family, and a folder


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    (folder / "mail.txt").write_text("Hello")
    (tmp_path / "secret.txt").write_text("Psst")
    return folder


def test_files_are_read_in_the_folder_named(say: Say, inbox: Path) -> None:
    assert say("tools", "try", "files.list_files=inbox")[:2] == (0, "mail.txt (5 bytes)\n")
    assert say("tools", "try", f"files.read_file={inbox}", "path=mail.txt")[:2] == (0, "Hello\n")
    assert say("tools", "try", "files.read_file=inbox", "path=secret.txt")[0] == 1
    assert "secret.txt" in say("tools", "try", "files.list_files")[1]


def test_a_run_gets_one_tool_of_a_family_and_a_folder(say: Say, inbox: Path) -> None:
    code, out, _ = say("run", "What is there?", "--tool", "files.read_file=inbox", "-t", "clock.now", "--dry-run")
    assert code == 0
    assert [tool["function"]["name"] for tool in json.loads(out)["tools"]] == ["read_file", "now"]


def test_a_folder_in_a_task_file_is_looked_for_beside_it(tmp_path: Path, inbox: Path) -> None:
    with FakeOpenRouter() as server:
        shell = Shell(tmp_path, server)
        (tmp_path / "jobs").mkdir()
        (tmp_path / "jobs" / "x.toml").write_text('task = "What?"\ntools = ["files=../inbox"]\n')
        server.add(FakeReply(calls=[("list_files", {})]), "One mail.")
        done = shell("run", str(tmp_path / "jobs" / "x.toml"), "--quiet")
        assert (done.code, done.out) == (0, "One mail.\n")
        assert server.requests[1].json["messages"][-1]["content"] == "mail.txt (5 bytes)"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("files=inbux", "/inbux\n  Did you mean inbox?"),
        ("calculator=inbox", "calculator takes no folder\n  Write calculator alone."),
        ("own_tools:pay=inbox", "own_tools:pay takes no folder\n"),
        ("files.raed_file", "files has no tool 'raed_file'\n  Did you mean read_file"),
        ("files.", "there is no installed tool 'files.'\n  Did you mean files?"),
        ("fiels=inbox", "there is no installed tool 'fiels'\n  Did you mean files?"),
        ("read_file", "there is no installed tool 'read_file'\n  Write files.read_file. Installed: "),
    ],
)
def test_a_name_that_cannot_be_is_explained(say: Say, inbox: Path, name: str, told: str) -> None:
    code, out, err = say("run", "Hi", "--tool", name, "--dry-run")
    assert (code, out) == (2, "")
    assert told in err


def test_the_whole_disk_is_read_by_nobody_and_a_folder_of_it_is(
    say: Say, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    code, _, err = say("run", "Hi", "--tool", "files", "--dry-run")
    assert (code, "Name a folder: files=FOLDER" in err) == (2, True)
    code, _, err = say("tools", "try", "read_file", "path=etc/hosts")
    assert (code, "files cannot be used here: the files tools would read the whole disk" in err) == (2, True)
    assert say("tools", "try", f"files.list_files={inbox}")[:2] == (0, "mail.txt (5 bytes)\n")


# ------------------------------------------------------------------------------------------- one call


@pytest.mark.parametrize(
    ("args", "out"),
    [
        (["calculator", "expression=23*19 + 7"], "444"),
        (["calculator", "expression=6 = ?"], "6"),
        (["add_days", "start=2026-01-01", "days=-1"], '{"date":"2025-12-31","weekday":"Wednesday"}'),
        (["own_tools:pay", "amount=3", "to=4", 'tags=["a"]', "how=card"], "paid 3 to '4' for ['a'] by card"),
        (["own_tools:pay", 'amount="3"', "to="], "paid 3 to '' for [] by cash"),
        (["own_tools:visit", 'place={"street": "Elm"}'], '{"street":"Elm"}'),
        (["own_tools:raw", "city=5", "more=5", "other=x"], '{"city":"5","more":5,"other":"x"}'),
        (
            ["own_tools:long"],
            "[0,1,2,3,4,5,6,7,8,9\n[cut: the result has 291 characters, 271 of them are left out here]",
        ),
    ],
)
def test_a_call_prints_what_a_model_would_get(say: Say, args: list[str], out: str, tmp_path: Path) -> None:
    code, printed, _ = say("tools", "try", *args)
    assert (code, printed) == (0, f"{out}\n")
    assert not (tmp_path / "home").exists(), "nothing is recorded"


@pytest.mark.parametrize(
    ("args", "message", "hint"),
    [
        (["calculate"], "there is no tool 'calculate'", "Did you mean calculator? What there is: outrider tools"),
        (["files"], "files holds 3 tools", "Name one of them: list_files, read_file, search_files"),
        (["own_tools"], "there is no installed tool 'own_tools'", "own_tools is a module here: write own_tools:NAME"),
        (["own_tools:play"], "own_tools has no 'play'", "Did you mean pay?"),
        (["calculator", "2+2"], "'2+2' is not written as ARGUMENT=VALUE", "Perhaps: expression=2+2"),
        (["calculator", "expresion=2"], "calculator has no argument 'expresion'", "Did you mean expression?"),
        (["own_tools:sorry", "a=1"], "sorry has no argument 'a'", "It takes none."),
        (["calculator"], "calculator cannot be called so: expression: is missing", "outrider tools show calculator"),
        (["own_tools:pay", "amount=x"], "pay cannot be called so: amount: 'x' is not an integer", "show own_tools:pay"),
        (
            ["own_tools:pay", "amount=3", "tags=a,b"],
            "pay cannot be called so: tags: 'a,b' is not an array",
            """Lists and objects are written as JSON: tags='["a", "b"]'. What it takes: outrider""",
        ),
        (["own_tools:pay", "amount=3", "amount=4"], "amount is given twice", "A list is written as JSON"),
    ],
)
def test_a_mistake_in_typing_is_explained_and_nothing_runs(say: Say, args: list[str], message: str, hint: str) -> None:
    code, out, err = say("tools", "try", *args)
    assert (code, out) == (2, "")
    first, second = err.splitlines()
    assert first == f"outrider: {message}"
    assert hint in second


def test_a_call_that_went_well_says_nothing_more(say: Say) -> None:
    assert say("tools", "try", "now", "timezone=UTC")[2] == ""
    assert say("tools", "try", "own_tools:pay", "amount=3")[2] == ""


def test_what_a_failed_call_may_have_done_is_said(say: Say) -> None:
    assert (
        "  The arguments may have left this machine.\n" in say("tools", "try", "http_json", "url=http://localhost/")[2]
    )
    assert "stays changed" in say("tools", "try", "own_tools:half")[2]


def test_a_tool_that_needs_consent_runs_because_a_person_typed_it(say: Say) -> None:
    assert say("tools", "try", "own_tools:visit", 'place={"street": "Elm"}')[0] == 0


def test_a_call_that_fails_shows_what_happened_and_then_what_a_model_is_told(
    say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = "what a model would be told of it:\n"
    assert say("tools", "try", "own_tools:sorry") == (1, "Not today.\n", f"sorry failed\n{told}")
    code, out, err = say("tools", "try", "own_tools:failing")
    assert (code, out) == (1, "The tool failing failed with TypeError.\n")
    assert err.startswith("failing failed: TypeError: unsupported operand")
    assert "It wants a Context, and its deps are None here." in err
    assert "Traceback (" not in err
    assert err.endswith(told)
    monkeypatch.setenv("OUTRIDER_DEBUG", "1")
    assert "own_tools.py" in say("tools", "try", "own_tools:failing")[2]


def test_the_failure_comes_before_what_a_model_is_told(tmp_path: Path) -> None:
    with FakeOpenRouter() as server:
        shell = Shell(tmp_path, server)
        command = [sys.executable, "-c", START, "tools", "try", "calculator", "expression=1/0"]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=shell.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    assert done.stdout == "calculator failed\nwhat a model would be told of it:\nDivision by zero.\n"


def test_a_call_that_takes_too_long_is_given_up(say: Say) -> None:
    code, out, err = say("tools", "try", "own_tools:slow")
    assert (code, out) == (1, "")
    assert err == "slow was given up after 0.1 s, and may have had its effect; a run would ask you\n"


def wait_for(sign: Path) -> None:
    until = monotonic() + PATIENCE
    while not sign.exists():
        assert monotonic() < until, f"{sign.name} never came"
        sleep(0.02)


@pytest.fixture
def endless(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    with FakeOpenRouter() as server:
        shell = Shell(tmp_path, server)
        (shell.work / "own_tools.py").write_text(OWN)
        process = shell.start("tools", "try", "own_tools:endless")
        try:
            wait_for(shell.work / "begun")
            yield process
        finally:
            process.kill()


def test_a_call_can_be_interrupted(endless: "subprocess.Popen[str]") -> None:
    endless.send_signal(signal.SIGINT)
    done = end(endless)
    assert (done.code, done.out, done.err) == (130, "", "endless was stopped before it had a result\n")
