"""Many machines: Temporal gives out the work, the journal keeps it. Needs the extra ``temporal``.

    order.py        what Temporal is told of a run: its name and its agent's, nothing more
    workflow.py     one leg after the other until the run is over; it holds no facts
    leg.py          one leg: a run is claimed and driven until it rests
    worker.py       a process that takes legs, and what it tells of itself over HTTP
    client.py       the way to the server; runs submitted, awaited and woken

A leg is one activity. A later attempt takes the run over at once; what the earlier one still says is refused.
"""

__all__: list[str] = []
