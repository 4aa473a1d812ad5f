"""For tests of agents, ours and yours: a model that replies by script, a fake OpenRouter, a closed network.

ScriptedModel, Calls        replies by turn, no server: ``Agent(ScriptedModel(["Hello."]))``
FakeOpenRouter, FakeReply   a real server on loopback that answers, fails and counts
faults                      what goes wrong on the way, each as a FakeReply: ``faults.error_mid_stream()``
Recorder                    a real model's replies, asked for once and kept in a file
record, replay              a whole run kept in a file, and done again from it
only_loopback               a context manager; with pytest, the fixture of the same name
openrouter, no_waiting      fixtures of pytest: a FakeOpenRouter that runs and has nothing to say yet; retries at once

A test of what your agent makes of replies:

    def test_it_adds() -> None:
        model = ScriptedModel([Calls(("add", {"a": 2, "b": 3})), "It is 5."])
        result = Agent(model, tools=[add], journal=None).run_sync("2 and 3?")
        assert result.output == "It is 5."
        assert model.bodies[1]["messages"][-1]["content"] == "5"

A real run as a test, kept once with `outrider export last > tests/runs/sum.jsonl`:

    def test_the_sum() -> None:
        assert replay(agent, "tests/runs/sum.jsonl").output == "It is 5."

A test over HTTP, with the client that speaks to OpenRouter:

    def test_it_survives_a_busy_server() -> None:
        with FakeOpenRouter([faults.status(503), "Hello."]) as server:
            result = Agent(settings=server.settings(), journal=None).run_sync("Say hello.")
        assert result.output == "Hello."
        assert len(server.requests) == 2
"""

from outrider.testing import faults
from outrider.testing.fake import FakeOpenRouter, FakeReply, FakeRequest
from outrider.testing.guard import NetworkBlocked, only_loopback
from outrider.testing.recorder import Recorder
from outrider.testing.replays import record, replay
from outrider.testing.scripted import Calls, ScriptedModel

__all__ = [
    "Calls",
    "FakeOpenRouter",
    "FakeReply",
    "FakeRequest",
    "NetworkBlocked",
    "Recorder",
    "ScriptedModel",
    "faults",
    "only_loopback",
    "record",
    "replay",
]
