"""The recipients: read, cleaned, and shown to the user before anything goes out."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from attrs import field, frozen

from ..addresses import address_fault, person
from ..errors import InvalidInput, NotAddresses
from ..jobs.plan.rejects import InvalidLine, not_addresses
from ..limits.window import least_time
from ..models import ChunkOutcome
from ..sending.batcher import Batcher, chunks
from ..settings import MoveworksSettings, RateLimit
from ..sources import RecipientSource, open_recipients
from ..sources.files import STDIN
from ..text import at_least, one_line, people, plural
from .terminal import ask

# Invalid rows that are listed before the rest is only counted.
_LISTED = 10
# One request of the vendor's. More people than this are asked about first.
_ASK_ABOVE = 500


@frozen(kw_only=True)
class Mailing:
    """Whom a send is for."""

    #: The file, for messages.
    name: str = ""
    #: What the file was taken for, in one line.
    description: str
    #: As the file has them; the send cleans them again, in the same way.
    entries: tuple[str, ...] = field(repr=False)
    #: The line of each entry; empty where there is no file.
    lines: tuple[int, ...] = field(default=(), repr=False)
    people: int
    duplicates: int
    invalid: tuple[InvalidLine, ...]
    requests: int

    def refusal(self) -> NotAddresses:
        """The error where no row may be left out."""
        return not_addresses(self.name, len(self.invalid), self.invalid)


def load(
    path: str,
    column: str | None = None,
    encoding: str | None = None,
    *,
    name: str | None = None,
) -> Mailing:
    """Read and clean the recipients of a file, or of standard input for `-`.

    `InvalidInput` where nobody is left. `name` is for messages, if not as `path`.
    """
    entries: list[str] = []
    lines: list[int] = []
    with open_recipients(path, column, encoding=encoding, name=name) as source:
        for block in source.blocks():
            entries += block.entries
            lines += block.lines
        return _clean(source, entries, lines)


def _clean(source: RecipientSource, entries: list[str], lines: list[int]) -> Mailing:
    batcher = Batcher()
    requests = sum(1 for _ in chunks(batcher, entries))
    rows = [InvalidLine(line=lines[i.position], reason=i.reason) for i in batcher.invalid]
    if not requests:
        where = f"{source.name}, line {rows[0].line}" if rows else source.name
        raise InvalidInput(f"{where}: nobody valid, all of {plural(len(rows), 'entry', 'entries')}")
    return Mailing(
        name=source.name,
        description=source.describe(),
        entries=tuple(entries),
        lines=tuple(lines),
        people=batcher.taken - batcher.duplicates - len(rows),
        duplicates=batcher.duplicates,
        invalid=tuple(rows),
        requests=requests,
    )


def only(address: str) -> Mailing:
    """A mailing to one address."""
    fault = address_fault(address.strip())
    if fault is not None:
        raise InvalidInput(f"--test-to is no address: {fault}")
    return Mailing(
        description="the address of --test-to",
        entries=(address,),
        people=1,
        duplicates=0,
        invalid=(),
        requests=1,
    )


def lines_of(mailing: Mailing, failures: Sequence[ChunkOutcome]) -> str:
    """Where the people of these chunks stand in the file: `lines 2 to 545, 1090 to 1633`.

    A chunk holds neighbours, so its first and its last line are enough.
    """
    pairs = zip(mailing.entries, mailing.lines, strict=False)
    # Of two lines for one person the first counts, so it must come last.
    lines = {person(entry.strip()): line for entry, line in reversed([*pairs])}
    spans: list[tuple[int, int, int]] = []  # index of the last chunk, first line, last line
    for failure in failures if lines else ():
        first, last = (lines[person(failure.recipients[i])] for i in (0, -1))
        if spans and spans[-1][0] + 1 == failure.index:
            first = spans.pop()[1]
        spans.append((failure.index, first, last))
    shown = [
        f"{first} to {last}" if first != last else f"{first}" for _, first, last in spans[:_LISTED]
    ]
    more = ["and more"] if len(spans) > _LISTED else []
    return f"lines {', '.join(shown + more)}" if spans else ""


def preview(mailing: Mailing, limit: RateLimit) -> list[str]:
    """What to show before a send, line by line."""
    least = least_time(mailing.requests, limit.budget, limit.per)
    return [
        one_line(mailing.description),
        f"{people(mailing.people)}; left out: {plural(mailing.duplicates, 'duplicate')},"
        f" {plural(len(mailing.invalid), 'invalid row')}",
        *examples(mailing.invalid, len(mailing.invalid)),
        f"{plural(mailing.requests, 'request')}; least time {at_least(least)} at {rate(limit)}",
    ]


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


def confirm(count: int, *, yes: bool, source: str | None) -> bool:
    """Ask before a large send; say whether to go on. `InvalidInput` if nobody can be asked."""
    if yes or count <= _ASK_ABOVE:
        return True
    if source == STDIN or not sys.stdin or not sys.stdin.isatty():
        raise InvalidInput(
            f"{count:,} people are more than {_ASK_ABOVE}, and standard input is no"
            " terminal to confirm from; add --yes"
        )
    return ask(f"Tell {people(count)}?")
