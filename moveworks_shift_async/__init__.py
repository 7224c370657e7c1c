"""Async client for the Moveworks API and the SHIFT messages API."""

import typing as _typing

if _typing.TYPE_CHECKING:
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
    from .jobs.plan.plan import ExcludeList, Plan
    from .jobs.plan.template import escape_html
    from .jobs.preview.survey import JobPreview
    from .jobs.report.account import JobAccount
    from .jobs.run.progress import JobProgress
    from .limits.shared.file_gate import FileGate
    from .limits.shared.postgres_gate import PostgresGate
    from .limits.window import GateSnapshot
    from .models import (
        AppObject,
        Attempt,
        BulkReport,
        ChunkOutcome,
        InvalidRecipient,
        Receipt,
        ShiftMessage,
    )
    from .retry import RetryPolicy
    from .sending.stream import BulkSend
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
    "Attempt",
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
    "ExcludeList",
    "FileGate",
    "GateSnapshot",
    "InvalidInput",
    "InvalidRecipient",
    "Job",
    "JobAccount",
    "JobPreview",
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
    "PostgresGate",
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
    # Importing the package imports nothing else: the first use of a name brings its module.
    _NAMES_OF = {
        "client": "MoveworksClient ShiftClient",
        "errors":
            "BadRequest BadResponse ClientClosed Concerns ConfigurationError ConnectionFailed "
            "DeadlineExceeded InvalidInput JobRunning JobStopped JournalError MoveworksError "
            "NotAddresses NotAllowed NotAuthenticated NotFound NotSent OtherLimit Outcome "
            "OutcomeUnknown RateLimited RefusedByServer ServerFailed TokenUnavailable",
        "jobs.job": "Job",
        "jobs.plan.plan": "ExcludeList Plan",
        "jobs.plan.template": "escape_html",
        "jobs.preview.survey": "JobPreview",
        "jobs.report.account": "JobAccount",
        "jobs.run.progress": "JobProgress",
        "limits.shared.file_gate": "FileGate",
        "limits.shared.postgres_gate": "PostgresGate",
        "limits.window": "GateSnapshot",
        "models":
            "AppObject Attempt BulkReport ChunkOutcome InvalidRecipient Receipt ShiftMessage",
        "retry": "RetryPolicy",
        "sending.stream": "BulkSend",
        "settings":
            "ApiKey AppCredentials BearerToken ClientCredentials OAuthTokens RateLimit Region "
            "Timeouts",
    }  # fmt: skip
    _MODULE_OF = {name: module for module, names in _NAMES_OF.items() for name in names.split()}

    def __getattr__(name: str) -> object:
        from importlib import import_module  # noqa: PLC0415

        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f".{_MODULE_OF[name]}", __name__), name)

    def __dir__() -> list[str]:
        return __all__
