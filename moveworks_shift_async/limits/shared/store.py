"""Where the state of a shared gate is kept, as the gate sees it: one text, and a clock.

`FileStore` is one kind. Nothing else in this room knows a file, a process's number or a clock of
the machine, so a gate in another place is another store.
"""

from __future__ import annotations

from typing import Protocol

from ...errors import ConfigurationError
from .state import Pace

# Seconds that a client which joins waits for the state.
OPENING = 5.0
# Seconds that a step may wait for it inside the event loop: 50 times what a step takes in a file.
STEP = 0.005
# Seconds that the state may stay away. A process that was stopped with it in its hand may come
# back; the calls that wait cannot tell, and after so long they had better say so.
SECONDS_HELD = 10.0


class Busy(Exception):
    """Somebody else has the state just now. The text is for the user, should that last."""


class Place(Protocol):
    """What the arithmetic asks of where the state is kept, while this process has it."""

    @property
    def kind(self) -> str:
        """What it is, for messages: "file"."""

    @property
    def place(self) -> str:
        """Which one, for messages: its path."""

    @property
    def pace(self) -> Pace:
        """How quickly its members come for a slot."""

    def now(self) -> float:
        """Seconds of the clock of all times in the state: the same one for all members.

        It may be asked for at any time; while this process has the state it is exact.
        """

    def epoch(self) -> str:
        """Names what that clock counts from: times of another epoch mean nothing now."""

    def alive(self, identity: str, silent: float) -> bool:
        """Whether the process lives that had the state last `silent` seconds ago."""

    def damaged(self) -> ConfigurationError:
        """What to say if the text is no gate's."""


class Store(Place, Protocol):
    """One text that the members of a gate change in turn. Not for two threads at once.

    All methods are called in the event loop and return within milliseconds. Those that raise
    `ConfigurationError` have let go of the state, as it was; the calls that wait then end in the
    error, as not sent.
    """

    def begin(self, patience: float) -> str:
        """Take the state for this process, and return its text; empty if none was written yet.

        Raises `Busy` if somebody else has it for longer than `patience` seconds, and
        `ConfigurationError` if it cannot be used.
        """

    def commit(self, text: str) -> None:
        """Write the text and let go. Once it returns, whoever begins next reads this text."""

    def rollback(self) -> None:
        """Let go of the state as it was; without effect if it was let go already."""

    def close(self) -> None:
        """This process uses it no more."""

    def identity(self) -> str:
        """Tells this process from all others, and from those that have its number later."""
