"""What really happened: one entry a request, kept small, summed up when somebody asks. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import asdict, define, evolve, field, frozen

from .rules import Told
from .verdict import Verdict


@define(eq=False, slots=True)
class Entry:
    """One request while it is served, and afterwards."""

    number: int
    at: float
    route: str
    event_id: str | None
    #: False until the limiter has let it in; routes without a limit count as let in.
    admitted: bool = False
    #: True where the organisation's limiter was asked.
    counted: bool = False
    status: int | None = None
    fault: str | None = None
    processed: bool = False
    credential: str | None = None
    told: Told | None = None

    def settle(self, verdict: Verdict) -> None:
        """Write down what a desk decided."""
        self.processed = verdict.processed
        self.credential = verdict.credential
        self.told = verdict.told


@frozen(kw_only=True)
class RequestRecord:
    """One request, as the server saw it."""

    #: 1 for the first request since the start or the last reset.
    number: int
    #: Seconds since the sandbox started.
    at: float
    #: `events.send`, `messages.send`, `auth.test`, `token`, `shift.messages`, `shift.token`
    #: or `unknown`.
    route: str
    event_id: str | None
    #: Whom it told, one a line; see `recipients`.
    addresses: str = field(repr=False)
    #: `digest` of the message and of the context, where it told somebody.
    message: str | None
    context: str | None
    #: The id of the caller: a client id, `api-key` or `shift-user`; None where it was refused.
    credential: str | None
    #: False where the limit or a fault answered 429.
    admitted: bool
    #: The status answered; None where none went out.
    status: int | None
    #: The fault it met.
    fault: str | None
    #: True exactly where it took effect.
    processed: bool

    @property
    def recipients(self) -> tuple[str, ...]:
        """Whom it told; empty where it was not processed."""
        return tuple(self.addresses.split("\n")) if self.addresses else ()


@frozen(kw_only=True)
class Received:
    """Who was told, how often, and by which requests."""

    #: Moveworks: address as it came -> times told.
    people: Mapping[str, int] = field(repr=False)
    #: SHIFT: user id, address or `team:` and its id -> times told.
    shift: Mapping[str, int] = field(repr=False)
    requests: tuple[RequestRecord, ...] = field(repr=False)


@frozen(kw_only=True)
class Stats:
    """The sandbox in numbers, since the start or the last reset."""

    #: Requests of any kind, unknown addresses included.
    requests: int
    #: Messages that were processed, of either vendor.
    accepted: int
    #: Answers with status 429.
    throttled: int
    #: Requests for a token, of either vendor.
    token_requests: int
    #: Kind of fault -> requests that met it.
    faults: Mapping[str, int]
    #: Different people told through Moveworks; case does not count.
    people: int
    #: Those of them told more than once.
    people_told_again: int
    #: The most requests that the limiter let in within any window.
    max_admitted_in_window: int
    #: The most requests that it saw within any window, refused ones included.
    max_arrived_in_window: int
    #: The most requests that were in hand at the same time.
    max_concurrent: int


@define(eq=False, kw_only=True)
class Ledger:
    """The book of all requests. Times are seconds since `start`."""

    #: Seconds of the window that the two `..._in_window` numbers look at.
    window: float
    start: float = 0.0
    _entries: list[Entry] = field(factory=list, init=False)
    _open: int = field(default=0, init=False)
    _most_open: int = field(default=0, init=False)

    def open(self, route: str, event_id: str | None, now: float) -> Entry:
        """Begin the entry of a request that has arrived."""
        entry = Entry(len(self._entries) + 1, now - self.start, route, event_id)
        self._entries.append(entry)
        self._open += 1
        self._most_open = max(self._most_open, self._open)
        return entry

    def close(self) -> None:
        """A request is out of hand."""
        self._open -= 1

    def reset(self) -> None:
        """Forget every entry; requests in hand end unrecorded."""
        self._entries = []
        self._most_open = self._open

    def received(self) -> Received:
        """Everything, as values."""
        records = tuple(map(_record, self._entries))
        return Received(
            people=_tally(r for r in records if not r.route.startswith("shift.")),
            shift=_tally(r for r in records if r.route.startswith("shift.")),
            requests=records,
        )

    def stats(self) -> Stats:
        """The numbers."""
        entries = self._entries
        counted = [entry for entry in entries if entry.counted]
        people = self._people()
        return Stats(
            requests=len(entries),
            accepted=sum(entry.told is not None for entry in entries),
            throttled=sum(entry.status == 429 for entry in entries),
            token_requests=sum(entry.route in ("token", "shift.token") for entry in entries),
            faults=Counter(entry.fault for entry in entries if entry.fault is not None),
            people=len(people),
            people_told_again=sum(times > 1 for times in people.values()),
            max_admitted_in_window=_most((e.at for e in counted if e.admitted), self.window),
            max_arrived_in_window=_most((e.at for e in counted), self.window),
            max_concurrent=self._most_open,
        )

    def _people(self) -> Counter[str]:
        people: Counter[str] = Counter()
        for entry in self._entries:
            if entry.told is not None and not entry.route.startswith("shift."):
                people.update(entry.told.addresses.lower().split("\n"))
        return people


def as_json(value: Received | Stats) -> dict[str, Any]:
    """Plain dictionaries and lists of a summary."""
    if isinstance(value, Stats):
        return asdict(evolve(value, faults=dict(value.faults)))
    return {
        "people": dict(value.people),
        "shift": dict(value.shift),
        "requests": [_record_as_json(record) for record in value.requests],
    }


def _record_as_json(record: RequestRecord) -> dict[str, Any]:
    plain = asdict(record)
    del plain["addresses"]
    return plain | {"recipients": record.recipients}


def _record(entry: Entry) -> RequestRecord:
    told = entry.told
    return RequestRecord(
        number=entry.number,
        at=entry.at,
        route=entry.route,
        event_id=entry.event_id,
        addresses=told.addresses if told else "",
        message=told.message if told else None,
        context=told.context if told else None,
        credential=entry.credential,
        admitted=entry.admitted,
        status=entry.status,
        fault=entry.fault,
        processed=entry.processed,
    )


def _tally(records: Iterable[RequestRecord]) -> Mapping[str, int]:
    tally: Counter[str] = Counter()
    for record in records:
        tally.update(record.recipients)
    return tally


def _most(times: Iterator[float], window: float) -> int:
    """The most of these times, in order, that lie less than a window apart."""
    inside: deque[float] = deque()
    most = 0
    for at in times:
        while inside and at - inside[0] >= window:
            inside.popleft()
        inside.append(at)
        most = max(most, len(inside))
    return most
