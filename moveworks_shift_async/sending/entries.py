"""Recipients as the caller has them, entry by entry: whatever Python's own loops take.

`iter` takes what has `__iter__` or `__getitem__`, and what it returns needs `__next__` alone; so it
is with `aiter` and `__anext__`. What has a length is copied at once: what becomes of it later
changes nothing. Everything else is read once, as there is room.
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
)
from itertools import islice
from typing import Any

from attrs import define, field

from ..errors import InvalidInput
from ..wire.recipients import CheckedRecipients
from .batcher import Batcher

# Entries between two turns of the event loop, where none of them completes a chunk: duplicates and
# invalid ones take some microseconds each, and whoever else is in the loop waits meanwhile.
_SLICE = 500


def _is_async(given: object) -> bool:
    return isinstance(given, AsyncIterable)


def is_iterable(given: object) -> bool:
    """Whether a loop takes it, that is, `iter`."""
    old_sequence = hasattr(type(given), "__getitem__") and not hasattr(type(given), "__iter__")
    return isinstance(given, Iterable) or old_sequence


@define(eq=False, repr=False)
class Entries:
    """The entries of one source, each once."""

    _given: Any
    #: All are there, so those that are not read are known as well.
    known: bool = field(default=False, init=False)
    _here: Iterator[object] | None = field(default=None, init=False)
    _elsewhere: AsyncIterator[object] | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        if isinstance(self._given, (str, bytes)):
            raise InvalidInput("recipients must be an iterable of addresses, not one text")
        if not (is_iterable(self._given) or _is_async(self._given)):
            raise InvalidInput("recipients must be an iterable or an async iterable of addresses")
        self.known = hasattr(type(self._given), "__len__") and not _is_async(self._given)
        if self.known:
            self._here = iter(tuple(self._given))

    def open(self) -> None:
        """Begin with the first."""
        if _is_async(self._given):
            self._elsewhere = aiter(self._given)
        elif not self.known:
            self._here = _each(self._given)

    @property
    def ended(self) -> bool:
        """Whether there are no more."""
        return self._here is None and self._elsewhere is None

    async def read(
        self, batcher: Batcher, turn: Callable[[], Awaitable[None]]
    ) -> CheckedRecipients | None:
        """Give entries to `batcher` until a chunk is complete or there are no more.

        `turn` lets others in the event loop have theirs. Raises what the source raises; what it
        gave before is in the batcher.
        """
        while not self.ended:
            how = self._slice if self._elsewhere is None else self._async_slice
            if (chunk := await how(batcher)) is not None:
                return chunk
            await turn()
        return None

    async def _slice(self, batcher: Batcher) -> CheckedRecipients | None:
        left = _SLICE
        while left and self._here is not None:
            asked, some = min(left, batcher.room), list[object]()
            try:
                some.extend(islice(self._here, asked))  # it keeps what came before an error
            finally:
                chunk = batcher.take(some)
            if chunk is not None:
                return chunk
            if len(some) < asked:
                self._here = None
            left -= asked
        return None

    async def _async_slice(self, batcher: Batcher) -> CheckedRecipients | None:
        for _ in range(_SLICE):
            if self._elsewhere is None:
                break
            try:
                entry = await anext(self._elsewhere)
            except StopAsyncIteration:
                self._elsewhere = None
                break
            if (chunk := batcher.feed(entry)) is not None:
                return chunk
        return None

    def rest(self) -> Iterator[object]:
        """Those that are known and not read."""
        here, self._here = self._here, None
        return iter(()) if here is None or not self.known else here

    async def close(self) -> None:
        """Let go of the source; a generator ends now, and not when somebody collects it."""
        source = self._elsewhere
        self._given = self._elsewhere = None
        if not self.known:
            self._here = None
        if isinstance(source, AsyncGenerator):
            await source.aclose()


def _each(given: Iterable[object]) -> Iterator[object]:
    """The same. A loop takes an iterator that has `__next__` alone; `islice` does not, and from
    Python 3.13.1 on a generator expression neither."""
    for entry in given:  # noqa: UP028 - the caller's generator is not ours to close
        yield entry
