"""The same clients and jobs for code without an event loop.

portal      the one event loop of this process, in a thread, and how another thread waits for it
clients     `MoveworksClient`, `ShiftClient`
endpoints   what they hold
bulk        a bulk send: its result, or its outcomes one by one
batcher     single sends of many threads that share requests
job         `Job`
"""

from .batcher import LingeringBatcher
from .bulk import BulkSend
from .clients import MoveworksClient, ShiftClient
from .job import Job
from .portal import Interrupted

__all__ = ["BulkSend", "Interrupted", "Job", "LingeringBatcher", "MoveworksClient", "ShiftClient"]
