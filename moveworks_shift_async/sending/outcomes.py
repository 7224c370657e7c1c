"""What became of whom in a bulk send: chunks on their way, and the account of all."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field

from ..call import Call
from ..errors import MoveworksError, Outcome
from ..models import BulkReport, ChunkOutcome, Receipt
from ..wire.recipients import CheckedRecipients
from .batcher import Batcher

Ending = tuple[Receipt | None, MoveworksError | None]


@define(eq=False, repr=False)
class RunningChunk:
    """One request on its way to its outcome."""

    index: int
    recipients: CheckedRecipients = field(repr=False)
    call: Call
    #: Set when it is in the account.
    outcome: ChunkOutcome | None = None

    def ended(
        self, receipt: Receipt | None = None, error: MoveworksError | None = None
    ) -> ChunkOutcome:
        """Its outcome, by the error or the receipt."""
        return ChunkOutcome(
            index=self.index,
            recipients=self.recipients,
            outcome=Outcome.ACCEPTED if error is None else error.outcome,
            receipt=receipt,
            error=error,
            attempts=self.call.attempts,
        )


@define(eq=False, repr=False)
class Account:
    """What became of whom. Accepted chunks are counted, the others kept."""

    people: dict[Outcome, int] = field(factory=lambda: dict.fromkeys(Outcome, 0))
    failures: list[ChunkOutcome] = field(factory=list)
    requests: int = 0
    throttled: int = 0

    def add(self, outcome: ChunkOutcome, call: Call) -> None:
        """Enter a chunk that has ended."""
        self.people[outcome.outcome] += len(outcome.recipients)
        self.requests += call.requests
        self.throttled += call.throttled
        if outcome.outcome is not Outcome.ACCEPTED:
            self.failures.append(outcome)

    def report(self, running: Iterable[Call], batcher: Batcher, elapsed: float) -> BulkReport:
        """The account now, with the requests of the calls that still run."""
        calls = [*running]
        return BulkReport(
            accepted=self.people[Outcome.ACCEPTED],
            rejected=self.people[Outcome.REJECTED],
            unknown=self.people[Outcome.UNKNOWN],
            not_sent=self.people[Outcome.NOT_SENT],
            requests=self.requests + sum(call.requests for call in calls),
            duplicates=batcher.duplicates,
            invalid=tuple(batcher.invalid),
            throttled=self.throttled + sum(call.throttled for call in calls),
            elapsed=elapsed,
            failures=tuple(sorted(self.failures, key=lambda failure: failure.index)),
        )
