"""A database of its own for a fleet, and its workers as processes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from attrs import define, field

from moveworks_shift_async import Job
from moveworks_shift_async.fleet.tables import make_fleet
from moveworks_shift_async.storage.postgres import connected

from .commands import start

MESSAGE = "The VPN is down tonight."


@contextlib.asynccontextmanager
async def a_database(server: str, *, tables: bool = True) -> AsyncIterator[str]:
    """The URL of a new database, for workers take whatever their database holds."""
    name = f"fleet_{uuid4().hex}"
    async with connected(server) as connection:
        await connection.execute(f"CREATE DATABASE {name}")
    url = urlsplit(server)._replace(path=f"/{name}").geturl()
    try:
        if tables:
            await make_fleet(url)
        yield url
    finally:
        async with connected(server) as connection:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def ask(url: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """What a statement finds, in our tables and the engine's."""
    async with connected(url) as connection:
        await connection.execute("SET search_path = moveworks_shift, moveworks_shift_queue")
        found = await connection.execute(statement.encode(), values)
        return await found.fetchall() if found.description else []


async def a_job(url: str, name: str = "tonight", *, chunks: int = 3, size: int = 2) -> Job:
    """A planned job of so many requests, each with a text of its own."""
    people = (
        {"email": f"p{chunk}.{number}@example.com", "chunk": chunk}
        for chunk in range(chunks)
        for number in range(size)
    )
    await Job.plan(f"{url}#{name}", people, template=f"{MESSAGE} {{chunk}}", legacy=True)
    return Job(f"{url}#{name}")


@define(eq=False)
class Worker:
    """A worker as a process, and what it has said."""

    process: asyncio.subprocess.Process
    lines: list[str] = field(factory=list)

    @classmethod
    async def started(cls, url: str, env: dict[str, str], *args: str) -> Worker:
        """One that is ready for jobs."""
        worker = cls(await start("fleet", "worker", url, *args, env=env))
        await worker.says("ready for the jobs of")
        return worker

    async def says(self, words: str) -> str:
        """Wait until it says this, or has said so."""
        async with asyncio.timeout(120):
            while not any(words in line for line in self.lines):
                assert self.process.stderr is not None
                line = (await self.process.stderr.readline()).decode()
                assert line, f"it has ended after {self.lines}"
                self.lines.append(line.rstrip("\n"))
        return next(line for line in self.lines if words in line)

    async def ended(self) -> int | None:
        """Wait for its end; its exit code."""
        assert self.process.stderr is not None
        rest = await asyncio.wait_for(self.process.stderr.read(), 120)
        self.lines += rest.decode().splitlines()
        return await asyncio.wait_for(self.process.wait(), 120)
