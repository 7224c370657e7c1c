"""What people would see: the messages that the sandbox was asked for, and took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from attrs import define, field

from ..addresses import person
from ..sandbox.rules import Message


@define(eq=False, repr=False)
class Outbox(Sequence[Message]):
    """One entry a request that told people, in order. It fills from the sandbox's thread."""

    _messages: list[Message] = field(factory=list, init=False)

    def add(self, message: Message) -> None:
        """One more."""
        self._messages.append(message)

    def to(self, address: str) -> list[Message]:
        """What this person was told, however the letters of the address are written."""
        wanted = person(address)
        return [message for message in self._messages if wanted in map(person, message.to)]

    def clear(self) -> None:
        """Forget what was told so far; each test begins with an empty one anyway."""
        self._messages.clear()

    def __len__(self) -> int:
        return len(self._messages)

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Message]: ...
    def __getitem__(self, index: int | slice) -> Message | Sequence[Message]:
        return self._messages[index]

    def __repr__(self) -> str:
        return f"<Outbox of {len(self)}>"
