"""Chunks that are divided: by a refusal, or for the first of their people."""

from __future__ import annotations

from collections.abc import Sequence

from ....storage.postgres import Connection
from ..first import Chosen, First, Share, choose
from ..rows import pack, unpack
from .statements import row, rows, run, value


async def choose_first(connection: Connection, job: int, owner: str, first: First) -> None:
    """Claim so many people for this run, or all whom no other run has."""
    left, tried = first.people, set[int]()
    while left:
        # Each chunk holds somebody, so as many chunks are enough.
        most = None if first.sample else left + len(tried)
        free = await rows(connection, "free", {"job": job, "most": most})
        wanted = First(people=left, sample=first.sample)
        shares = choose((one for one in free if one[0] not in tried), wanted)
        if not shares:
            return
        tried.update(share.chunk for share in shares)
        for share in await _taken(connection, job, owner, shares):
            left -= share.people
            if share.divides:
                await _divide(connection, job, owner, share)


async def _taken(
    connection: Connection, job: int, owner: str, shares: Sequence[Share]
) -> list[Share]:
    """Those that no other run has claimed meanwhile."""
    values = {"job": job, "owner": owner, "chunks": [share.chunk for share in shares]}
    mine = {found[0] for found in await rows(connection, "take", values)}
    return [share for share in shares if share.chunk in mine]


async def _divide(connection: Connection, job: int, owner: str, share: Share) -> None:
    of = {"job": job, "chunk": share.chunk}
    people = unpack(await value(connection, "addresses", of))
    await run(connection, "divide", of)
    parts = [(people[: share.people], owner), (people[share.people :], None)]
    await add_parts(connection, job, share.chunk, parts)


async def chosen_by(connection: Connection, job: int, owner: str) -> Chosen:
    """What this run has to itself and has not sent."""
    found = await row(connection, "chosen", {"job": job, "owner": owner})
    chunks, people = found or (0, 0)
    return Chosen(chunks=chunks, people=people)


async def add_parts(
    connection: Connection,
    job: int,
    whole: int,
    parts: Sequence[tuple[Sequence[str], str | None]],
) -> None:
    """New planned chunks, each with the run whose it stays if that is one for the first ones."""
    last = await value(connection, "take_numbers", (len(parts), job))
    for number, (people, owner) in enumerate(parts, last - len(parts)):
        values = {"job": job, "id": number, "people": len(people), "whole": whole, "owner": owner}
        await run(connection, "add_part", values)
        await run(connection, "add_address", (job, number, pack(people)))
