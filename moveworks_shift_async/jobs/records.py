"""What the journal holds, as values. Times are seconds since 1970 in UTC; counts are people,
unless said otherwise.
"""

from __future__ import annotations

import enum

from attrs import field, frozen

from ..wire.moveworks import Content
from ..wire.recipients import CheckedRecipients
from .left_out import Exclusion
from .schedule.schedule import Schedule


class State(enum.StrEnum):
    """Where one chunk stands. Only `SENDING` can be left behind by a crash."""

    #: Nobody in it was told, and no request of it is out.
    PLANNED = "planned"
    #: Written down before the first byte of a request leaves.
    SENDING = "sending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    #: They may have been told or not.
    UNKNOWN = "unknown"
    #: Divided into chunks of its own; nobody is counted here any more.
    SPLIT = "split"


#: Why what a run has left `SENDING` is unknown: it died, or it ended and could not write that down.
DIED = "the process ended while the request was on its way"
UNWRITTEN = "the journal could not be written when the request had ended"


#: How a run ended that sent to everybody whom it could, and how one that did not wait for answers.
DONE, CUT = "done", "cut"


@frozen(kw_only=True)
class Header:
    """What a journal is about."""

    #: Where the recipients came from, for people to read.
    source: str
    #: None: the legacy endpoint.
    event_id: str | None
    planned_at: float
    #: False: it is being planned, or that was interrupted; nothing was ever sent.
    complete: bool = False
    #: Distinct valid addresses that are not excluded.
    people: int = 0
    #: Distinct valid addresses that are on one of the lists.
    excluded: int = 0
    #: The lists of people who are not to be told, in the order in which they were given.
    exclusions: tuple[Exclusion, ...] = ()
    duplicates: int = 0
    #: How many of the duplicates had another text than the one that is sent.
    differing: int = 0
    invalid: int = 0
    chunks: int = 0
    #: Distinct messages with their contexts.
    texts: int = 0
    #: SHA-256 of the settings, the texts and the recipients, in hexadecimal.
    digest: str = ""
    #: Random, from when the plan began; copies share it.
    key: str = ""
    #: The server of the last run; None before it.
    base_url: str | None = None
    #: A digest of what stays the same of its credential; None before it.
    identity: str | None = None
    #: Device and number of the file as it was; None before it.
    place: str | None = None
    #: Its disk kept the mark that `lock` puts on a file.
    marked: bool = False
    #: When its texts and addresses were removed; None: they are there.
    forgotten_at: float | None = None
    #: When it may send, as `Schedule` is kept.
    windows: str = ""
    not_before: float | None = None
    not_after: float | None = None

    @property
    def schedule(self) -> Schedule:
        """When it may send; `InvalidInput` where this machine does not know a zone of it."""
        return Schedule.kept(self.windows, self.not_before, self.not_after)


@frozen(kw_only=True)
class Chunk:
    """One request of a job, with what is to be sent."""

    id: int
    content: Content = field(repr=False)
    recipients: CheckedRecipients = field(repr=False)
    #: It was unknown, and is sent again by the user's word.
    resent: bool = False
    #: The run that has claimed it.
    owner: str = ""


@frozen(kw_only=True)
class Settlement:
    """What became of one request of a chunk."""

    chunk: int
    #: The run whose request it was.
    owner: str = ""
    state: State
    at: float
    #: Requests that left this machine, added to those before.
    requests: int = 0
    #: Answers 429, added to those before.
    throttled: int = 0
    #: The name of the error's class.
    error: str | None = None
    #: The error's message; it holds no addresses and no texts.
    reason: str | None = None


@frozen(kw_only=True)
class ChunkRecord:
    """How one chunk stands, without whom it is for."""

    id: int
    state: State
    people: int
    #: HTTP requests made for it.
    requests: int
    #: Answers 429 among them.
    throttled: int
    #: Start of its last request; None if there was none.
    sent_at: float | None
    #: End of its last request.
    ended_at: float | None
    error: str | None
    reason: str | None
    #: When the user said that an unknown chunk shall stay as it is; None: nobody did.
    left_at: float | None
    #: The user has had an unknown chunk sent again: its people may have been told twice.
    resent: bool = False
    #: The run that made the last request; None if there was none.
    owner: str | None = None

    @property
    def left_alone(self) -> bool:
        """The user has said that it shall stay unknown."""
        return self.left_at is not None

    @property
    def waits_again(self) -> bool:
        """It was unknown, and its second request has not ended: its people may have been told."""
        return self.resent and self.state in (State.PLANNED, State.SENDING)


@frozen(kw_only=True)
class Total:
    """All chunks of one state together; those that the user left unknown apart from the others."""

    state: State
    left_alone: bool
    chunks: int
    people: int
    #: HTTP requests made for them.
    requests: int
    #: Answers 429 among them.
    throttled: int


class Incident(enum.StrEnum):
    """What else the account tells, on the axis of time."""

    #: An answer 429; its seconds are those that nobody sends.
    THROTTLED = "throttled"
    #: The network, the server or the credential failed; the job waited for so many seconds.
    OUTAGE = "outage"
    #: Somebody paused it for so many seconds.
    PAUSED = "paused"
    #: It was not to send for so many seconds: outside of its windows, or before its first moment.
    CLOSED = "closed"


@frozen(kw_only=True)
class Event:
    """Something that made the job wait."""

    at: float
    incident: Incident
    #: How long it lasted, or was expected to.
    seconds: float
    reason: str = ""


@frozen(kw_only=True)
class Held:
    """Why a run starts nothing now."""

    by: Incident
    since: float
    #: None: nobody knows.
    until: float | None = None
    why: str = ""


@frozen(kw_only=True)
class Run:
    """One process that worked on the job."""

    #: Random: no other run of any job has it. A chunk that is `sending` names it.
    id: str
    pid: int
    host: str
    began_at: float
    #: None: it runs, or was killed.
    ended_at: float | None
    #: Why it ended; None as above.
    ended: str | None
    #: Requests in a window that it could use, and the window's seconds.
    budget: int
    per: float
    #: For how many people it was; None: for all.
    first: int | None = None
    #: What holds it now, while it is at work; None: nothing does.
    held_by: Incident | None = None
    held_since: float | None = None
    #: None: nobody knows.
    held_until: float | None = None
    #: In words; they may be a server's.
    held_why: str | None = None
    #: Until when it counts as at work, by the database's clock; None: a file's lock says so.
    lease_until: float | None = None


class Stray(enum.Enum):
    """Why a file may not be what the job was last run from."""

    #: Another file. Whether the job has gone on elsewhere, only the user can say.
    COPY = enum.auto()
    #: An older copy in its place: the job has surely gone on since it was made.
    OLDER = enum.auto()
    #: Pages of different moments.
    TORN = enum.auto()


class Command(enum.StrEnum):
    """What somebody at another terminal wants of the process that runs the job."""

    RUN = "run"
    PAUSE = "pause"
    STOP = "stop"


@frozen(kw_only=True)
class Wanted:
    """What is wanted of a run just now, wherever it was said."""

    command: Command = Command.RUN
    schedule: Schedule = field(factory=Schedule)
