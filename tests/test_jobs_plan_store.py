"""A plan in a file: what is left when nobody waits for it any more."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from moveworks_shift_async.jobs.records import Header
from moveworks_shift_async.jobs.store.sqlite.job_store import SqliteStore
from moveworks_shift_async.jobs.store.sqlite.journal import Journal

from .commands import HANG
from .planned import header_of


async def test_cancelled_as_its_file_is_made_a_plan_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that was just being made is removed, and the name is free."""
    create, cancelled = Journal.create, threading.Event()

    def slow(path: str, header: Header) -> Journal:
        assert cancelled.wait(HANG)
        return create(path, header)

    monkeypatch.setattr(Journal, "create", slow)
    store = SqliteStore.at(str(tmp_path / "job"))
    task = asyncio.create_task(store.plan(header_of()))
    await asyncio.sleep(0)
    task.cancel()
    cancelled.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert os.listdir(tmp_path) == []
