"""What every error says: what is known of the request, whom it concerns, and what to do. Pure."""

from __future__ import annotations

import copyreg
import enum
from typing import Any, ClassVar


class Outcome(enum.StrEnum):
    """What is known about one request, and so about each of its recipients."""

    #: The server said yes. For Moveworks this means scheduled, not read.
    ACCEPTED = "accepted"
    #: The server said no. Nobody was told.
    REJECTED = "rejected"
    #: It was sent and no usable answer came. They may or may not have been told.
    UNKNOWN = "unknown"
    #: It never left this machine, or was refused and given up. Nobody was told.
    NOT_SENT = "not_sent"


class Concerns(enum.Enum):
    """Whom what went wrong concerns."""

    #: This request alone: another list may be told.
    THIS_LIST = "this list"
    #: Every other request would meet the same. A stream and a job end with it.
    EVERYBODY = "everybody"


class MoveworksError(Exception):
    """The root of every error of this package, SHIFT's included."""

    #: What this error says about the recipients of the request.
    outcome: ClassVar[Outcome] = Outcome.NOT_SENT
    #: Whom it concerns: everybody, where it is not known to concern this list alone.
    concerns: Concerns = Concerns.EVERYBODY
    #: The server says that it did not process the request: the same one may be accepted later.
    unprocessed: bool = False
    #: What was met, in the words of a report; empty: nothing more than its outcome says.
    means: ClassVar[str] = ""
    #: What to do before a job goes on; empty: nothing.
    remedy: ClassVar[str] = "Look at what the server says"
    #: What to do after a call, or a command, that ended in it; empty: its own message says it.
    advice: ClassVar[str] = "Look at what the server says before you try again"
    #: What became of the request, in the words of the command line.
    went_out: ClassVar[str] = "Nothing was sent"
    #: HTTP requests made for the call until it ended with this error.
    attempts: int

    def __init__(
        self, message: str, *, attempts: int = 0, concerns: Concerns | None = None
    ) -> None:
        super().__init__(message)
        self.attempts = attempts
        if concerns is not None:  # this one differs from its class
            self.concerns = concerns

    def __reduce__(self) -> tuple[Any, ...]:
        # Made anew without `__init__`, whose keyword arguments a pickle cannot pass.
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__.copy()  # type: ignore[attr-defined]
