"""`moveworks-shift demo`: a whole job, with a sandbox in the place of Moveworks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from pathlib import Path

import click
from attrs import frozen

from ..errors import InvalidInput
from ..jobs.job import Job
from ..jobs.records import State
from ..jobs.report.account import JobAccount
from ..sandbox import Sandbox
from ..settings import ClientCredentials, MoveworksSettings, RateLimit
from ..storage.system import NO_DIRECTORY
from ..text import people
from .confirmation import rate
from .failures import ExitCode
from .foreground import RunResult, run_in_foreground
from .jobs import account_text, plain_account
from .plan import show_plan
from .shared_options import json_option, option
from .signals import given_back, on_signal, run_loop
from .terminal import note, say

# The vendor's 120 requests a minute, scaled so that six requests show the waiting in 5 seconds.
_LIMIT = RateLimit(requests=2, per=2.5)
# Seconds; about what an answer over the internet takes.
_LATENCY = 0.15
_SAMPLE = "people.csv"
_MESSAGE = "The office is closed on Friday."


_NEXT = """
Next, the same on a file of yours. Nobody is told, and no key is needed.
In a second terminal, until Ctrl-C:
{path}  moveworks-shift sandbox --port 8080 --any-event
In this one, after its line that begins with `export MOVEWORKS_BASE_URL`:
{path}  moveworks-shift plan mine.journal --event 7d9f7a54-3f9e-4c37-8a57-3b1a8f0f6a21 \\
      --message 'Hello' --recipients YOUR_FILE.csv
  moveworks-shift run mine.journal
To tell real people: moveworks-shift guide going-live"""


@frozen(kw_only=True)
class _Check:
    """The journal's account beside what the sandbox wrote down."""

    told: int
    told_again: int
    agrees: bool

    def line(self) -> str:
        """The comparison in words."""
        if self.told_again:
            return f"The sandbox was told {people(self.told_again)} more than once."
        if not self.agrees:
            return f"The sandbox was told {people(self.told)}, and that is another account."
        return f"The sandbox was told {people(self.told)}, each once."


@click.command()
@json_option("DEMO")
@option("--inbox", is_flag=True, help="Leave the sandbox and its page open until Ctrl-C.")
def demo(as_json: bool, inbox: bool) -> int:
    """Plan and run a job against a sandbox on this machine.

    Nothing leaves the machine, and nothing stays on it.
    """
    show = partial(_show, as_json=as_json)
    sample = files("moveworks_shift_async.sandbox").joinpath(_SAMPLE).read_bytes()
    with tempfile.TemporaryDirectory() as directory, _inside(directory):
        Path(_SAMPLE).write_bytes(sample)
        return run_loop(_demo(Job("demo.journal"), show, inbox=inbox))


def _show(ended: RunResult, check: _Check, *, as_json: bool) -> None:
    if as_json:
        record = {"people": check.told, "told_again": check.told_again}
        say(json.dumps(plain_account(ended.account) | {"sandbox": record}))
    else:
        say(account_text(ended.account))
    (note if as_json else say)(check.line())
    if not as_json:
        note(_next_steps())


def _next_steps() -> str:
    """The same job on a file of hers; as README has it."""
    found = shutil.which("moveworks-shift")
    path = "" if found else f'  export PATH="{Path(sys.executable).parent}:$PATH"\n'
    return _NEXT.format(path=path)


def _inside(directory: str) -> contextlib.AbstractContextManager[None]:
    try:
        os.getcwd()
    except FileNotFoundError:
        raise InvalidInput(NO_DIRECTORY) from None
    return contextlib.chdir(directory)


async def _demo(job: Job, show: Callable[[RunResult, _Check], None], *, inbox: bool) -> ExitCode:
    async with Sandbox(limit=_LIMIT.requests, window=_LIMIT.per, latency=_LATENCY) as sandbox:
        note(f"demo: {sandbox.url} stands in for Moveworks: {rate(_LIMIT)}")
        plan = await Job.plan(
            job.path, _SAMPLE, message=_MESSAGE, event_id=sandbox.event_id, rate_limit=_LIMIT
        )
        show_plan(plan)
        settings = MoveworksSettings(
            credentials=ClientCredentials(sandbox.client_id, sandbox.client_secret),
            base_url=sandbox.url,
            rate_limit=_LIMIT,
        )
        with given_back():
            ended = await run_in_foreground(job, settings, job.run, as_json=False)
        check = await _compare(job, ended.account, sandbox)
        show(ended, check)
        if inbox and not ended.interrupted:
            await _leave_open(sandbox)
    return _exit_code(ended, check)


async def _leave_open(sandbox: Sandbox) -> None:
    pressed = asyncio.Event()
    with on_signal(asyncio.get_running_loop(), pressed.set):
        note(f"The sandbox stays open until Ctrl-C. What people see: {sandbox.url}/")
        await pressed.wait()


async def _compare(job: Job, account: JobAccount, sandbox: Sandbox) -> _Check:
    """Everybody accepted must have been told, and nobody but them and the unknown."""
    told = Counter(sandbox.received().people)
    people: dict[State, set[str]] = {State.ACCEPTED: set(), State.UNKNOWN: set()}
    for chunk, recipients in await job.chunks():
        people.setdefault(chunk.state, set()).update(recipients)
    accepted, unknown = people[State.ACCEPTED], people[State.UNKNOWN]
    return _Check(
        told=len(told),
        told_again=sum(times > 1 for times in told.values()),
        agrees=accepted <= told.keys() <= accepted | unknown and len(accepted) == account.accepted,
    )


def _exit_code(ended: RunResult, check: _Check) -> ExitCode:
    """As `run`, but a wrong account is a failure, too."""
    if not check.agrees or check.told_again:
        return ExitCode.DEFECT
    return ended.exit_code()
