"""Async client for the Moveworks API and the SHIFT messages API."""

from .bulk import BulkSend
from .client import MoveworksClient, ShiftClient
from .errors import (
    BadRequest,
    BadResponse,
    ClientClosed,
    ConfigurationError,
    ConnectionFailed,
    DeadlineExceeded,
    InvalidInput,
    MoveworksError,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    NotSent,
    Outcome,
    OutcomeUnknown,
    RateLimited,
    RefusedByServer,
    ServerFailed,
    TokenUnavailable,
)
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
    "ConfigurationError",
    "ConnectionFailed",
    "DeadlineExceeded",
    "FileGate",
    "GateSnapshot",
    "InvalidInput",
    "InvalidRecipient",
    "MoveworksClient",
    "MoveworksError",
    "NotAllowed",
    "NotAuthenticated",
    "NotFound",
    "NotSent",
    "OAuthTokens",
    "Outcome",
    "OutcomeUnknown",
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
]
