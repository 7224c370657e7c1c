"""`moveworks-shift watch` as a process: what it prints, and how it ends."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest

from moveworks_shift_async import Job

from .commands import end, environment, run, start


@pytest.fixture
async def journal(tmp_path: Path) -> str:
    """A planned job."""
    name = str(tmp_path / "tonight.journal")
    await Job.plan(name, ["ann@example.com"], message="Hello", legacy=True)
    return name


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_prints_the_address_and_serves_until_it_is_told_to_end(
    journal: str, number: signal.Signals
) -> None:
    """The address alone, on stdout; at a Ctrl-C nothing was wrong."""
    command = await start("watch", journal, "--read-only", env=environment())
    assert command.stdout is not None
    line = (await command.stdout.readline()).decode()
    assert line.startswith(f"{journal}: http://127.0.0.1:")
    assert line.endswith("/ until Ctrl-C\n")
    command.send_signal(number)
    ended = await end(command)
    assert (ended.code, ended.out, ended.err) == (0, "", "")


async def test_a_port_that_is_taken_is_named(journal: str) -> None:
    """With what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = await run("watch", journal, "--port", str(port), env=environment())
    assert ended.code == 2
    assert f"the page cannot be served on port {port}: " in ended.err
    assert "choose another --port" in ended.err


async def test_a_job_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """As for `status`."""
    ended = await run("watch", str(tmp_path / "none"), env=environment())
    assert ended.code == 2
    assert "there is no journal" in ended.err
