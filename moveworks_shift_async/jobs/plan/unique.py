"""Who came before: exactly, for any number of addresses, in bounded memory.

Theory of operation. Equal addresses have equal hashes, so they meet in the same of 256 buckets of a
nameless file, and each bucket is searched alone with a plain dict. In memory stay the last byte of
each hash (which is its bucket's number), and with texts the text's number: 1 or 9 bytes an entry,
and one bucket. Which entries are left out is answered in order of the entries, since each
bucket keeps their order: entry by entry, the next answer of the bucket that it went to. Who is
excluded is in buckets of the same numbers (`excluded`), so one of each is in memory at a time.

Which addresses are the same person, `addresses.person` says.
"""

from __future__ import annotations

import operator
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from attrs import define, field

from ...addresses import person
from .excluded import Excluded
from .spool import BUCKETS, NUMBERS, Buckets, bucket_of

# The answers for an entry; from `EXCLUDED` on, the number of the list that it is on is added.
SAME, KEPT, DIFFERING, EXCLUDED = range(4)
# Tables for `bytes.translate`: 1 for each answer of the kind.
KEEP = bytes(answer == KEPT for answer in range(256))
DROP = bytes(answer in (SAME, DIFFERING) for answer in range(256))
EXCLUDE = bytes(answer >= EXCLUDED for answer in range(256))


@define(eq=False, repr=False)
class Unique:
    """Takes addresses in order, and says at the end which of them are the first."""

    #: In a file that is open for it.
    _buckets: Buckets = field(converter=Buckets)
    #: Who is not to be told; None: no such list was given.
    _excluded: Excluded | None = None
    #: The bucket of each entry.
    _went_to: bytearray = field(factory=bytearray)
    #: The numbers of the texts of each bucket's entries; empty without texts.
    _texts: list[array[int]] = field(factory=lambda: [array(NUMBERS) for _ in range(BUCKETS)])

    def add(self, addresses: Sequence[str], texts: Sequence[int] | None = None) -> None:
        """Take trimmed addresses, each with the number of its text if there are texts."""
        keys = [*map(person, addresses)]
        buckets = bucket_of(keys)
        self._went_to += buckets
        self._buckets.add(buckets, keys)
        if texts is not None:
            arrays = map(self._texts.__getitem__, buckets)
            deque(map(array.append, arrays, texts), maxlen=0)

    def answers(self, go_on: Callable[[], None] = lambda: None) -> bytes:
        """`KEPT`, `SAME`, `DIFFERING` or `EXCLUDED` for each entry; `go_on` is called now and then.

        A differing entry has the address of one that is kept, and another text. Of the entries of
        an excluded person the first is excluded, and the others are the same.
        """
        found: list[Iterator[int]] = []
        for bucket in range(BUCKETS):
            go_on()
            found.append(iter(self._search(bucket)))
        self._buckets.close()
        if self._excluded is not None:
            self._excluded.close()
        return bytes(map(next, map(found.__getitem__, self._went_to)))

    def _search(self, bucket: int) -> bytes:
        """The answers for a bucket's entries."""
        keys = self._buckets.take(bucket)
        seen: dict[str, int] = {}
        places = range(len(keys))
        firsts = [*map(seen.setdefault, keys, places)]
        answers = bytearray(map(operator.eq, firsts, places))
        if self._excluded is not None:
            excluded = self._excluded.take(bucket)
            for key in excluded.keys() & seen.keys():
                answers[seen[key]] = EXCLUDED + excluded[key]
        texts = self._texts[bucket]
        if texts and len(seen) < len(keys):
            for place in (place for place in places if not answers[place]):
                if answers[firsts[place]] == KEPT and texts[place] != texts[firsts[place]]:
                    answers[place] = DIFFERING
        self._texts[bucket] = array(NUMBERS)
        return bytes(answers)
