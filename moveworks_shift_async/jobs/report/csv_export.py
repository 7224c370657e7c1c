"""The account of a job with a row for each recipient, as CSV, and one for each entry left out.

Most of ten million rows differ from their neighbours in the address alone, so a chunk's rows are
joined at once; the csv module writes those chunks that need it. `csv_cells` says how a cell is
written that a spreadsheet would take for a formula.
"""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import BinaryIO

from ...errors import JournalError, Outcome
from ...storage.atomic import go_on
from ...text import one_line
from ..csv_cells import address_cell, need_care, text_cell
from ..left_out import Left, LeftOut
from ..records import ChunkRecord, State
from ..store.ports import JobState
from ..store.standing import standing

COLUMNS = ("address", "outcome", "chunk", "time", "reason", "line")

_OUTCOMES = {
    State.PLANNED: Outcome.NOT_SENT,
    State.SENDING: Outcome.NOT_SENT,
    State.ACCEPTED: Outcome.ACCEPTED,
    State.REJECTED: Outcome.REJECTED,
    State.UNKNOWN: Outcome.UNKNOWN,
}
_RESENT = "sent again after an unknown outcome; perhaps told twice"


def write_rows(
    state: JobState,
    recipients: Iterable[Sequence[tuple[int, tuple[str, ...]]]],
    left_out: Iterable[LeftOut],
    file: BinaryIO,
    stop: threading.Event | None = None,
) -> None:
    """Write whom the job is for and what became of each, in the order of the plan.

    `recipients` and `left_out` are as the store gives them.

    UTF-8 without a byte order mark, lines end with a newline. `time` is the end of the last
    request, or its begin where no end is known, ISO 8601 in UTC. After the recipients come the
    entries that are for nobody, with the outcomes `invalid`, `excluded` (its reason is the list)
    and `duplicate`, and their `line` in the source. Raises `JournalError` for a damaged journal,
    and `NotSent` once `stop` is set.
    """
    file.write((",".join(COLUMNS) + "\n").encode())
    for rows in chain(_recipients(state, recipients), _left_out(state, left_out)):
        go_on(stop)
        file.write(rows.encode(errors="backslashreplace"))


def _recipients(
    state: JobState, recipients: Iterable[Sequence[tuple[int, tuple[str, ...]]]]
) -> Iterator[str]:
    found = chain.from_iterable(recipients)
    for record in standing(state):
        number, addresses = next(found, (None, ()))
        if number != record.id or len(addresses) != record.people:
            raise JournalError(
                f"{state.name} is damaged: chunk {record.id} has lost its people."
                " Restore a copy of it"
            )
        yield _chunk(record, addresses)


def _left_out(state: JobState, left_out: Iterable[LeftOut]) -> Iterator[str]:
    header, count = state.header, 0
    for block in left_out:
        count += len(block.entries)
        yield _block(block)
    if header.complete and count != header.invalid + header.excluded + header.duplicates:
        raise JournalError(
            f"{state.name} is damaged: entries that were left out are missing. Restore a copy of it"
        )


def _chunk(record: ChunkRecord, addresses: tuple[str, ...]) -> str:
    """The rows of a chunk."""
    rest = (_OUTCOMES[record.state].value, str(record.id), _time(record), _reason(record), "")
    together = "\n".join(addresses)
    if need_care(addresses, together):
        return _lines((address_cell(address), *rest) for address in addresses)
    end = f",{_lines([rest])}"
    return f"{together.replace(chr(10), end)}{end}"


def _block(block: LeftOut) -> str:
    """The rows of some entries that were left out."""
    write = text_cell if block.why is Left.INVALID else address_cell
    why = block.why.value
    # Some reasons are the names of files.
    reasons = {said: text_cell(one_line(said)) for _, said, _ in block.entries}
    return _lines(
        (write(entry), why, "", "", reasons[said], line) for line, said, entry in block.entries
    )


def _lines(rows: Iterable[Sequence[object]]) -> str:
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\n").writerows(rows)
    return lines.getvalue()


def _reason(record: ChunkRecord) -> str:
    if record.state is State.ACCEPTED:
        return _RESENT if record.resent else ""
    if record.state is State.SENDING:
        return "its request is on its way"
    return text_cell(one_line(record.reason or record.error or ""))


def _time(record: ChunkRecord) -> str:
    at = record.ended_at if record.ended_at is not None else record.sent_at
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
