"""Tasks with images and files: what is sent, recorded, shown, and refused before anything is."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from catalogue_kit import MODELS, model, put
from outrider import Agent, SetupError
from outrider import events as e
from outrider.card import card
from outrider.journal.sqlite import SQLiteJournal
from outrider.observe.logs import log_events
from outrider.observe.story import story
from outrider.openrouter.lists import fetch_endpoints, fetch_models
from outrider.parts import MOST, File, Image, Text, short
from outrider.testing.fake import FakeOpenRouter
from outrider.testing.scripted import ScriptedModel
from shell import Say, Shell

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(200))
CODED = base64.b64encode(PNG).decode()
EYES = "acme/eyes"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    path.write_bytes(PNG)
    return path


@pytest.fixture
def misfits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files in the current folder that cannot be sent."""
    monkeypatch.chdir(tmp_path)
    Path("three.png").write_bytes(b"not an image")
    Path("empty.txt").touch()
    with open("large.pdf", "wb") as large:
        large.truncate(MOST + 1)


def sent(server: FakeOpenRouter) -> list[Any]:
    return [request.json["messages"][-1]["content"] for request in server.requests]


# ------------------------------------------------------------------------------------------------ the wire


async def test_parts_go_over_the_wire_as_openrouter_wants_them(server: FakeOpenRouter, photo: Path) -> None:
    server.add("A cat.")
    report = photo.with_name("report.bin")
    report.write_bytes(b"%PDF-1.7 ...")
    task = [
        Text("Read this first.", cache="1h"),
        "What is on it?",
        Image(photo, detail="low"),
        Image("https://example.org/pictures/cat%20one.jpg?size=3"),
        Image(f"data:image/png;base64,{CODED}"),
        File(str(report)),
        File("https://example.org/terms.pdf", name="terms"),
        File(b"a,b\n1,2\n", name="table.csv"),
    ]
    result = await Agent(EYES, settings=server.settings(), journal=None).run(task)
    assert result.output == "A cat."
    pdf, csv = (base64.b64encode(data).decode() for data in (b"%PDF-1.7 ...", b"a,b\n1,2\n"))
    assert sent(server) == [
        [
            {"type": "text", "text": "Read this first.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            {"type": "text", "text": "What is on it?"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{CODED}", "detail": "low"}},
            {
                "type": "image_url",
                "image_url": {"url": "https://example.org/pictures/cat%20one.jpg?size=3", "detail": "auto"},
            },
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{CODED}", "detail": "auto"}},
            {"type": "file", "file": {"filename": "report.bin", "file_data": f"data:application/pdf;base64,{pdf}"}},
            {"type": "file", "file": {"filename": "terms", "file_data": "https://example.org/terms.pdf"}},
            {"type": "file", "file": {"filename": "table.csv", "file_data": f"data:text/csv;base64,{csv}"}},
        ]
    ]
    assert result.state.task == (
        "Read this first. What is on it? [image photo.png] [image cat one.jpg] [image] "
        "[file report.bin] [file terms] [file table.csv]"
    )


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (PNG, "png"),
        (b"\xff\xd8\xff\xe0 and so on", "jpeg"),
        (b"GIF87a..", "gif"),
        (b"GIF89a..", "gif"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "webp"),
    ],
)
def test_an_image_is_what_its_first_bytes_say(data: bytes, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "misnamed.txt"
    path.write_bytes(data)
    for source in (data, path, str(path)):
        body = json.loads(Agent(ScriptedModel([])).preview([Image(source)]).body)
        assert body["messages"][-1]["content"][0]["image_url"]["url"].startswith(f"data:image/{kind};base64,")


def test_a_text_stays_a_text(server: FakeOpenRouter) -> None:
    server.add("Hi.")
    Agent(EYES, settings=server.settings(), journal=None).run_sync("Hello")
    assert sent(server) == ["Hello"]


# ------------------------------------------------------------------------------------------------ the record


async def test_a_resumed_run_asks_the_same_though_the_file_is_gone(
    server: FakeOpenRouter, photo: Path, journal: SQLiteJournal
) -> None:
    server.add("A cat.", "Grey.")
    agent = Agent(EYES, settings=server.settings(), journal=journal)
    first = await agent.run(["What is on it?", Image(photo)])
    os.unlink(photo)
    second = await agent.resume(first, say="What colour?")
    assert second.output == "Grey."
    before, after = (request.json["messages"] for request in server.requests)
    assert after[: len(before)] == before
    assert CODED in json.dumps(before)
    (resumed,) = [x.event for x in await journal.read(first.run) if isinstance(x.event, e.RunResumed)]
    assert resumed.changed == ()


async def test_a_further_task_goes_on_with_the_image(server: FakeOpenRouter, photo: Path) -> None:
    server.add("A cat.", "Two.", "Three.")
    agent = Agent(EYES, settings=server.settings(), journal=None)
    first = await agent.run(["What is on it?", Image(photo)])
    async with agent.stream([Image(PNG), "And on this?"], history=first) as run:
        assert (await run.result()).output == "Two."
    messages = server.requests[1].json["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert messages[0]["content"][1]["type"] == messages[2]["content"][0]["type"] == "image_url"


async def test_readers_see_the_short_form_and_never_the_data(photo: Path, journal: SQLiteJournal) -> None:
    agent = Agent(ScriptedModel(["A cat."]), journal=journal)
    result = await agent.run([Image(photo), "What is this?", Image(PNG)])
    entries = await journal.read(result.run)
    told = "\n".join(line.text for line in story(entries))
    shown = card(result.state, "finished")
    assert "[image photo.png] What is this? [image]" in told
    assert "[image] What is this? [image]" in shown
    (summary,) = await journal.runs()
    assert summary.totals.task == "[image photo.png] What is this? [image]"
    for text in (told, shown, str(result), repr(result), summary.totals.task):
        assert CODED[:40] not in text
    assert CODED in json.dumps([e.encode(entry.event).decode() for entry in entries])


async def test_the_log_has_the_short_form(photo: Path) -> None:
    from structlog.testing import CapturingLogger

    logger = CapturingLogger()
    agent = Agent(ScriptedModel(["A cat."]), journal=None, observers=[log_events(logger)], instructions="Be brief.")
    await agent.run(["What is it?", Image(photo)])
    instructions, task = logger.calls[0].kwargs["messages"]
    assert instructions == {"role": "system", "content": "Be brief."}
    assert task == {"role": "user", "content": "What is it? [image]"}
    assert CODED[:40] not in str(logger.calls)


async def test_secrets_are_masked_in_every_part(journal: SQLiteJournal) -> None:
    secret = "correct horse battery"
    agent = Agent(ScriptedModel(["ok"]), journal=journal, secrets=[secret])
    result = await agent.run([f"It is {secret}.", File(f"a {secret} z".encode(), name=f"{secret}.txt")])
    record = json.dumps([e.encode(entry.event).decode() for entry in await journal.read(result.run)])
    inside = base64.b64encode(secret.encode())[:20].decode()
    assert result.state.task == "It is [masked]. [file [masked].txt]"
    assert secret not in record
    assert inside not in record
    assert base64.b64encode(f"a {secret} z".encode()).decode() not in record


def test_what_cannot_be_told_is_named_by_its_kind() -> None:
    audio: list[Any] = [{"type": "input_audio", "input_audio": {"data": "AAAA"}}, 3, {"type": "text", "text": "hm"}]
    assert short(audio) == "[input_audio] [part] hm"
    assert short("as it is") == "as it is"


# ------------------------------------------------------------------------------------------------ refused


@pytest.mark.parametrize(
    ("task", "message", "hint"),
    [
        ([Image("there.png")], "there.png cannot be read: No such file or directory", "Did you mean three.png?"),
        ([File("nowhere/else.pdf")], "nowhere/else.pdf cannot be read: No such file", "Name a file that is there."),
        ([Image("a\0b")], "cannot be read", "Name a file that is there."),
        ([Image(".")], ". is no file", "Name one file"),
        ([Image("/dev/zero")], "/dev/zero is no file", "Name one file"),
        ([Image("three.png")], "three.png is no PNG, JPEG, WebP or GIF", "Convert it, or send it as a file"),
        ([Image(b"BM")], "the image is no PNG", "Convert it"),
        ([File(b"data")], "a file of the task has no name", 'Give it one: File(data, name="report.pdf").'),
        ([File("empty.txt")], "empty.txt is empty", "There is nothing in it to send."),
        ([File("large.pdf")], "large.pdf is larger than 20 MB", "Make it smaller, or give its address."),
        ([Image(bytes(MOST + 1))], "the image is larger than 20 MB", "Make it smaller"),
        ([Image("data:image/png;base64," + "A" * 2 * MOST)], "a data: address of the task is too long", "20 MB"),
        ([Image("ftp://example.org/a.png")], "ftp://example.org/a.png is no address that a model can open", "https"),
        ([Image(3)], "the image of the task is 3, of the type int", "Give a path, an address or bytes."),  # pyright: ignore[reportArgumentType]
        ([File(3)], "the file of the task is 3, of the type int", "Give a path"),  # pyright: ignore[reportArgumentType]
        ([File(b"x", 3)], "File.name is 3, of the type int", "Give a text."),  # pyright: ignore[reportArgumentType]
        ([Text("hi", 3)], "Text.cache is 3", "5m"),  # pyright: ignore[reportArgumentType]
        ([Text(3)], "a text of the task is 3", "Say something in it"),  # pyright: ignore[reportArgumentType]
        ([File("odd\udcff.pdf")], r"odd\udcff.pdf cannot be read: No such file", "Name a file that is there."),
        ([Image(3.5, "hgh")], "Image.detail is 'hgh'", "Did you mean high?"),  # pyright: ignore[reportArgumentType]
        ([Text("hi", cache="6m")], "Text.cache is '6m'", "5m"),  # pyright: ignore[reportArgumentType]
        ([Text(" ")], "a text of the task is ' '", "Say something in it, or leave it out."),
        (["", Image(PNG)], "a text of the task is ''", "Say something in it"),
        (Image(PNG), "the task is Image", "Put it in a list"),
        ({"text": "x"}, "the task is {'text': 'x'}, of the type dict", "Give a text, or a list"),
    ],
)
async def test_what_cannot_be_sent_is_refused_before_anything_is_recorded(
    task: Any, message: str, hint: str, misfits: None, journal: SQLiteJournal
) -> None:
    agent = Agent(model := ScriptedModel(["done"]), journal=journal)
    for begin in (agent.run, agent.preview):
        with pytest.raises(SetupError) as refused:
            await begin(task)  # pyright: ignore[reportGeneralTypeIssues]
        assert message in refused.value.message
        assert hint in refused.value.hint
    assert await journal.runs() == []
    assert model.requests == []


async def test_the_local_model_takes_words_only(photo: Path, journal: SQLiteJournal) -> None:
    agent = Agent("local", journal=journal)
    for part, kind in ((Image(photo), "image"), (File(photo), "file")):
        with pytest.raises(SetupError) as refused:
            await agent.run(["What is on it?", part])
        assert refused.value.message == f"local takes text only, and the conversation holds: {kind}"
        assert "outrider models" in refused.value.hint
    assert await journal.runs() == []


async def test_a_model_of_ones_own_may_say_what_it_takes() -> None:
    class Seeing(ScriptedModel):
        inputs = ("text", "image")

    agent = Agent(Seeing(["A cat."]), journal=None)
    assert (await agent.run([Image(PNG)])).output == "A cat."
    with pytest.raises(SetupError, match="scripted takes text and image only, and the conversation holds: file"):
        await agent.run([Image(PNG), File(PNG, "a.png")])


def test_an_odd_address_is_sent_as_text_that_can_be_sent() -> None:
    body = json.loads(Agent(ScriptedModel([])).preview([Image("https://a/\udcff"), Image("http://[")]).body)
    assert [part["image_url"]["url"] for part in body["messages"][0]["content"]] == [r"https://a/\udcff", "http://["]


async def test_a_model_that_the_catalogue_knows_as_text_only_refuses_images(
    server: FakeOpenRouter, journal: SQLiteJournal
) -> None:
    def sees(*inputs: str) -> dict[str, Any]:
        return {"input_modalities": list(inputs)}

    put(
        server, models=[model("acme/words", architecture=sees("text")), model(EYES, architecture=sees("text", "image"))]
    )
    settings = server.settings()
    await fetch_models(settings)
    agent = Agent("acme/words", settings=settings, journal=journal)
    for begin in (agent.run, agent.preview):
        with pytest.raises(SetupError) as refused:
            await begin([Image(PNG)])  # pyright: ignore[reportGeneralTypeIssues]
        assert refused.value.message == "acme/words takes no images, and the conversation holds some"
        assert refused.value.hint.startswith(f"These would do: {EYES} (")
    assert await journal.runs() == []
    server.add("A page.", "A cat.")
    assert (await agent.run([File(PNG, "scan.png")])).output == "A page."  # files are read to it
    seen = await Agent(EYES, settings=settings, journal=journal).run([Image(PNG)])
    assert seen.output == "A cat."
    with pytest.raises(SetupError, match="acme/words takes no images"):
        await agent.run("And in words?", history=seen)
    with pytest.raises(SetupError, match="acme/words takes no images"):
        await agent.resume(seen, say="And in words?")
    fallback = server.settings(models=["acme/words"])
    with pytest.raises(SetupError, match="acme/words takes no images"):
        Agent(EYES, settings=fallback).preview([Image(PNG)])


async def test_without_a_catalogue_the_habits_say_it_and_the_catalogue_knows_better(server: FakeOpenRouter) -> None:
    settings = server.settings()
    with pytest.raises(SetupError, match="qwen/qwen3-14b takes no images") as refused:
        Agent(settings=settings).preview([Image(PNG)])
    assert "outrider models --refresh" in refused.value.hint
    assert Agent("qwen/qwen3-vl-8b-instruct", settings=settings).preview([Image(PNG)]).body
    put(server, models=[model("qwen/qwen3-14b", architecture={"input_modalities": ["text", "image"]}), *MODELS[1:]])
    await fetch_models(settings)
    assert Agent(settings=settings).preview([Image(PNG)]).body
    with pytest.raises(SetupError, match="qwen/qwen3-14b takes no images"):
        Agent(settings=server.settings(catalogue=False)).preview([Image(PNG)])


async def test_an_image_may_fill_the_window_and_reading_a_file_costs_nobody_knows_what(server: FakeOpenRouter) -> None:
    put(server, EYES)
    settings = server.settings()
    await fetch_endpoints(settings, EYES)
    agent = Agent(EYES, settings=settings)
    few, many = (agent.preview(["x", *more]).price for more in ((), (Image(PNG),)))
    assert few is not None
    assert many is not None
    assert many > few
    assert agent.preview(["x", Image("https://example.org/a.png")]).price == many
    assert agent.preview([File(PNG, "a.pdf")]).basis == "what reading a file adds is not listed"


# ------------------------------------------------------------------------------------------ the command line


def test_the_command_line_sends_images_and_files(outrider: Shell) -> None:
    (outrider.work / "photo.png").write_bytes(PNG)
    (outrider.work / "notes.txt").write_text("hello")
    outrider.server.add("A cat.")
    done = outrider("run", "What is on it?", "-m", EYES, "--image", "photo.png", "--file", "notes.txt")
    assert (done.code, done.out) == (0, "A cat.\n"), done.err
    (content,) = sent(outrider.server)
    assert [part["type"] for part in content] == ["text", "image_url", "file"]
    assert CODED[:40] not in done.err
    assert "What is on it? [image photo.png] [file notes.txt]" in outrider("show", "last").out
    assert "[image photo.png]" in outrider("runs").out
    request = outrider("show", "last", "--request", "1")
    assert CODED in request.out
    assert "sha256" in request.err


def test_the_command_line_says_what_is_wrong_with_an_image(outrider: Shell) -> None:
    done = outrider("run", "What is on it?", "--image", "gone.png", "-m", EYES)
    assert (done.code, done.out) == (2, "")
    assert "gone.png cannot be read: No such file or directory" in done.err
    refused = outrider("run", "What is on it?", "--image", "https://example.org/a.png")
    assert refused.code == 2
    assert "qwen/qwen3-14b takes no images" in refused.err
    assert outrider.server.requests == []


@pytest.mark.parametrize(("name", "flag"), [("photo.png", "--image"), ("report.PDF", "--file")])
def test_an_image_in_the_place_of_the_task_is_answered_with_the_flag(say: Say, name: str, flag: str) -> None:
    Path(name).write_bytes(PNG)
    code, _, err = say("run", name)
    assert code == 2
    assert f"{flag} {name}." in err
    assert "<" not in err
