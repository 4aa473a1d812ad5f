"""outrider worker: a process that does the submitted runs of its agents."""

import asyncio
import signal
from typing import TYPE_CHECKING, Any

import click

from outrider.cli.names import agent_named, named
from outrider.cli.text import note
from outrider.errors import SetupError, without_extra
from outrider.telling import counted

if TYPE_CHECKING:
    from outrider.temporal.leg import Served


@click.command("worker")
@click.argument("agents", nargs=-1, required=True, metavar="MODULE:AGENT...")
@click.option("--most", default=100, metavar="N", help="Runs at once, of all agents together (100).")
@click.option("--temporal", default="", metavar="HOST:PORT", help="The server (TEMPORAL_ADDRESS, or localhost:7233).")
@click.option("--http", default="", metavar="HOST:PORT", help="Tell /health and /metrics there.")
def command(agents: tuple[str, ...], most: int, temporal: str, http: str) -> int:
    """Do the submitted runs of these agents, beside any number of other workers, until told to stop.

    \b
      outrider worker app:clerk app:cashier=20 --http 127.0.0.1:9464

    MODULE:AGENT=N does at most N runs of that agent at once. Runs are kept in OUTRIDER_JOURNAL, which all workers and
    submitters share; how to get to Temporal is said by its own variables (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE,
    TEMPORAL_API_KEY, TEMPORAL_TLS_...). Told to stop (SIGTERM, Ctrl-C) it hands its runs over; told twice it ends.
    """
    where = _address(http) if http else None
    served = [_served(name) for name in agents]
    asyncio.run(_work(served, most, temporal, where))
    return 0


async def _work(served: "list[Served]", most: int, temporal: str, http: tuple[str, int] | None) -> None:
    from outrider.temporal.client import connect
    from outrider.temporal.worker import look_into, serve

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    client = await connect(temporal)
    await look_into(each.agent.journal for each in served)  # who starts it is told; later it waits for one that is away
    names = ", ".join(each.agent.name for each in served)
    note(f"working for {names}; runs are kept in {served[0].agent.journal}")
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _stopped, stop, number)
    figures = await serve(served, client, stop, most=most, http=http)
    note(f"stopped, after {counted(figures.legs, 'leg')}")


def _stopped(stop: asyncio.Event, number: signal.Signals) -> None:
    if stop.is_set():
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
    note("stopping; runs are handed over; once more ends it at once")
    stop.set()


def _served(name: str) -> "Served":
    try:
        from outrider.temporal.leg import Served
    except ImportError as error:
        raise without_extra("a worker", "temporal", error) from None
    path, _, most = name.partition("=")
    found: Any = named(path, "agent")
    served = found if isinstance(found, Served) else Served(agent_named(path))
    if most and not (most.isdigit() and int(most)):
        raise SetupError(f"{name!r} does not say how many runs", f"Write {path}=20, for instance.")
    return Served(served.agent, served.deps, int(most)) if most else served


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise SetupError(f"--http is {text!r}", "Write a host and a port, as in 127.0.0.1:9464.")
    return host, int(port)
