"""What is shown and asked before anything goes out."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ..errors import InvalidInput
from ..jobs.left_out import InvalidLine
from ..jobs.plan.cost import excluding
from ..jobs.plan.plan import Plan
from ..settings import MoveworksSettings, RateLimit
from ..sources.files import STDIN
from ..text import at_least, one_line, people, plural
from .terminal import ask

# Invalid rows that are listed before the rest is only counted.
_LISTED = 10
# One request of the vendor's. More people than this are asked about first.
_ASK_ABOVE = 500


def summary(plan: Plan) -> list[str]:
    """What to show before a send, line by line."""
    source = f"{plan.source}: {plan.read_as}" if plan.read_as else "the address of --test-to"
    least, limit = at_least(plan.least_time), rate(plan.rate_limit)
    return [
        one_line(source),
        f"{people(plan.people)}; left out: {plural(plan.duplicates, 'duplicate')},"
        f" {plural(plan.invalid, 'invalid row')}"
        + (f", {plan.excluded:,} excluded" if plan.exclusions else ""),
        *(f"  excluded: {one_line(excluding(one))}" for one in plan.exclusions),
        *broken_rows(plan),
        f"{plural(plan.chunks, 'request')}; least time {least} at {limit}",
    ]


def broken_rows(plan: Plan) -> list[str]:
    """The first rows that are no address, of the recipients and of each list to exclude."""
    lines = examples(plan.invalid_examples, plan.invalid)
    for one in plan.exclusions:
        found = examples(one.invalid_examples, one.invalid)
        lines += [f"  {one_line(one.source)}:{line[1:]}" for line in found]
    return lines


def examples(rows: Sequence[InvalidLine], count: int) -> list[str]:
    """The first of so many invalid rows, with the reasons."""
    shown = [f"  line {row.line}: {one_line(row.reason)}" for row in rows[:_LISTED]]
    more = count - len(shown)
    return [*shown, *([f"  and {more:,} more"] if more else [])]


def rate(limit: RateLimit) -> str:
    """The rate in words."""
    per = "a minute" if limit.per == 60 else f"every {limit.per:g} s"
    return f"{plural(limit.budget, 'request')} {per}"


def destination(event: str | None, settings: MoveworksSettings) -> str:
    """Where messages go: `to event 7d9f... at https://api.moveworks.ai`."""
    where = "the legacy endpoint" if event is None else f"event {one_line(event)}"
    return f"to {where} at {settings.base_url}"


def confirm(count: int, *, yes: bool, source: object) -> bool:
    """Ask before a large send; say whether to go on. `InvalidInput` if nobody can be asked."""
    if yes or count <= _ASK_ABOVE:
        return True
    if source == STDIN or not sys.stdin or not sys.stdin.isatty():
        raise InvalidInput(
            f"{count:,} people are more than {_ASK_ABOVE}, and standard input is no"
            " terminal to confirm from; add --yes"
        )
    return ask(f"Tell {people(count)}?")
