"""The people who are not to be told: by the list they are on, in bounded memory.

Theory of operation. As in `unique`, equal addresses meet in the same of 256 buckets of a nameless
file. The lists come one after the other, so in a bucket each list's people stand together, and it
is enough to remember where each list ends. In memory stay 256 numbers a list, and one bucket.

An entry of a list that is no address keeps nobody from being told, so it is counted and shown as
those of the recipients are; a list in which nothing is an address is refused.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import compress

from attrs import define, evolve, field

from ...addresses import person
from ...errors import InvalidInput
from ...sources import Block
from ...text import plural
from ..left_out import Exclusion
from .rejects import Rejects, faults, not_addresses
from .spool import BUCKETS, Buckets, bucket_of

# An entry's answer is one byte, and says which list it is on; the other answers need some.
MOST_LISTS = 200


@define(eq=False, repr=False)
class Excluded:
    """Takes the lists one after the other: `feed` each in blocks, then `end` it."""

    #: In a file that is open for it.
    _buckets: Buckets = field(converter=Buckets)
    #: The lists that were read, without whom they exclude.
    lists: list[Exclusion] = field(factory=list)
    #: How many people each bucket has, and how many it had at the end of each list.
    _counts: list[int] = field(factory=lambda: [0] * BUCKETS)
    _ends: list[Sequence[int]] = field(factory=list)
    #: Of the list that is being read.
    _rejects: Rejects = field(factory=Rejects)
    _addresses: int = 0

    def feed(self, block: Block) -> None:
        """Take the next rows of the list."""
        addresses = [*map(str.strip, block.entries)]
        good = bytearray(b"\1") * len(addresses)
        for place, fault in faults(addresses):
            good[place] = 0
            self._rejects.add(block.lines[place], fault, block.entries[place])
        self._addresses += sum(good)
        # A list that names one person again and again makes no bucket of millions.
        people = [*{*map(person, compress(addresses, good))}]
        buckets = bucket_of(people)
        self._buckets.add(buckets, people)
        for bucket, count in Counter(buckets).items():
            self._counts[bucket] += count

    def end(self, source: str, read_as: str, *, strict: bool, may_be_empty: bool) -> None:
        """The list is whole. Raises `InvalidInput` for one that is no list of people.

        `strict` raises `NotAddresses` if any of it is no address. A list without entries is refused
        as well, unless it `may_be_empty`.
        """
        rejects, self._rejects = self._rejects, Rejects()
        addresses, self._addresses = self._addresses, 0
        if not addresses and (rejects.count or not may_be_empty):
            raise _nobody(source, rejects)
        if strict and rejects.count:
            raise not_addresses(source, rejects.count, rejects.examples)
        self._ends.append([*self._counts])
        self.lists.append(
            Exclusion(
                # The name of a file need not be text.
                source=source.encode(errors="backslashreplace").decode(),
                read_as=read_as,
                addresses=addresses,
                invalid=rejects.count,
                invalid_examples=tuple(rejects.examples),
            )
        )

    def take(self, bucket: int) -> Mapping[str, int]:
        """Whom a bucket holds, each with the number, from 0, of the first list that has her."""
        people = self._buckets.take(bucket)
        edges = [0, *(ends[bucket] for ends in self._ends)]
        found: dict[str, int] = {}
        for number in reversed(range(len(self._ends))):
            found |= dict.fromkeys(people[edges[number] : edges[number + 1]], number)
        return found

    def counted(self, people_of: Callable[[int], int]) -> tuple[Exclusion, ...]:
        """The lists with how many recipients each excludes."""
        return tuple(evolve(one, people=people_of(number)) for number, one in enumerate(self.lists))

    def close(self) -> None:
        """Give the disk and the memory back."""
        self._buckets.close()


@contextmanager
def in_words_of_a_list() -> Iterator[None]:
    """What is wrong with a source of recipients, said of a list to exclude."""
    try:
        yield
    except InvalidInput as error:
        text = str(error).replace(_NOBODY, f": nobody is on it; {_FIX}")
        raise InvalidInput(_OPTION.sub("--exclude-", text)) from None


def _nobody(source: str, rejects: Rejects) -> InvalidInput:
    """The error for a list that would keep nobody from being told."""
    if not rejects.count:
        return InvalidInput(f"{source}: nobody is on it, so it would exclude nobody; {_FIX}")
    first, count = rejects.examples[0], plural(rejects.count, "entry", "entries")
    return InvalidInput(
        f"{source}: none of {count} is an e-mail address, so it would exclude nobody;"
        f" the first, line {first.line}: {first.reason}"
    )


# As sources say it.
_NOBODY = ": nobody to send to"
_OPTION = re.compile(r"--(?=(?:column|encoding|query)\b)")
_FIX = "if that is right, leave it out of the plan"
