"""What PostgreSQL and its driver say, as one of our errors. It imports psycopg for all others."""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum, auto
from functools import cache
from typing import Any, TypeAlias

from ..errors import ConfigurationError, JournalError, MoveworksError
from ..text import install
from .database_url import without_password

#: Of what is raised.
Kind: TypeAlias = Callable[[str], MoveworksError]


class Fault(Enum):
    """What an error of the server or of the driver means."""

    #: The connection is gone, or none can be had now.
    AWAY = auto()
    #: Another transaction was in the way: the same may pass now.
    BUSY = auto()
    #: No room on its disk.
    FULL = auto()
    #: Our tables are not there, or are another release's.
    TABLES = auto()
    #: This role may not do that.
    FORBIDDEN = auto()
    OTHER = auto()


# By the SQLSTATE, or by its class (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_FAULTS = {
    "08": Fault.AWAY,
    "57P": Fault.AWAY,  # shut down, crashed, starting, cut by the administrator
    "53300": Fault.AWAY,  # too many connections
    "25006": Fault.AWAY,  # a standby: the address leads elsewhere soon
    "55000": Fault.AWAY,  # the same, asked for what only the first server knows
    "25P03": Fault.AWAY,  # idle in a transaction: this process was frozen
    "40": Fault.BUSY,
    "55P03": Fault.BUSY,
    "57014": Fault.BUSY,
    "53": Fault.FULL,
    "58": Fault.FULL,  # its disk is broken
    "3F000": Fault.TABLES,
    "42P01": Fault.TABLES,
    "42703": Fault.TABLES,
    "42501": Fault.FORBIDDEN,
}
# What passes by itself, or when somebody makes room: whoever is at work waits for it.


#: What may pass: the same is done again.
AGAIN = (Fault.AWAY, Fault.BUSY, Fault.FULL)


@cache
def driver() -> Any:
    """psycopg; `ConfigurationError` where it is not installed."""
    try:
        import psycopg  # noqa: PLC0415 - of the extra `fleet`
    except ImportError:
        command = install('"psycopg[binary]>=3.2"')
        raise ConfigurationError(f"PostgreSQL needs what is not installed: {command}") from None
    # What it warns of is done again; where nobody listens, Python would print it among our lines.
    logging.getLogger("psycopg").addHandler(logging.NullHandler())
    return psycopg


def fault_of(error: BaseException) -> Fault:
    """By its SQLSTATE alone: the words may quote a row."""
    state = getattr(error, "sqlstate", None)
    if state is None:  # no answer came, or the driver knows that the connection is closed
        away = (OSError, TimeoutError, driver().OperationalError, driver().InterfaceError)
        return Fault.AWAY if isinstance(error, away) else Fault.OTHER
    return next((_FAULTS[state[:n]] for n in (5, 3, 2) if state[:n] in _FAULTS), Fault.OTHER)


def reported(error: BaseException, url: str, kind: Kind = JournalError) -> MoveworksError:
    """What the user is told; never the server's words."""
    told = kind(_told(error, url))
    if isinstance(told, JournalError):
        told.passes = fault_of(error) in AGAIN
    return told


def _told(error: BaseException, url: str) -> str:
    name = without_password(url)
    state = getattr(error, "sqlstate", None)
    code = f" (SQLSTATE {state})" if state else ""
    match fault_of(error):
        case Fault.AWAY:
            what = f"no connection to {name}{code}; see that it runs and that host, database,"
            return f"{what} role and password are right"
        case Fault.TABLES:
            return (
                f"{name} has no tables of this release that this role may see; make them with:"
                f" moveworks-shift fleet init {name}"
            )
        case Fault.FULL:
            return f"{name} has no room on its disk{code}; make room"
        case Fault.FORBIDDEN:
            what = f"this role may not do that in {name}"
            return f"{what}; `moveworks-shift fleet init` says what to grant"
        case Fault.BUSY:
            return f"others have {name} locked{code}; try again"
        case Fault.OTHER:
            return f"{name} refused a statement{code}"
