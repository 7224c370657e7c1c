"""Async client for the Moveworks API and the SHIFT messages API."""

import typing as _typing

if _typing.TYPE_CHECKING:
    from .bulk import BulkSend
    from .client import MoveworksClient, ShiftClient
    from .errors import (
        BadRequest,
        BadResponse,
        ClientClosed,
        Concerns,
        ConfigurationError,
        ConnectionFailed,
        DeadlineExceeded,
        InvalidInput,
        JobRunning,
        JobStopped,
        JournalError,
        MoveworksError,
        NotAddresses,
        NotAllowed,
        NotAuthenticated,
        NotFound,
        NotSent,
        OtherLimit,
        Outcome,
        OutcomeUnknown,
        RateLimited,
        RefusedByServer,
        ServerFailed,
        TokenUnavailable,
    )
    from .jobs.job import Job
    from .jobs.planning.plan import Plan
    from .jobs.planning.template import escape_html
    from .jobs.progress import JobProgress
    from .jobs.reporting.account import JobAccount
    from .limits.file import FileGate
    from .limits.window import GateSnapshot
    from .models import AppObject, BulkReport, ChunkOutcome, InvalidRecipient, Receipt, ShiftMessage
    from .retry import RetryPolicy
    from .settings import (
        ApiKey,
        AppCredentials,
        BearerToken,
        ClientCredentials,
        OAuthTokens,
        RateLimit,
        Region,
        Timeouts,
    )

__all__ = [
    "ApiKey",
    "AppCredentials",
    "AppObject",
    "BadRequest",
    "BadResponse",
    "BearerToken",
    "BulkReport",
    "BulkSend",
    "ChunkOutcome",
    "ClientClosed",
    "ClientCredentials",
    "Concerns",
    "ConfigurationError",
    "ConnectionFailed",
    "DeadlineExceeded",
    "FileGate",
    "GateSnapshot",
    "InvalidInput",
    "InvalidRecipient",
    "Job",
    "JobAccount",
    "JobProgress",
    "JobRunning",
    "JobStopped",
    "JournalError",
    "MoveworksClient",
    "MoveworksError",
    "NotAddresses",
    "NotAllowed",
    "NotAuthenticated",
    "NotFound",
    "NotSent",
    "OAuthTokens",
    "OtherLimit",
    "Outcome",
    "OutcomeUnknown",
    "Plan",
    "RateLimit",
    "RateLimited",
    "Receipt",
    "RefusedByServer",
    "Region",
    "RetryPolicy",
    "ServerFailed",
    "ShiftClient",
    "ShiftMessage",
    "Timeouts",
    "TokenUnavailable",
    "escape_html",
]

if not _typing.TYPE_CHECKING:  # else every misspelt name would have a type
    # Importing the package imports nothing else: the first use of a name brings its module. They
    # are looked through in this order, the light ones first; `client` has `FileGate`, too, and
    # `jobs.job` has `Plan` and `JobAccount`.
    _MODULES = (
        "errors", "settings", "models", "retry", "limits.window", "bulk", "client",
        "jobs.progress", "jobs.planning.template", "jobs.job",
    )  # fmt: skip

    def __getattr__(name: str) -> object:
        from importlib import import_module  # noqa: PLC0415

        modules = _MODULES if name in __all__ else ()
        for module in modules:
            found = getattr(import_module(f".{module}", __name__), name, None)
            if found is not None:
                return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return __all__
