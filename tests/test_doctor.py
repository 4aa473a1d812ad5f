"""``outrider doctor``: what works here, as a process of its own against a server on loopback."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from outrider import Settings
from outrider.cli.checks import Wanted, check_online
from outrider.journal.migrations import SCHEMA
from outrider.local import LIMITS, weights
from outrider.testing.fake import FakeReply
from shell import Shell


@pytest.fixture
def outrider(outrider: Shell, tmp_path: Path) -> Shell:
    outrider.env["OUTRIDER_CACHE"] = str(tmp_path / "cache")  # the embedded model is not here
    return outrider


def key_page(**data: Any) -> FakeReply:
    return FakeReply(body=json.dumps({"data": {"label": "sk-or-v1-abc...xyz", **data}}).encode())


def found(done: Any) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in done.json["checks"]}


def test_what_works_is_a_line_each_and_the_key_is_never_shown(outrider: Shell) -> None:
    outrider.server.pages["/key"] = key_page(limit=5, limit_remaining=4.2)
    done = outrider("doctor")
    assert done.code == 0
    lines = done.out.splitlines()
    assert [line.split()[1] for line in lines[:-2] if not line.startswith("    ")] == [
        "python", "outrider", "model", "key", "server", "credit", "journal", "local", "terminal",
    ]  # fmt: skip
    assert "ok  credit    $4.20 left of this key's $5.00" in lines
    assert "no  local     the embedded model's weights are not on this machine yet" in lines
    assert (lines[-1], done.err) == ("ready for a run with qwen/qwen3-14b", "")
    assert LIMITS not in done.out
    assert "key-for-tests" not in done.out + done.err
    assert not outrider.home.exists(), "looking makes nothing"
    (asked,) = outrider.server.requests
    assert (asked.method, asked.path) == ("GET", "/api/v1/key")


@pytest.mark.parametrize(
    ("page", "ok", "says", "fix"),
    [
        (key_page(limit=1, limit_remaining=0), True, "takes the key", ""),
        (key_page(usage=0.8), True, "takes the key", ""),
        (FakeReply(status=401, error="User not found."), False, "User not found", "openrouter.ai/keys"),
        (FakeReply(status=404, error="what?"), True, "says nothing of keys", ""),
        (FakeReply(body=b"<html>Welcome</html>"), False, "does not answer as OpenRouter does", "base_url"),
        (FakeReply(body=b'{"data": [1]}'), False, "does not answer as OpenRouter does", "later"),
        (FakeReply(status=503, error="busy"), False, "busy", "later"),
        (FakeReply(drop_at=0), False, "connection broke", "network"),
    ],
)
def test_what_the_server_says_is_told(outrider: Shell, page: FakeReply, ok: bool, says: str, fix: str) -> None:
    outrider.server.pages["/key"] = page
    done = outrider("doctor", "--json")
    check = found(done)["server"]
    assert (check["ok"], says in check["says"], fix in check.get("fix", "")) == (ok, True, True)
    credit = found(done).get("credit", {}).get("ok", True)
    assert done.json["ready"] == (done.code == 0) == (ok and credit)


def test_without_anything_it_says_what_to_do_and_asks_nobody(outrider: Shell) -> None:
    done = outrider("doctor", "--json", OPENROUTER_API_KEY="")
    checks = found(done)
    assert (done.code, done.json["ready"]) == (1, False)
    assert (checks["key"]["ok"], checks["server"]["ok"], checks["local"]["ok"]) == (False, None, False)
    assert "OPENROUTER_API_KEY" in checks["key"]["fix"]
    assert "outrider local pull" in checks["local"]["fix"]
    assert done.json["verdict"] == "not ready for a run with qwen/qwen3-14b: mend key"
    assert not outrider.server.requests


def test_with_a_model_just_what_it_needs_is_looked_at(outrider: Shell) -> None:
    done = outrider("doctor", "-m", "local", "--json", OPENROUTER_API_KEY="")
    assert (done.code, done.json["verdict"]) == (1, "not ready for a run with local: mend local")
    assert not {"key", "server"} & found(done).keys()
    outrider.server.pages["/key"] = key_page()
    done = outrider("doctor", "-m", "a/b", "--json", OUTRIDER_MODEL="local")
    assert (done.code, done.json["model"]) == (0, "a/b")
    assert "local" not in found(done)
    assert outrider("doctor", OUTRIDER_MODEL="local").code == 1, "the key does not help the model that is taken"


def test_with_a_task_file_what_it_names_is_looked_at(outrider: Shell) -> None:
    outrider.server.pages["/key"] = key_page()
    file = outrider.work / "x.toml"
    file.write_text('task = "{{ day }}"\ntools = ["app:weather"]\nmodel = "a/b"\n')
    done = outrider("doctor", "x.toml", "--json")
    assert (done.code, done.json["model"], found(done)["model"]["says"]) == (0, "a/b", "a/b, from x.toml")
    assert found(done)["file"]["says"] == "x.toml, its tools: weather"
    file.write_text('task = "Hi"\n\ntools = ["app:wether"]\n')
    done = outrider("doctor", "x.toml")
    assert done.code == 1
    assert "no  file      x.toml:3: app has no 'wether'\n              Did you mean weather" in done.out
    assert done.out.endswith("\nnot ready for x.toml: mend file\n")


def test_an_address_and_a_folder_that_cannot_be(outrider: Shell, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    checks = found(outrider("doctor", "--json", OUTRIDER_BASE_URL="nowhere", OUTRIDER_HOME=str(tmp_path / "file")))
    assert "base_url is 'nowhere'" in checks["server"]["says"]
    assert "is a file" in checks["journal"]["says"]
    assert "OUTRIDER_HOME" in checks["journal"]["fix"]


def test_no_server_is_a_line_and_no_crash(outrider: Shell) -> None:
    done = outrider("doctor", "--json", OUTRIDER_BASE_URL="http://127.0.0.1:9/api/v1")
    assert (done.code, found(done)["server"]["ok"]) == (1, False)
    assert "127.0.0.1:9: Connection refused" in found(done)["server"]["says"]


def test_a_network_that_is_missing_is_said_of_the_server_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    nowhere = Settings(base_url="http://127.0.0.1:9/api/v1", catalogue=True)
    key, server, told = check_online(Wanted("a/b", "from -m"), nowhere)
    assert (key.name, key.ok) == ("key", False)
    assert (server.name, server.ok, "127.0.0.1:9: Connection refused" in server.says) == ("server", False, True)
    assert "network" in server.fix
    assert (told.name, told.says, told.fix) == ("abilities", "not known, for the same reason", "")


def test_a_proxy_that_cannot_be_is_a_line_and_no_crash(outrider: Shell) -> None:
    env = {"OUTRIDER_BASE_URL": "http://elsewhere.invalid/v1", "HTTP_PROXY": "socks5://127.0.0.1:9"}
    done = outrider("doctor", "--json", **env)
    assert (done.code, found(done)["server"]["ok"]) == (1, False)
    assert "not an HTTP proxy" in found(done)["server"]["says"]


def test_runs_on_record_are_counted(outrider: Shell) -> None:
    outrider.server.pages["/key"] = key_page()
    outrider.server.add("Hello.")
    assert outrider("run", "Hi").code == 0
    check = found(outrider("doctor", "--json"))["journal"]
    assert check["ok"] is True
    assert f"{outrider.home}: 1 run, version {SCHEMA}" in check["says"]


def test_a_model_that_cannot_be_is_named(outrider: Shell) -> None:
    checks = found(outrider("doctor", "--json", OUTRIDER_MODEL="local:/no/such.gguf"))
    assert (checks["model"]["ok"], checks["model"]["says"]) == (False, "there is no file /no/such.gguf")


def test_the_embedded_model_is_asked(outrider: Shell, missing: Callable[[str], NoReturn]) -> None:
    if not weights.embedded_path().is_file():
        missing("the local model's weights are not here: outrider local pull")
    env = {"OPENROUTER_API_KEY": "", "OUTRIDER_CACHE": str(weights.cache_home())}
    done = outrider("doctor", "-m", "local", "--json", **env)
    check = found(done)["local"]
    assert (done.code, check["ok"], check["note"]) == (0, True, LIMITS)
    assert "answers" in check["says"]
    plain = outrider("doctor", **env)
    assert plain.code == 1
    assert plain.out.endswith("\nnot ready for a run with qwen/qwen3-14b: mend key; one with -m local can be made\n")
