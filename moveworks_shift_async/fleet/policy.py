"""Which errors of a task another try may cure."""

from __future__ import annotations

import asyncio
from datetime import datetime

from procrastinate import BaseRetryStrategy, RetryDecision
from procrastinate.jobs import Job

from ..errors import JobStopped, JournalError


class GivenBack(Exception):
    """The worker stops, or has other jobs: another goes on with this one."""

    def __init__(self, at: datetime | None = None) -> None:
        """At this moment; None: at once."""
        super().__init__()
        self.at = at


def may_pass(error: BaseException) -> bool:
    """The same may work later: the job's database had a bad moment."""
    if isinstance(error, JobStopped):
        error = error.cause
    return isinstance(error, JournalError) and error.passes


class Again(BaseRetryStrategy):
    """Whatever is only of the moment is tried again, however often.

    At once, but for a job that waits for its window, which is a moment by the database's own time;
    any other time would be this machine's.
    """

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """As the engine asks for it."""
        if isinstance(exception, GivenBack):
            return RetryDecision(retry_at=exception.at)
        again = isinstance(exception, asyncio.CancelledError) or may_pass(exception)
        return RetryDecision(retry_at=None) if again else None
