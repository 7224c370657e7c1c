"""What a plan cannot hold in memory: files without a name, in the journal's directory.

Nobody else can open them, and the system removes them when the process ends, however it ends.
`OSError` says that the disk is full or broken.
"""

from __future__ import annotations

import contextlib
import tempfile
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

from attrs import define, field

# Numbers of texts and of lines: as wide as a line's number may get.
NUMBERS = "Q"

BUCKETS = 256
# Texts that wait in memory for their buckets: 10 MB of addresses, written as 14 kB a bucket.
_HELD = 100_000


def bucket_of(texts: Iterable[str]) -> bytes:
    """The number of each text's bucket; equal texts of this process have equal ones."""
    # Every eighth byte of the hashes is one byte of each.
    return array("q", map(hash, texts)).tobytes()[::8]


@contextlib.contextmanager
def nameless(directory: str | None) -> Iterator[IO[bytes]]:
    """A new file that only this process can see, for as long as the block lasts."""
    file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - its close may fail
    try:
        yield file
    finally:
        with contextlib.suppress(OSError):  # what a full disk does not take is not wanted
            file.close()


@define(eq=False, repr=False)
class Spool:
    """Blocks of rows in the order in which they came."""

    _file: IO[bytes]
    #: Bytes of each block's addresses, and of the numbers beside them.
    _sizes: list[tuple[int, int]] = field(factory=list)

    def add(self, addresses: Sequence[str], *beside: array[int]) -> None:
        """Append a block: addresses without line ends, and arrays of as many numbers."""
        if not addresses:
            return
        text = "\n".join(addresses).encode()
        numbers = b"".join(column.tobytes() for column in beside)
        self._file.write(text)
        self._file.write(numbers)
        self._sizes.append((len(text), len(numbers)))

    def read(self) -> Iterator[tuple[list[str], array[int]]]:
        """Each block: its addresses, and all its arrays of numbers as one."""
        self._file.seek(0)
        for text, size in self._sizes:
            addresses = self._file.read(text).decode().split("\n")
            yield addresses, array(NUMBERS, self._file.read(size))


@define(eq=False, repr=False)
class Buckets:
    """Texts without line ends, each in one of `BUCKETS` buckets, which keep their order."""

    _file: IO[bytes]
    _held: int = 0
    _lists: list[list[str]] = field(factory=lambda: [[] for _ in range(BUCKETS)])
    #: Offset and length of the parts of each bucket.
    _parts: list[list[tuple[int, int]]] = field(factory=lambda: [[] for _ in range(BUCKETS)])
    _end: int = 0

    def add(self, buckets: bytes, texts: Iterable[str]) -> None:
        """Put each text into the bucket whose number stands at the same place of `buckets`."""
        # A deque of length 0 runs the map in C: half the time of a loop.
        deque(map(list.append, map(self._lists.__getitem__, buckets), texts), maxlen=0)
        self._held += len(buckets)
        if self._held >= _HELD:
            self._write()

    def take(self, bucket: int) -> list[str]:
        """All the texts of a bucket, in order."""
        self._write()
        parts = [self._part(*part) for part in self._parts[bucket]]
        return b"\n".join(parts).decode().split("\n") if parts else []

    def close(self) -> None:
        """Give the disk and the memory back."""
        self._file.close()
        self._lists.clear()

    def _part(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(size)

    def _write(self) -> None:
        if not self._held:
            return
        self._file.seek(self._end)
        for texts, parts in zip(self._lists, self._parts, strict=True):
            if texts:
                data = "\n".join(texts).encode()
                self._file.write(data)
                parts.append((self._end, len(data)))
                self._end += len(data)
                texts.clear()
        self._held = 0
