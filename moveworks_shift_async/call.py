"""One call while it runs: what whoever sends it may know and say, whatever its attempts meet."""

from __future__ import annotations

import math
from asyncio import CancelledError
from collections.abc import Awaitable, Callable

from attrs import define, field

from .errors import InvalidInput, MoveworksError, NotSent, Outcome, OutcomeUnknown, RateLimited
from .limits.priority import Priority
from .models import Attempt
from .wire.http import Effect, Request


def check_deadline(seconds: float | None) -> None:
    """Raise `InvalidInput` unless a call may take so many seconds, or nothing is said of it."""
    number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if seconds is not None and not (number and seconds > 0):
        raise InvalidInput(f"deadline must be seconds, above 0, not {seconds!r}")


@define(eq=False, repr=False)
class Call:
    """One call while it runs, for whoever watches it."""

    #: How urgent it is: the more urgent is served first.
    priority: Priority = "normal"
    #: Tries so far, those without a connection included.
    attempts: int = 0
    #: HTTP requests that left this machine so far.
    requests: int = 0
    #: Answers 429 so far.
    throttled: int = 0
    #: It waits for the rate limit, so that nothing of it is on its way.
    waits: bool = False
    #: A request of it is on its way: cancelling now makes the outcome unknown.
    in_flight: bool = False
    #: What its request may do to people, what it is and how many people it names, once it is made.
    effect: Effect = Effect.MAY_TELL
    endpoint: str = ""
    recipients: int = 0
    #: The bulk send or job whose chunk it is, where that is traced; it counts the people itself.
    part_of: object | None = field(default=None, repr=False)
    #: Its request is for many who know nothing of each other: its trace is none of theirs, and
    #: whoever brings them together counts the people itself.
    shared: bool = False
    #: A request of it that has ended may have told people.
    maybe_told: bool = False
    #: Why no further request of it may start; set by whoever watches it.
    withdrawn: str | None = None
    #: The client was closed under it, which has cancelled its task once.
    cut: bool = False
    #: Awaited when slot and token are there, before the first byte leaves. It may raise instead.
    before: Callable[[], Awaitable[object]] | None = field(default=None, repr=False)
    #: Called when it is known that another request of it follows; it may withdraw the call.
    repeats: Callable[[], object] = field(default=lambda: None, repr=False)
    #: One request, whatever it meets: whoever watches it decides on the next. Only a dead token is
    #: replaced, as the policy says, for nobody is told by a 401.
    once: bool = False
    #: Seconds that it may take with all its waits; None: what the policy says.
    seconds: float | None = None
    #: Time of the clock after which it does not wait any more.
    deadline: float = math.inf
    last_error: MoveworksError | None = field(default=None, repr=False)
    #: Its last attempt, until it is known what follows.
    unreported: tuple[Attempt, Request] | None = field(default=None, repr=False)

    def check_withdrawn(self) -> None:
        """Raise `NotSent` if no further request may start."""
        if self.withdrawn is not None:
            raise NotSent(f"not sent: {self.withdrawn}")

    def sends(self, request: Request) -> None:
        """This is the request that it is about."""
        self.effect = request.effect
        self.endpoint, self.recipients = request.route.name, request.recipients

    def leaves(self) -> None:
        """Count one request, which begins now."""
        self.attempts += 1
        self.requests += 1
        self.in_flight = True

    def returns(self, error: BaseException | None) -> bool:
        """Remember how an attempt ended, and say whether the server may have counted a request."""
        counted, self.in_flight = self.in_flight, False
        if self.effect is Effect.MAY_TELL and _may_have_told(error, counted=counted):
            self.maybe_told = True
        if not isinstance(error, MoveworksError):
            return counted
        self.last_error = error
        self.throttled += isinstance(error, RateLimited)
        if counted and error.outcome is Outcome.NOT_SENT:
            self.requests -= 1
            return False
        return counted

    def ended(self, attempt: Attempt, request: Request) -> None:
        """Remember an attempt until it is known what follows."""
        self.unreported = attempt, request

    def settle(self, error: MoveworksError) -> MoveworksError:
        """The error to raise: never one that denies what an earlier request may have done."""
        error.attempts = self.attempts
        if not self.maybe_told or error.outcome is Outcome.UNKNOWN:
            return error
        failure = OutcomeUnknown(
            f"an earlier request may have been processed; the last step: {error}",
            attempts=self.attempts,
        )
        failure.__cause__ = error
        return failure

    def cancelled(self, cancelled: CancelledError) -> CancelledError:
        """The same, from `OutcomeUnknown` if an earlier request may have told people."""
        if self.maybe_told and cancelled.__cause__ is None:
            cancelled.__cause__ = OutcomeUnknown("cancelled", attempts=self.attempts)
        return cancelled


def _may_have_told(error: BaseException | None, *, counted: bool) -> bool:
    """Whether an attempt may have told people that ended so; without an error it has."""
    known = error.__cause__ if isinstance(error, CancelledError) else error
    if isinstance(known, MoveworksError):
        return known.outcome is Outcome.UNKNOWN
    return counted and not isinstance(error, CancelledError)
