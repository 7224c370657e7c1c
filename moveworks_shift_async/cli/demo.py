"""`moveworks-shift demo`: a whole bulk send, with a sandbox in the place of Moveworks."""

from __future__ import annotations

import asyncio
from collections import Counter
from importlib.resources import as_file, files

import click
from attrs import frozen

from ..batcher import Batcher, chunks
from ..sandbox import Sandbox
from ..settings import ClientCredentials, MoveworksSettings, RateLimit
from .failures import ExitCode
from .options import json_option
from .outcome import conclude, exit_code
from .recipients import Mailing, load, rate
from .send import show
from .sending import Letter, Result, deliver
from .terminal import note, people, say

# The vendor's 120 requests a minute, scaled so that six requests show the waiting in 5 seconds.
_LIMIT = RateLimit(requests=2, per=2.5)
# Seconds; about what an answer over the internet takes.
_LATENCY = 0.15
_SAMPLE = "people.csv"
_MESSAGE = "The office is closed on Friday."


@frozen(kw_only=True)
class _Check:
    """The client's account beside what the sandbox wrote down."""

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
def demo(as_json: bool) -> int:
    """Send a message to the sample people of a sandbox on this machine. Nothing leaves it."""
    with as_file(files("moveworks_shift_async.sandbox").joinpath(_SAMPLE)) as path:
        mailing = load(str(path), name=_SAMPLE)
    result, check = asyncio.run(_demo(mailing))
    record = {"people": check.told, "told_again": check.told_again}
    conclude(result, mailing, as_json=as_json, sandbox=record)
    (note if as_json else say)(check.line())
    return _exit_code(result, mailing, check)


async def _demo(mailing: Mailing) -> tuple[Result, _Check]:
    async with Sandbox(limit=_LIMIT.requests, window=_LIMIT.per, latency=_LATENCY) as sandbox:
        note(f"demo: {sandbox.url} stands in for Moveworks: {rate(_LIMIT)}")
        show(mailing, _LIMIT)
        settings = MoveworksSettings(
            credentials=ClientCredentials(sandbox.client_id, sandbox.client_secret),
            base_url=sandbox.url,
            rate_limit=_LIMIT,
        )
        letter = Letter(event_id=sandbox.event_id, message=_MESSAGE)
        result = await deliver(letter, mailing, settings)
        return result, _compare(result, mailing, sandbox)


def _compare(result: Result, mailing: Mailing, sandbox: Sandbox) -> _Check:
    """Everybody accepted must have been told, and nobody but them and the unknown."""
    told = Counter(sandbox.received().people)
    cleaned = {address for chunk in chunks(Batcher(), mailing.entries) for address in chunk}
    failed = {address for failure in result.report.failures for address in failure.recipients}
    unknown = {
        address
        for failure in result.report.failures
        for address in failure.recipients
        if failure.outcome == "unknown"
    }
    return _Check(
        told=len(told),
        told_again=sum(times > 1 for times in told.values()),
        agrees=cleaned - failed <= told.keys() <= cleaned - failed | unknown,
    )


def _exit_code(result: Result, mailing: Mailing, check: _Check) -> ExitCode:
    """As `send`, but the sample's invalid rows are no failure, and a wrong account is one."""
    if not check.agrees or check.told_again:
        return ExitCode.DEFECT
    code = exit_code(result, mailing)
    only_invalid = code is ExitCode.REJECTED and not result.report.failures
    return ExitCode.OK if only_invalid else code
