"""For tests of agents, ours and yours: a model that replies by script, a fake OpenRouter, a closed network.

ScriptedModel, Calls        replies by turn, no server: ``Agent(ScriptedModel(["Hello."]))``
FakeOpenRouter, FakeReply   a real server on loopback that answers, fails and counts
only_loopback               a context manager; with pytest, the fixture of the same name
"""

from outrider.testing.fake import FakeOpenRouter, FakeReply, FakeRequest
from outrider.testing.guard import NetworkBlocked, only_loopback
from outrider.testing.scripted import Calls, ScriptedModel

__all__ = [
    "Calls",
    "FakeOpenRouter",
    "FakeReply",
    "FakeRequest",
    "NetworkBlocked",
    "ScriptedModel",
    "only_loopback",
]
