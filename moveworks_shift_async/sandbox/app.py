"""What happens to one request: counted on arrival, given a fault or not, decided, answered.

The order is what makes the ledger right. A request is entered before anything can go wrong with
it, and its entry says `processed` before any byte of the answer or the fault goes out, so the
ledger is right however the connection ends.
"""

from __future__ import annotations

from aiohttp import web
from attrs import define, frozen

from ..clock import Clock
from .decisions import Answer, Decision, Variants, moveworks_error
from .delivery import breakable, read_body, reset, send_half, to_response
from .entry import Entry
from .fault_answers import (
    RetryAfter,
    forbidden,
    malformed,
    redirect,
    retry_after,
    server_error,
    throttled,
)
from .faults import FAULTS, Ending, Fault, FaultPlan, Reads
from .ledger import Ledger
from .limiters import Limiter
from .moveworks import MoveworksVendor
from .routes import Incoming, Route, find_route, other_method
from .shift import ShiftVendor

_SHIFT_FAMILIES = ("shift", "shift-token")


@frozen(kw_only=True)
class FaultOptions:
    """How long and how far faults go."""

    #: Seconds of a slow answer.
    slow: float = 1.0
    #: Seconds after which a silent connection is reset, if the client has not gone before.
    silence: float = 300.0
    #: Requests in a row that a throttle storm refuses.
    storm: int = 3
    #: Where redirects point: scheme and host of somebody else.
    elsewhere: str = "http://elsewhere.invalid"


@define(eq=False, kw_only=True)
class App:
    """Takes every request of either vendor."""

    clock: Clock
    moveworks: MoveworksVendor
    shift: ShiftVendor
    limiter: Limiter
    faults: FaultPlan
    ledger: Ledger
    variants: Variants
    options: FaultOptions
    #: Seconds of the limit's window; what a throttle fault asks for.
    window: float
    retry_after: RetryAfter | None
    #: Token requests count against the limit.
    count_tokens: bool
    #: Seconds between a decision and its answer.
    latency: float
    #: Largest delay in seconds before a request counts as arrived.
    jitter: float

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request and keep its entry true."""
        if self.jitter:
            await self.clock.sleep(self.faults.uniform(self.jitter))
        route = find_route(request.method, request.path)
        now = self.clock.now()
        entry = self.ledger.open(
            route.name if route else "unknown", route.event_id if route else None, now
        )
        try:
            return await self._answer(request, route, entry, now)
        except web.HTTPException as error:
            entry.status = error.status
            raise
        except (ConnectionError, web.RequestPayloadError):
            # The body is broken or broke off: nothing was decided, and perhaps nobody listens.
            entry.status = 400
            return web.Response(status=400)
        except Exception:
            # A fault of the sandbox itself: aiohttp logs it and answers 500.
            entry.status = 500
            raise
        finally:
            self.ledger.close(entry)

    async def _answer(
        self, request: web.BaseRequest, route: Route | None, entry: Entry, now: float
    ) -> web.StreamResponse:
        fault = self._fault(route, entry, now) if route else None
        body = await read_body(request, fault.reads if fault else Reads.ALL)
        decision = self._decide(request, route, fault, body, now)
        entry.settle(decision)
        if self.latency:
            await self.clock.sleep(self.latency)
        return await self._end(request, entry, fault, decision)

    def _fault(self, route: Route, entry: Entry, now: float) -> Fault | None:
        """Count the request and find its fault; one that the limiter refuses takes none."""
        entry.counted = route.family in ("send", "auth") or (
            self.count_tokens and route.family == "token"
        )
        if entry.counted and not self.limiter.admit(now):
            return FAULTS["throttle"]
        fault = self.faults.draw(route.family)
        entry.fault = fault.kind if fault else None
        entry.admitted = fault is None or fault.ending is not Ending.THROTTLED
        return fault

    def _decide(
        self,
        request: web.BaseRequest,
        route: Route | None,
        fault: Fault | None,
        body: bytes,
        now: float,
    ) -> Decision:
        if route is None:
            return Decision(answer=self._nowhere(request.path))
        vendor = self.shift if route.family in _SHIFT_FAMILIES else self.moveworks
        if fault is not None and not fault.processed:
            return Decision(answer=self._canned(fault, vendor, request.path, now))
        return vendor.handle(self._incoming(request, route, body, now))

    def _nowhere(self, path: str) -> Answer:
        method = other_method(path)
        if method is None:
            return moveworks_error(self.variants, 404, "NOT_FOUND", "Not found")
        allow = (("Allow", method),)
        text = f"Use {method}"
        return moveworks_error(self.variants, 405, "METHOD_NOT_ALLOWED", text, headers=allow)

    def _incoming(
        self, request: web.BaseRequest, route: Route, body: bytes, now: float
    ) -> Incoming:
        return Incoming(
            route=route,
            authorization=request.headers.get("Authorization", ""),
            content_type=request.headers.get("Content-Type", ""),
            query=request.query,
            body=body,
            now=now,
            epoch=self.clock.utcnow().timestamp(),
        )

    def _canned(
        self, fault: Fault, vendor: MoveworksVendor | ShiftVendor, path: str, now: float
    ) -> Answer:
        """What a fault says in place of the vendor."""
        shift = vendor is self.shift
        match fault.ending:
            case Ending.THROTTLED:
                # A fault refuses where the limiter has room; it then asks for a whole window.
                wait = self.limiter.retry_after(now) or self.window
                headers = retry_after(self.retry_after, wait, self.clock.utcnow())
                return throttled(self.variants, headers, shift=shift)
            case Ending.EXPIRED:
                vendor.expire_tokens(now)
                return vendor.expired()
            case Ending.FORBIDDEN:
                return forbidden(self.variants, shift=shift)
            case Ending.REDIRECT:
                return redirect(fault.status, self.options.elsewhere + path)
            case _:
                # Resets and silence say nothing; the status is for server errors.
                return server_error(self.variants, fault.status or 500, fault.form, shift=shift)

    async def _end(
        self, request: web.BaseRequest, entry: Entry, fault: Fault | None, decision: Decision
    ) -> web.StreamResponse:
        answer = decision.answer
        match fault.ending if fault else None:
            case Ending.RESET:
                return reset(request)
            case Ending.SILENCE:
                await self.clock.sleep(self.options.silence)
                return reset(request)
            case Ending.HALF:
                answer = breakable(answer)
                entry.status = answer.status
                return send_half(request, answer)
            case Ending.SLOW:
                await self.clock.sleep(self.options.slow)
            case Ending.MALFORMED if decision.processed:
                answer = malformed()
            case Ending.CANNED if fault and fault.processed:
                shift = entry.route.startswith("shift.")
                answer = server_error(self.variants, fault.status, fault.form, shift=shift)
        entry.status = answer.status
        return to_response(answer)
