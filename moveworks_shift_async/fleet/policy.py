"""Which errors of a task another try may cure."""

from __future__ import annotations

import asyncio

from procrastinate import BaseRetryStrategy, RetryDecision
from procrastinate.jobs import Job

from ..errors import JobStopped, JournalError

# Seconds until another worker may go on with a job that was given back, and until the next try
# where the database was away, busy or full.
_AT_ONCE, _LATER = 1, 10


class GivenBack(Exception):
    """The worker stops: another goes on with the job."""


def may_pass(error: BaseException) -> bool:
    """The same may work later: the job's database had a bad moment."""
    if isinstance(error, JobStopped):
        error = error.cause
    return isinstance(error, JournalError) and error.passes


class Again(BaseRetryStrategy):
    """Whatever is only of the moment is tried again, however often."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """As the engine asks for it."""
        if isinstance(exception, (GivenBack, asyncio.CancelledError)):
            return RetryDecision(retry_in={"seconds": _AT_ONCE})
        return RetryDecision(retry_in={"seconds": _LATER}) if may_pass(exception) else None
