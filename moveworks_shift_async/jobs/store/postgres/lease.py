"""Which runs of a job live, and what dead ones leave behind. Time is the database's."""

from __future__ import annotations

from ....storage.postgres import Connection
from ...records import UNWRITTEN
from .statements import row, rows, run

# Why nobody knows what became of a request whose run died.
_SILENT = "the process that sent it was gone, or silent for longer than its lease"
_TAKEN_OVER = "another database server took over, without what was written last"


async def alive(connection: Connection, job: int) -> frozenset[str]:
    """The runs whose lease holds."""
    return frozenset(found[0] for found in await rows(connection, "alive", (job,)))


async def renew(
    connection: Connection, job: int, runs: list[str], lease: float
) -> tuple[frozenset[str], float | None]:
    """Renew the leases of these; those that are among the living still, and the database's time."""
    values = {"job": job, "runs": runs, "lease": lease}
    found = await rows(connection, "beat", values)
    return frozenset(one for one, _ in found), found[0][1] if found else None


async def give_up_dead(connection: Connection, job: int) -> None:
    """Make unknown what dead runs had on its way, and nobody's what they had claimed.

    Where another server has taken over, what they may have sent meanwhile is unknown as well.
    """
    found = await rows(connection, "give_up", {"job": job})
    if not found:
        return
    dead = {"job": job, "dead": [one for one, _, _ in found]}
    await run(connection, "orphans", dead | {"silent": _SILENT, "unwritten": UNWRITTEN})
    elsewhere = {one: requests for one, cut_off, requests in found if cut_off}
    if elsewhere:
        doubt = {"job": job, "dead": [*elsewhere], "requests": sum(elsewhere.values())}
        await run(connection, "doubt", doubt | {"reason": _TAKEN_OVER})
    await run(connection, "release", dead)


async def others_hold(connection: Connection, job: int, mine: list[str]) -> bool:
    """Whether other living runs have chunks that may come back."""
    found = await row(connection, "held", {"job": job, "mine": mine})
    return found is not None and bool(found[0])
