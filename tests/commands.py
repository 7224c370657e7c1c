"""The command line as a user runs it: in processes of its own, for the tests."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

import moveworks_shift_async
from moveworks_shift_async.cli import main
from moveworks_shift_async.sandbox import Sandbox

PACKAGE = Path(moveworks_shift_async.__file__).parent
SAMPLE = str(PACKAGE / "sandbox" / "people.csv")
COMMAND = (sys.executable, "-m", "moveworks_shift_async")
# Seconds. A hang is a failure; a machine that is busy with something else is not.
HANG = 120.0
#: The processes of the running test; `conftest` ends those that it leaves behind.
STARTED: list[asyncio.subprocess.Process] = []


@frozen
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """The last line on stderr."""
        return self.err.splitlines()[-1]

    def json(self) -> Any:
        """The one object on stdout."""
        assert self.out.count("\n") == 1
        return json.loads(self.out)


def environment(sandbox: Sandbox | None = None, **more: str) -> dict[str, str]:
    """The variables of a user who works with that sandbox, or who has set none."""
    mine = {k: v for k, v in os.environ.items() if not k.startswith(("MOVEWORKS_", "SHIFT_"))}
    mine["PYTHONPATH"] = str(PACKAGE.parent)
    mine.pop("PYTHONDONTWRITEBYTECODE", None)  # a fifth of a command's start is compiling
    if sandbox is not None:
        mine |= {"MOVEWORKS_BASE_URL": sandbox.url, "MOVEWORKS_API_KEY": sandbox.api_key}
        mine |= {"SHIFT_BASE_URL": sandbox.url, "SHIFT_CLIENT_ID": sandbox.shift_client_id}
        mine |= {"SHIFT_CLIENT_SECRET": sandbox.shift_client_secret}
    return mine | more


async def spawn(*command: str, **options: Any) -> asyncio.subprocess.Process:
    """Start a process that does not outlive the test."""
    process = await asyncio.create_subprocess_exec(*command, **options)
    STARTED.append(process)
    return process


async def start(*args: str, env: dict[str, str], **more: Any) -> asyncio.subprocess.Process:
    """Start a command."""
    pipe = asyncio.subprocess.PIPE
    streams: dict[str, Any] = {"stdin": pipe, "stdout": pipe, "stderr": pipe} | more
    return await spawn(*COMMAND, *args, env=env, **streams)


async def heard(process: asyncio.subprocess.Process) -> None:
    """Wait until a command says that it has heard a signal: two that are pending are one."""
    assert process.stderr is not None
    async with asyncio.timeout(HANG):
        while not (line := await process.stderr.readline()).startswith(b"stopping"):
            assert line, "it has ended"


async def end(process: asyncio.subprocess.Process, stdin: bytes = b"") -> Ended:
    """Wait for a command; none ever shows a traceback or a secret."""
    out, err = await asyncio.wait_for(process.communicate(stdin), HANG)
    assert process.returncode is not None
    for secret in (b"sandbox_api_key", b"mws_", b"b8f5a1c6-7d43", b"Traceback"):
        assert secret not in out + err
    return Ended(process.returncode, out.decode(), err.decode())


async def run(*args: str, env: dict[str, str], stdin: bytes = b"") -> Ended:
    """Run a command to its end."""
    return await end(await start(*args, env=env), stdin)


async def run_here(
    *args: str, env: dict[str, str], patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Ended:
    """Run a command in this process, where a test has changed how long it waits."""
    for name, value in env.items():
        patch.setenv(name, value)
    code = await asyncio.to_thread(main.run, args)
    shown = capsys.readouterr()
    return Ended(code, shown.out, shown.err)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(HANG):
        while not condition():  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(0.05)


async def on_terminal(
    *args: str,
    env: dict[str, str],
    answer: bytes = b"",
    meanwhile: Callable[[asyncio.subprocess.Process], Awaitable[None]] | None = None,
) -> tuple[int, str]:
    """Run a command on a terminal, answer its question; the exit code and what was shown."""
    ours, theirs = pty.openpty()
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    process = await start(*args, env=env | {"TERM": "xterm", "COLUMNS": "100"}, **streams)
    os.close(theirs)
    os.write(ours, answer)
    reading = asyncio.create_task(asyncio.to_thread(_read_all, ours))
    if meanwhile is not None:
        await meanwhile(process)
    screen = await reading
    os.close(ours)
    return await asyncio.wait_for(process.wait(), HANG), screen


def _read_all(terminal: int) -> str:
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 65_536)
        except OSError:  # Linux's word for: the other side is closed
            return shown.decode()
        if not piece:
            return shown.decode()
        shown += piece
