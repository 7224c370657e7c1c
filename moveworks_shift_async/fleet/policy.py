"""Which errors of a task another try may cure."""

from __future__ import annotations

import asyncio

from procrastinate import BaseRetryStrategy, RetryDecision
from procrastinate.jobs import Job

from ..errors import JobStopped, JournalError


class GivenBack(Exception):
    """The worker stops: another goes on with the job."""


def may_pass(error: BaseException) -> bool:
    """The same may work later: the job's database had a bad moment."""
    if isinstance(error, JobStopped):
        error = error.cause
    return isinstance(error, JournalError) and error.passes


class Again(BaseRetryStrategy):
    """Whatever is only of the moment is tried again, however often.

    At once: a time would be this machine's, and the one who reads it is the database.
    """

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """As the engine asks for it."""
        again = isinstance(exception, (GivenBack, asyncio.CancelledError)) or may_pass(exception)
        return RetryDecision(retry_at=None) if again else None
