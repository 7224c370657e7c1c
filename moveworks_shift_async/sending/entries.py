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
from typing import Any, TypeVar

from attrs import define, field

from ..errors import InvalidInput

T = TypeVar("T")

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
            self._here = iter(self._given)

    @property
    def ended(self) -> bool:
        """Whether there are no more."""
        return self._here is None and self._elsewhere is None

    async def read(
        self, take: Callable[[object], T | None], turn: Callable[[], Awaitable[None]]
    ) -> T | None:
        """Give entry after entry to `take` until it returns something or there are no more.

        `turn` lets others in the event loop have theirs. Raises what the source raises.
        """
        while not self.ended:
            found = self._slice(take) if self._elsewhere is None else await self._async_slice(take)
            if found is not None:
                return found
            await turn()
        return None

    def _slice(self, take: Callable[[object], T | None]) -> T | None:
        for entry in islice(self._all_here(), _SLICE):
            if (found := take(entry)) is not None:
                return found
        return None

    async def _async_slice(self, take: Callable[[object], T | None]) -> T | None:
        for _ in range(_SLICE):
            if self._elsewhere is None:
                break
            try:
                entry = await anext(self._elsewhere)
            except StopAsyncIteration:
                self._elsewhere = None
                break
            if (found := take(entry)) is not None:
                return found
        return None

    def _all_here(self) -> Iterator[object]:
        while self._here is not None:
            if (entry := next(self._here, _END)) is _END:
                self._here = None
            else:
                yield entry

    def rest(self) -> Iterator[object]:
        """Those that are known and not read."""
        if self.known:
            yield from self._all_here()

    async def close(self) -> None:
        """Let go of the source; a generator ends now, and not when somebody collects it."""
        source = self._elsewhere
        self._given = self._elsewhere = None
        if not self.known:
            self._here = None
        if isinstance(source, AsyncGenerator):
            await source.aclose()


_END = object()
