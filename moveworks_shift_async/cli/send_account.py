"""The end of a send without a journal: a table that adds up, one line for each kind of failure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from attrs import field, frozen
from rich import box
from rich.table import Table

from ..errors import MoveworksError, NotSent, Outcome, error_class
from ..jobs.job import Job
from ..jobs.left_out import InvalidLine
from ..jobs.records import ChunkRecord, State
from ..text import duration, people, plural
from .failures import ExitCode, what_happened
from .foreground import RunResult
from .line_numbers import Reopen, lines_of
from .temporary import without_resume
from .terminal import note, render, say

_NOT_RESUMED = (
    "A send without a journal cannot be resumed; with --journal FILE it can, from where it ended."
)


@frozen(kw_only=True)
class Failure:
    """A chunk that was not accepted."""

    index: int
    outcome: Outcome
    kind: type[MoveworksError]
    #: The error's own message.
    message: str
    requests: int
    recipients: tuple[str, ...] = field(repr=False)


@frozen(kw_only=True)
class SendAccount:
    """What has become of everybody; the journal that it was read from is about to be removed."""

    run: RunResult
    failures: tuple[Failure, ...]
    invalid: tuple[InvalidLine, ...]

    def people(self, outcome: Outcome) -> int:
        """How many have met it."""
        return _count(failure for failure in self.failures if failure.outcome is outcome)


def _count(failures: Iterable[Failure]) -> int:
    return sum(len(failure.recipients) for failure in failures)


async def read_send(job: Job, run: RunResult) -> SendAccount:
    """The account of a send, with whom each failure concerns."""
    account, rest = run.account, _rest(run)
    chunks = [] if account.accepted == account.people else await job.chunks()
    return SendAccount(
        run=run,
        failures=tuple(
            _failure(chunk, recipients, rest)
            for chunk, recipients in chunks
            if chunk.state is not State.ACCEPTED
        ),
        invalid=tuple(await job.invalid()),
    )


def _rest(run: RunResult) -> MoveworksError:
    """What is to be said of those for whom no request was made."""
    if run.stopped is None:
        return NotSent(f"not sent: {'interrupted' if run.interrupted else 'stopped'}")
    if not run.account.runs:  # the auth test has ended it
        return run.stopped.cause
    return NotSent(f"not sent: {without_resume(run.stopped).removeprefix('the job stopped: ')}")


def _failure(chunk: ChunkRecord, recipients: tuple[str, ...], rest: MoveworksError) -> Failure:
    kind, message = type(rest), str(rest)
    if chunk.error is not None:
        kind, message = error_class(chunk.error) or MoveworksError, chunk.reason or ""
    outcome = Outcome.NOT_SENT
    if chunk.state is State.UNKNOWN:
        outcome = Outcome.UNKNOWN
    # What concerns everybody leaves a chunk planned: here nobody will send it again.
    elif chunk.state is State.REJECTED or (chunk.requests and kind.outcome is Outcome.REJECTED):
        outcome = Outcome.REJECTED
    return Failure(
        index=chunk.id,
        outcome=outcome,
        kind=kind,
        message=message,
        requests=chunk.requests,
        recipients=recipients,
    )


def conclude(account: SendAccount, source: Reopen | None, *, as_json: bool) -> ExitCode:
    """Print how it ended and return the exit code."""
    table = f"\n{render(_table(account), err=as_json)}\n\n{_numbers(account)}"
    if as_json:
        note(table)
        say(json.dumps(_plain(account)))
    else:
        say(table)
    for line in _lines(account, source, as_json=as_json):
        note(line)
    return account.run.exit_code()


def _plain(account: SendAccount) -> dict[str, Any]:
    """The account as plain values. Counts are people; addresses only where they were not told."""
    job = account.run.account
    return {
        "accepted": job.accepted,
        "rejected": account.people(Outcome.REJECTED),
        "unknown": account.people(Outcome.UNKNOWN),
        "not_sent": account.people(Outcome.NOT_SENT),
        "excluded": job.excluded,
        "duplicates": job.duplicates,
        "invalid": job.invalid,
        "invalid_rows": invalid_rows(account.invalid),
        "requests": job.requests,
        "throttled": job.throttled,
        "seconds": round(job.elapsed, 3),
        "failures": [_plain_failure(failure) for failure in account.failures],
    }


def invalid_rows(invalid: Sequence[InvalidLine]) -> list[dict[str, Any]]:
    """Line and reason of each invalid row."""
    return [{"line": row.line, "reason": row.reason} for row in invalid]


def _plain_failure(failure: Failure) -> dict[str, Any]:
    return {
        "index": failure.index,
        "outcome": failure.outcome.value,
        "recipients": list(failure.recipients),
        "error": failure.kind.__name__,
        "message": failure.message,
        "attempts": failure.requests,
    }


def _table(account: SendAccount) -> Table:
    job = account.run.account
    table = Table(box=box.HORIZONTALS, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("accepted", f"{job.accepted:,}")
    table.add_row("rejected", f"{account.people(Outcome.REJECTED):,}")
    table.add_row("unknown", f"{account.people(Outcome.UNKNOWN):,}")
    table.add_row("not sent", f"{account.people(Outcome.NOT_SENT):,}", end_section=True)
    table.add_row("people", f"{job.people:,}")
    if job.exclusions:
        table.add_row("excluded", f"{job.excluded:,}")
    table.add_row("duplicates", f"{job.duplicates:,}")
    table.add_row("invalid", f"{job.invalid:,}", end_section=True)
    table.add_row("entries read", f"{job.entries:,}")
    return table


def _numbers(account: SendAccount) -> str:
    job = account.run.account
    requests = plural(job.requests, "request")
    return f"{requests}, {job.throttled:,} answered 429, {duration(job.elapsed)}"


def _lines(account: SendAccount, source: Reopen | None, *, as_json: bool) -> Iterator[str]:
    """What went wrong, what it means for the people, and what to do."""
    yield from _kinds(account.failures)
    if invalid := account.run.account.invalid:
        rows = plural(invalid, "row")
        yield f"invalid: {rows} left out. Nobody there was told. Correct and send those rows alone."
    if account.failures:
        yield _who(account, source, as_json=as_json)
    if account.run.account.runs and account.people(Outcome.NOT_SENT):
        yield _NOT_RESUMED


def _kinds(failures: Sequence[Failure]) -> Iterator[str]:
    """A line for each kind of failure, with the first message of that kind."""
    kinds: dict[tuple[Outcome, type[MoveworksError]], list[Failure]] = {}
    for failure in failures:
        kinds.setdefault((failure.outcome, failure.kind), []).append(failure)
    for (outcome, error), alike in kinds.items():
        happened = what_happened(alike[0].message or error.__name__).removeprefix("not sent: ")
        unknown = outcome is Outcome.UNKNOWN
        told = "They may have been told or not" if unknown else "They were not told"
        label = outcome.replace("_", " ")
        yield f"{label}: {people(_count(alike))}: {happened}. {told}. {error.advice}."


def _who(account: SendAccount, source: Reopen | None, *, as_json: bool) -> str:
    """How many were not told, or may have been, and where they stand in the file."""
    unknown = [f for f in account.failures if f.outcome is Outcome.UNKNOWN]
    untold = [f for f in account.failures if f.outcome is not Outcome.UNKNOWN]
    parts = []
    for label, failures in (("not told", untold), ("told or not told", unknown)):
        if failures:
            count = people(_count(failures))
            where = lines_of(source, [(f.index, f.recipients) for f in failures])
            parts.append(", ".join(filter(None, (f"{label}: {count}", where))))
    accepted, excluded = account.run.account.accepted, account.run.account.excluded
    where = '"failures" in the JSON object holds' if as_json else "With --json the account lists"
    again = f"; to send the whole file again tells {people(accepted)} twice"
    told = f"{'; '.join(parts)}. {where} the addresses{again if accepted and not as_json else ''}."
    return f"{told} With these lines, exclude the same people again." if excluded else told
