"""What one check says: a status, what was found, and what to do."""

from __future__ import annotations

import enum
import logging

from attrs import frozen

from ...errors import MoveworksError
from ...text import one_line
from ..failures import ExitCode, exit_code, what_happened

logger: logging.Logger = logging.getLogger(__name__)


class Status(enum.StrEnum):
    """How a check ended."""

    OK = "ok"
    #: It works, but something is to be looked at.
    WARNING = "warning"
    FAILED = "failed"
    #: There was nothing to check, or a check before it failed.
    SKIPPED = "skipped"


@frozen(kw_only=True)
class Finding:
    """One check, on one line."""

    check: str
    status: Status
    #: What was found, without a secret.
    found: str
    #: What to do; empty: nothing.
    advice: str = ""
    #: What the command ends with if this failed: the settings and files, or the server.
    code: ExitCode = ExitCode.OK

    def line(self) -> str:
        """As a person reads it."""
        told = ". ".join(filter(None, (self.found.rstrip("."), self.advice)))
        return f"{self.status:<8} {self.check:<14} {one_line(told)}."


def ok(check: str, found: str) -> Finding:
    """All well."""
    return Finding(check=check, status=Status.OK, found=found)


def warning(check: str, found: str, advice: str) -> Finding:
    """It works, but that is to be looked at."""
    return Finding(check=check, status=Status.WARNING, found=found, advice=advice)


def skipped(check: str, why: str) -> Finding:
    """There was nothing to check."""
    return Finding(check=check, status=Status.SKIPPED, found=why)


def failed(check: str, error: MoveworksError, *, more: str = "") -> Finding:
    """What the error says, with the remedy that every command names for it, and `more` of it."""
    usage = exit_code(error) is ExitCode.USAGE
    return Finding(
        check=check,
        status=Status.FAILED,
        found=what_happened(error),
        advice="; ".join(filter(None, (error.advice, more))),
        code=ExitCode.USAGE if usage else ExitCode.NOTHING_SENT,
    )


def broken(check: str, error: Exception) -> Finding:
    """The check itself is at fault."""
    logger.error("the check %r broke", check, exc_info=error)
    return Finding(
        check=check,
        status=Status.FAILED,
        found=f"unexpected {type(error).__name__}: this is a defect, please report it",
        advice="MOVEWORKS_SHIFT_DEBUG=1 shows where it happened",
        code=ExitCode.USAGE,
    )
