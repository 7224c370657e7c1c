"""A Moveworks and a SHIFT on this machine: real HTTP, documented rules, faults on request."""

from .decisions import SUCCESS_BODIES, SUCCESS_STATUSES, Variants
from .entry import RequestRecord
from .faults import FAULTS, NO_FAULT, Fault, FaultPlan
from .ledger import Received
from .limiters import LIMITER_NAMES, LimiterName
from .options import FaultOptions
from .routes import FAMILIES, Family
from .rules import Message
from .server import Sandbox
from .sums import Stats

__all__ = [
    "FAMILIES",
    "FAULTS",
    "LIMITER_NAMES",
    "NO_FAULT",
    "SUCCESS_BODIES",
    "SUCCESS_STATUSES",
    "Family",
    "Fault",
    "FaultOptions",
    "FaultPlan",
    "LimiterName",
    "Message",
    "Received",
    "RequestRecord",
    "Sandbox",
    "Stats",
    "Variants",
]
