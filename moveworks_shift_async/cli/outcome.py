"""The end of a send: a table that adds up, one line for each kind of failure, the exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rich import box
from rich.table import Table

from ..errors import MoveworksError, NotSent, Outcome
from ..models import BulkReport, ChunkOutcome
from ..text import duration, people, plural
from .failures import ExitCode, exit_code, what_happened
from .recipients import Mailing, lines_of
from .sending import Result
from .terminal import note, render, say

_WORDS = {
    Outcome.REJECTED: ("rejected", "They were not told"),
    Outcome.UNKNOWN: ("unknown", "They may have been told or not"),
    Outcome.NOT_SENT: ("not sent", "They were not told"),
}


def conclude(result: Result, mailing: Mailing, *, as_json: bool, **more: Any) -> ExitCode:
    """Print how it ended and return the exit code. `more` goes into the JSON object."""
    report = result.report
    table = f"\n{render(_table(report), err=as_json)}\n\n{_numbers(report)}"
    if as_json:
        note(table)
        say(json.dumps(account(report, mailing) | more))
    else:
        say(table)
    for line in _lines(result, mailing, as_json=as_json):
        note(line)
    return exit_code(
        *map(_error, report.failures),
        accepted=report.accepted,
        unknown=report.unknown,
        untold=report.rejected + report.not_sent,
        interrupted=result.interrupted,
    )


def account(report: BulkReport, mailing: Mailing) -> dict[str, Any]:
    """The account as plain values. Counts are people; addresses only where they were not told."""
    return {
        "accepted": report.accepted,
        "rejected": report.rejected,
        "unknown": report.unknown,
        "not_sent": report.not_sent,
        "duplicates": report.duplicates,
        "invalid": len(report.invalid),
        "invalid_rows": invalid_rows(mailing),
        "requests": report.requests,
        "throttled": report.throttled,
        "seconds": round(report.elapsed, 3),
        "failures": [_failure(failure) for failure in report.failures],
    }


def invalid_rows(mailing: Mailing) -> list[dict[str, Any]]:
    """Line and reason of each invalid row."""
    return [{"line": row.line, "reason": row.reason} for row in mailing.invalid]


def _failure(failure: ChunkOutcome) -> dict[str, Any]:
    error = _error(failure)
    return {
        "index": failure.index,
        "outcome": failure.outcome.value,
        "recipients": list(failure.recipients),
        "error": type(error).__name__,
        "message": str(error),
        "attempts": failure.attempts,
    }


def _error(failure: ChunkOutcome) -> MoveworksError:
    return failure.error or NotSent("not sent")


def _table(report: BulkReport) -> Table:
    known = report.accepted + report.rejected + report.unknown + report.not_sent
    table = Table(box=box.HORIZONTALS, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("accepted", f"{report.accepted:,}")
    table.add_row("rejected", f"{report.rejected:,}")
    table.add_row("unknown", f"{report.unknown:,}")
    table.add_row("not sent", f"{report.not_sent:,}", end_section=True)
    table.add_row("people", f"{known:,}")
    table.add_row("duplicates", f"{report.duplicates:,}")
    table.add_row("invalid", f"{len(report.invalid):,}", end_section=True)
    table.add_row("entries read", f"{known + report.duplicates + len(report.invalid):,}")
    return table


def _numbers(report: BulkReport) -> str:
    return (
        f"{plural(report.requests, 'request')}, {report.throttled:,} answered 429,"
        f" {duration(report.elapsed)}"
    )


def _lines(result: Result, mailing: Mailing, *, as_json: bool) -> Iterator[str]:
    """What went wrong, what it means for the people, and what to do."""
    report = result.report
    for group in _kinds(report):
        yield _kind_line(group)
    if mailing.invalid:
        rows = plural(len(mailing.invalid), "row")
        yield f"invalid: {rows} left out. Nobody there was told. Correct and send those rows alone."
    if report.failures:
        yield _who(report, mailing, as_json=as_json)


def _kinds(report: BulkReport) -> list[list[ChunkOutcome]]:
    groups: dict[tuple[Outcome, type[MoveworksError]], list[ChunkOutcome]] = {}
    for failure in report.failures:
        groups.setdefault((failure.outcome, type(_error(failure))), []).append(failure)
    return list(groups.values())


def _kind_line(group: list[ChunkOutcome]) -> str:
    label, told = _WORDS[group[0].outcome]
    error = _error(group[0])
    count = people(sum(len(failure.recipients) for failure in group))
    happened = what_happened(error).removeprefix("not sent: ")
    return f"{label}: {count}: {happened}. {told}. {error.advice}."


def _who(report: BulkReport, mailing: Mailing, *, as_json: bool) -> str:
    untold = [f for f in report.failures if f.outcome is not Outcome.UNKNOWN]
    unknown = [f for f in report.failures if f.outcome is Outcome.UNKNOWN]
    parts = [
        ", ".join(filter(None, (f"{label}: {people(count)}", lines_of(mailing, failures))))
        for label, count, failures in (
            ("not told", report.rejected + report.not_sent, untold),
            ("told or not told", report.unknown, unknown),
        )
        if count
    ]
    where = '"failures" in the JSON object holds' if as_json else "With --json the account lists"
    again = f"; to send the whole file again tells {people(report.accepted)} twice"
    return (
        f"{'; '.join(parts)}. {where} the addresses"
        f"{again if report.accepted and not as_json else ''}."
    )
