"""Names of hosts, looked up in threads that nobody waits for when a command ends.

Without an answer the system's resolver takes ten seconds for each of its servers, and nothing can
stop it. An event loop waits for its own threads before it closes, long after the command has said
that the name does not resolve.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any


def resolve_in_daemons(loop: asyncio.AbstractEventLoop) -> None:
    """Let this loop look names up that way, for whoever connects in it."""

    async def getaddrinfo(host: Any, port: Any, **wanted: int) -> Any:
        answer: Future[Any] = Future()
        look = partial(socket.getaddrinfo, host, port, **wanted)
        threading.Thread(target=_look_up, args=(look, answer), daemon=True).start()
        return await asyncio.wrap_future(answer)

    loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign]


def _look_up(look: Callable[[], Any], answer: Future[Any]) -> None:
    if not answer.set_running_or_notify_cancel():
        return
    try:
        answer.set_result(look())
    except Exception as error:
        answer.set_exception(error)
