"""Recipients and texts -> a plan in its store, in bounded memory. `plan` has it in a thread.

Theory of operation. Who is a duplicate is known when the last recipient was read, so there are two
passes: `feed` checks the entries, numbers their texts and puts both into a spool in order and into
buckets by address (`unique`); `finish` searches the buckets one by one, then reads the spool
again, leaves out whom the search named, cuts chunks and writes them. Who is not to be told was read
before (`excluded`), and is looked for in the same search. Who is left out, and why, goes into the
journal as well. In memory stay 2 bytes an entry, with templates 10 more, and whatever one bucket
holds.
"""

from __future__ import annotations

import contextlib
import threading
from array import array
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import compress
from typing import IO

from attrs import define, evolve, field

from ...clock import SYSTEM_CLOCK
from ...errors import InvalidInput, JournalError, NotSent
from ...sources import Block
from ...sources.refusals import refuse
from ...storage.system import reason
from ...text import people, plural
from ...wire.moveworks import Content
from ..left_out import Left
from ..records import Header
from ..store.ports import PlanStore, Store
from ..threads import FromThread, in_thread
from .cost import Plan
from .excluded import Excluded
from .groups import Cut, Groups, cut
from .options import PlanOptions
from .rejects import EXAMPLES, Rejects, faults
from .spool import NUMBERS, Spool, nameless
from .texts import Texts
from .unique import DIFFERING, DROP, EXCLUDE, EXCLUDED, KEEP, KEPT, SAME, Unique
from .writer import Writer

# What a plan says as its journal does.
_NUMBERS = ("source", "people", "excluded", "exclusions", "duplicates", "differing", "invalid",
            "chunks", "texts")  # fmt: skip
_REASONS = {SAME: "came before", DIFFERING: "came before with another text"}


@define(eq=False, repr=False)
class Planner:
    """One plan being made. `open` it, `feed` and `finish` it, or `abandon` it; then `close` it.

    Nobody else has its journal until then.
    """

    _job: Store
    options: PlanOptions
    source: str
    #: Set from another thread: the next step raises `NotSent`.
    stop: threading.Event
    _loop: FromThread
    _store: PlanStore
    _header: Header
    #: Closes the files that have no name.
    _files: contextlib.ExitStack = field(factory=contextlib.ExitStack, init=False)
    _rejects: Rejects = field(factory=Rejects, init=False)
    _writer: Writer = field(init=False)
    _spool: Spool = field(init=False)
    _unique: Unique = field(init=False)
    #: Filled before the first `feed`.
    excluded: Excluded = field(init=False)
    _texts: Texts | None = field(default=None, init=False)
    _taken: int = field(default=0, init=False)

    @classmethod
    def begin(
        cls,
        store: Store,
        options: PlanOptions,
        source: str,
        loop: FromThread,
        stop: threading.Event,
    ) -> Planner:
        """Make the journal; `JournalError` if there is one with a job."""
        header = _header(options, source)
        with reporting(store.name):
            made = loop.wait(store.plan(header))
        return cls(store, options, source, stop, loop, made, header)

    def open(self) -> None:
        """Make what it needs beside the journal, whose own name is the first to be found taken."""
        template = self.options.template
        with reporting(self._job.name):
            self._rejects = Rejects.to(self.options.invalid_csv)
            self.excluded = Excluded(self._file())
            self._spool, self._unique = Spool(self._file()), Unique(self._file(), self.excluded)
            if template is not None:
                self._texts = Texts(template, self._header.event_id, self.source, self._file())
        self._writer = Writer(self._store, self._loop, self._text)

    def exclude(self, block: Block) -> None:
        """Take the next rows of a list of people who are not to be told."""
        self._go_on()
        with reporting(self._job.name):
            self.excluded.feed(block)

    def feed(self, block: Block) -> None:
        """Take the next rows."""
        self._go_on()
        with reporting(self._job.name):
            addresses = [*map(str.strip, block.entries)]
            self._taken += len(addresses)
            good = self._sort_out(block, addresses)
            people = [*compress(addresses, good)]
            lines = array(NUMBERS, compress(block.lines, good))
            if self._texts is None:
                self._spool.add(people, lines)
                self._unique.add(people)
            else:
                numbers = self._number(self._texts, block, lines, good)
                self._spool.add(people, lines, numbers)
                self._unique.add(people, numbers)

    def finish(self, read_as: str = "") -> Plan:
        """Find the duplicates, write the chunks, and complete the journal."""
        if self._taken == self._rejects.count:
            raise self._nobody()
        if self.options.strict and self._rejects.count:
            raise self._rejects.refusal(self.source)
        with reporting(self._job.name):
            answers = self._unique.answers(self._go_on)
            if KEPT not in answers:
                raise self._all_excluded(len(answers) - answers.count(SAME))
            lines = self._write(answers)
            self._writer.flush()
            self._go_on()
            header = self._complete(answers)
            self._rejects.close()
        self._files.close()
        return Plan(
            journal=self._job.name,
            read_as=read_as,
            differing_lines=tuple(lines),
            invalid_examples=tuple(self._rejects.examples),
            rate_limit=self.options.rate_limit,
            schedule=header.schedule,
            planned_at=datetime.fromtimestamp(header.planned_at, UTC),
            **{name: getattr(header, name) for name in _NUMBERS},
        )

    async def abandon(self) -> None:
        """Leave nothing behind, also where it is cancelled."""
        try:
            await self._store.discard()
        finally:
            await in_thread(self._leave, self.stop)

    def _leave(self) -> None:
        self._rejects.remove()
        self._files.close()

    def close(self) -> None:
        """Let somebody else have the journal; in the loop's own thread, too."""
        self._store.close()

    def _sort_out(self, block: Block, addresses: Sequence[str]) -> bytearray:
        """Which entries are addresses; the others are noted."""
        good = bytearray(b"\1") * len(addresses)
        found = faults(addresses)
        for place, fault in found:
            good[place] = 0
            self._rejects.add(block.lines[place], fault, block.entries[place])
        self._writer.leave_out(
            Left.INVALID, ((block.lines[at], fault, block.entries[at]) for at, fault in found)
        )
        return good

    def _number(
        self, texts: Texts, block: Block, lines: array[int], good: Sequence[int]
    ) -> array[int]:
        """The number of the text of each good entry."""
        if not set(self.options.columns) <= block.values.keys():
            self.options.check([*block.values])
        rows = zip(*(block.values[name] for name in self.options.columns), strict=True)
        return texts.number([*compress(rows, good)], lines)

    def _write(self, answers: bytes) -> list[int]:
        """Write the chunks; return the lines of the first differing entries."""
        keep, at, lines = answers.translate(KEEP), 0, list[int]()
        waiting: list[str] = []
        with nameless(self._job.scratch) as file:
            groups = Groups(file)
            for addresses, beside in self._spool.read():
                self._go_on()
                start, at, count = at, at + len(addresses), len(addresses)
                kept = keep[start:at]
                people = [*compress(addresses, kept)]
                if len(people) < count:
                    self._leave_out(addresses, beside[:count], answers[start:at])
                if self._texts is None:
                    self._writer.add(cut(waiting, people))
                    continue
                self._writer.add(groups.add(people, [*compress(beside[count:], kept)]))
                if len(lines) < EXAMPLES:
                    lines += compress(beside[:count], map(DIFFERING.__eq__, answers[start:at]))
            for chunk in _rest(waiting, groups):
                self._go_on()
                self._writer.add([chunk])
        return lines[:EXAMPLES]

    def _leave_out(self, addresses: Sequence[str], lines: Sequence[int], answers: bytes) -> None:
        """Note the duplicates of a block, and those who are excluded."""
        lists = {EXCLUDED + at: one.source for at, one in enumerate(self.excluded.lists)}
        kinds = ((Left.DUPLICATE, DROP, _REASONS), (Left.EXCLUDED, EXCLUDE, lists))
        for why, which, reasons in kinds:
            out = answers.translate(which)
            said = map(reasons.__getitem__, compress(answers, out))
            entries = zip(compress(lines, out), said, compress(addresses, out), strict=True)
            self._writer.leave_out(why, entries)

    def _complete(self, answers: bytes) -> Header:
        writer = self._writer
        exclusions = self.excluded.counted(lambda number: answers.count(EXCLUDED + number))
        excluded = sum(one.people for one in exclusions)
        whole = evolve(
            self._header,
            people=writer.people,
            excluded=excluded,
            exclusions=exclusions,
            duplicates=len(answers) - writer.people - excluded,
            differing=answers.count(DIFFERING),
            invalid=self._rejects.count,
            chunks=writer.chunks,
            texts=writer.texts,
        )
        return self._loop.wait(self._store.complete(whole))

    def _nobody(self) -> InvalidInput:
        if not self._taken:
            return refuse(self.source, None, "no entries: nobody to send to")
        first = self._rejects.examples[0]
        entries = plural(self._taken, "entry", "entries")
        what = f"nobody valid, all of {entries}; the first, line {first.line}: {first.reason}"
        return refuse(self.source, None, what)

    def _all_excluded(self, count: int) -> InvalidInput:
        lists = ", ".join(one.source for one in self.excluded.lists)
        everybody = "the only person is" if count == 1 else f"all {people(count)} are"
        return refuse(self.source, None, f"nobody to send to: {everybody} excluded by {lists}")

    def _file(self) -> IO[bytes]:
        return self._files.enter_context(nameless(self._job.scratch))

    def _text(self, text: int) -> tuple[Content, str | None]:
        return (self.options.content, None) if self._texts is None else self._texts.read(text)

    def _go_on(self) -> None:
        go_on(self.stop, self._job.name)


def go_on(stop: threading.Event, name: str) -> None:
    """Raise `NotSent` once the planning of this job was stopped."""
    if stop.is_set():
        raise NotSent(f"the planning of {name} was stopped; nothing was sent")


def _header(options: PlanOptions, source: str) -> Header:
    event_id = options.content.event_id
    windows, not_before, not_after = options.schedule.columns
    return Header(
        # The name of a file need not be text.
        source=source.encode(errors="backslashreplace").decode(),
        event_id=None if event_id is None else str(event_id),
        planned_at=SYSTEM_CLOCK.utcnow().timestamp(),
        windows=windows,
        not_before=not_before,
        not_after=not_after,
    )


def _rest(waiting: list[str], groups: Groups) -> Iterator[Cut]:
    """The chunks that are not full."""
    if waiting:
        yield 0, waiting
    yield from groups.rest()


@contextlib.contextmanager
def reporting(path: str) -> Iterator[None]:
    """A disk's errors as ours."""
    try:
        yield
    except OSError as error:
        raise JournalError(
            f"the disk of {path} is full or broken ({reason(error)}); nothing was sent:"
            " make room, then plan again"
        ) from error
