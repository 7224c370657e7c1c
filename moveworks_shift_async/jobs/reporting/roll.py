"""The account of a job with a row for each recipient, as CSV.

Most of ten million rows differ from their neighbours in the address alone, so a chunk's rows are
joined at once; the csv module writes those chunks that need it.

What a spreadsheet takes for a formula. A reason may quote a server, whose words are foreign: one
that begins like a formula gets an apostrophe before it. An address is whose row it is: another
character before it would name somebody else, and break every look-up. It holds no bracket, quote
mark or space, so it can call no function, and begins with + or - in honest lists, too. It is left
alone, unless it also holds what a formula needs to reach beyond its sheet, a `!` or a `|`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime

from ...errors import JournalError, Outcome
from ...words import one_line
from ..journal import Journal
from ..records import ChunkRecord, State
from .account import standing
from .newfile import new_file

COLUMNS = ("address", "outcome", "chunk", "time", "reason")

_OUTCOMES = {
    State.PLANNED: Outcome.NOT_SENT,
    State.SENDING: Outcome.NOT_SENT,
    State.ACCEPTED: Outcome.ACCEPTED,
    State.REJECTED: Outcome.REJECTED,
    State.UNKNOWN: Outcome.UNKNOWN,
}
# The second four are their full-width twins, which some spreadsheets read alike.
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # noqa: RUF001
_REACH = ("!", "|")
_RESENT = "sent again after an unknown outcome; perhaps told twice"
_QUOTED = ('"', ",", "\r")


def write_csv(journal: Journal, path: str) -> None:
    """Write whom the job is for and what became of each, in the order of the plan.

    UTF-8 without a byte order mark, lines end with a newline. `time` is the end of the last
    request, or its begin where no end is known, ISO 8601 in UTC. Raises as `new_file` does, and
    `JournalError`; nothing stands at `path` then.
    """
    with journal.snapshot(), new_file(path) as file:
        file.write((",".join(COLUMNS) + "\n").encode())
        for rows in _rows(journal):
            file.write(rows.encode())


def _rows(journal: Journal) -> Iterator[str]:
    recipients = journal.recipients()
    for record in standing(journal):
        number, addresses = next(recipients, (None, ()))
        if number != record.id or len(addresses) != record.people:
            raise JournalError(
                f"{journal.path} is damaged: chunk {record.id} has lost its people."
                " Restore a copy of it"
            )
        yield _chunk(record, addresses)


def _chunk(record: ChunkRecord, addresses: tuple[str, ...]) -> str:
    """The rows of a chunk."""
    rest = (_OUTCOMES[record.state].value, str(record.id), _time(record), _reason(record))
    end = f",{_line(rest)}"
    together = "\n".join(addresses)
    if together.count("\n") == len(addresses) - 1 and not _needs_care(together):
        return f"{together.replace(chr(10), end)}{end}"
    return "".join(f"{_line((_address(address),))[:-1]}{end}" for address in addresses)


def _needs_care(lines: str) -> bool:
    """Whether any of many lines is not to be written as it is; plain searches are the fastest."""
    if any(mark in lines for mark in _QUOTED):
        return True
    if not any(mark in lines for mark in _REACH):
        return False
    return lines.startswith(_FORMULA) or any(f"\n{mark}" in lines for mark in _FORMULA)


def _line(cells: tuple[str, ...]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _address(address: str) -> str:
    reaches = any(mark in address for mark in _REACH)
    return _disarmed(address) if reaches else address


def _reason(record: ChunkRecord) -> str:
    if record.state is State.ACCEPTED:
        return _RESENT if record.resent else ""
    if record.state is State.SENDING:
        return "its request is on its way"
    return _disarmed(one_line(record.reason or record.error or ""))


def _disarmed(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _time(record: ChunkRecord) -> str:
    at = record.ended_at if record.ended_at is not None else record.sent_at
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
