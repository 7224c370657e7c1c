"""A sandbox that runs in a thread, so that it serves while a test blocks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Self, TypeVar

from attrs import define, field

from ..sandbox import Received, Sandbox, Stats
from ..settings import ApiKey, AppCredentials, ClientCredentials
from .outbox import Outbox

T = TypeVar("T")


@define(eq=False, repr=False)
class SandboxThread:
    """An event loop in a thread of its own, from `with` to its end."""

    _loop: Future[asyncio.AbstractEventLoop] = field(factory=Future, init=False)
    _ending: asyncio.Event = field(factory=asyncio.Event, init=False)
    _thread: threading.Thread = field(init=False)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve()), name="moveworks-sandbox", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.result().call_soon_threadsafe(self._ending.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop.set_result(asyncio.get_running_loop())
        await self._ending.wait()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run it in the loop and wait for what it returns."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop.result()).result()

    @contextmanager
    def sandbox(
        self, *, requests: int = 120, per: float = 60.0, faults: Sequence[str] = ()
    ) -> Iterator[RunningSandbox]:
        """One that knows every event, at an address of its own."""
        outbox = Outbox()
        sandbox = Sandbox(limit=requests, window=per, any_event=True, on_told=outbox.add)
        sandbox.faults.script("send", *faults)
        self.run(sandbox.__aenter__())
        try:
            yield RunningSandbox(sandbox, self, outbox)
        finally:
            self.run(sandbox.__aexit__())


@define(eq=False, repr=False)
class RunningSandbox:
    """What a test may know of its sandbox, and change. Calls are made in the sandbox's thread."""

    _sandbox: Sandbox
    _thread: SandboxThread
    #: What people were told.
    outbox: Outbox

    @property
    def url(self) -> str:
        """The `base_url` of both vendors."""
        return self._sandbox.url

    @property
    def credentials(self) -> ClientCredentials:
        """An OAuth client of Moveworks."""
        return ClientCredentials(self._sandbox.client_id, self._sandbox.client_secret)

    @property
    def api_key(self) -> ApiKey:
        """An API key of Moveworks."""
        return ApiKey(self._sandbox.api_key)

    @property
    def shift_credentials(self) -> AppCredentials:
        """An application of SHIFT."""
        return AppCredentials(self._sandbox.shift_client_id, self._sandbox.shift_client_secret)

    @property
    def faults(self) -> Faults:
        """What shall go wrong."""
        return Faults(self)

    def expire_tokens(self) -> None:
        """End every access token now."""
        self.do(Sandbox.expire_tokens)

    def stop_listening(self) -> None:
        """Refuse connections."""
        self._thread.run(self._sandbox.stop_listening())

    def start_listening(self) -> None:
        """Accept connections again, at the same address."""
        self._thread.run(self._sandbox.start_listening())

    def received(self) -> Received:
        """Every request of this test, those for a token too, and who was told how often."""
        return self.do(Sandbox.received)

    def stats(self) -> Stats:
        """The numbers of this test: requests, 429s, people told twice."""
        return self.do(Sandbox.stats)

    def environment(self) -> Mapping[str, str | None]:
        """The variables that lead here; None for those that must not be set."""
        return {
            "MOVEWORKS_BASE_URL": self.url,
            "MOVEWORKS_CLIENT_ID": self._sandbox.client_id,
            "MOVEWORKS_CLIENT_SECRET": self._sandbox.client_secret,
            # Gates that processes share keep real time.
            "MOVEWORKS_GATE": "none",
            "MOVEWORKS_API_KEY": None,
            "MOVEWORKS_REGION": None,
            "MOVEWORKS_REQUESTS_PER_MINUTE": None,
            "MOVEWORKS_SHARE": None,
            "SHIFT_BASE_URL": self.url,
            "SHIFT_CLIENT_ID": self._sandbox.shift_client_id,
            "SHIFT_CLIENT_SECRET": self._sandbox.shift_client_secret,
            "SHIFT_ACCESS_TOKEN": None,
            "SHIFT_REFRESH_TOKEN": None,
        }

    def do(self, what: Callable[[Sandbox], T]) -> T:
        """Do something to the sandbox itself, in its thread, and wait for it."""

        async def done() -> T:
            return what(self._sandbox)

        return self._thread.run(done())

    def __repr__(self) -> str:
        return f"<RunningSandbox {self.url}>"


@define(eq=False, repr=False)
class Faults:
    """`moveworks_sandbox.faults`. Families: `send`, `auth`, `token`, `shift`, `shift-token`."""

    _sandbox: RunningSandbox

    def script(self, family: str, *kinds: str, times: int = 1) -> None:
        """Give the next requests of a family these faults, in order, after those already queued.

        Raises `InvalidInput` if there is no such family or kind, and names those there are.
        """
        self._sandbox.do(lambda sandbox: sandbox.faults.script(family, *kinds, times=times))

    def rate(self, family: str, kind: str, probability: float) -> None:
        """Give each request of a family this fault with a probability; 0 ends it."""
        self._sandbox.do(lambda sandbox: sandbox.faults.rate(family, kind, probability))

    def clear(self) -> None:
        """Forget every fault that was asked for."""
        self._sandbox.do(lambda sandbox: sandbox.faults.clear())
