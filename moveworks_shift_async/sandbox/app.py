"""What happens to one request: counted on arrival, given a fault or not, decided, answered.

The order is what makes the ledger right. A request is entered before anything can go wrong with
it, and its entry says `processed` before any byte of the answer or the fault goes out, so the
ledger is right however the connection ends.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from attrs import define, field

from .decisions import Answer, Decision, moveworks_error
from .delivery import breakable, read_body, reset, send_half, to_response
from .entry import Entry, RequestRecord
from .fault_answers import (
    forbidden,
    malformed,
    redirect,
    retry_after,
    server_error,
    throttled,
)
from .faults import FAULTS, Ending, Fault, FaultPlan, Reads
from .ledger import Ledger
from .limiters import Limiter, make_limiter
from .moveworks import MoveworksVendor
from .options import Options
from .routes import Incoming, Route, find_route, other_method
from .rules import glimpse
from .shift import ShiftVendor

_SHIFT_FAMILIES = ("shift", "shift-token")


@define(eq=False)
class App:
    """Takes every request of either vendor."""

    options: Options
    faults: FaultPlan
    #: Called with each request when it is decided and when it has ended.
    noted: Callable[[RequestRecord], None]
    moveworks: MoveworksVendor = field(init=False)
    shift: ShiftVendor = field(init=False)
    limiter: Limiter = field(init=False)
    ledger: Ledger = field(init=False)

    def __attrs_post_init__(self) -> None:
        options = self.options
        self.moveworks, self.shift = MoveworksVendor(options), ShiftVendor(options)
        self.limiter = new_limiter(options)
        self.ledger = Ledger(options.window, options.clock.now(), options.keep)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request and keep its entry true."""
        if self.options.jitter:
            await self.options.clock.sleep(self.faults.uniform(self.options.jitter))
        route = find_route(request.method, request.path)
        now = self.options.clock.now()
        entry = self.ledger.open(
            route.name if route else "unknown",
            route.event_id if route else None,
            now,
            self.options.clock.utcnow().timestamp(),
        )
        try:
            return await self._answer(request, route, entry, now)
        except web.HTTPException as error:
            entry.note(status=error.status)
            raise
        except (ConnectionError, web.RequestPayloadError):
            # The body is broken or broke off: nothing was decided, and perhaps nobody listens.
            entry.note(status=400)
            return web.Response(status=400)
        except Exception:
            # A fault of the sandbox itself: aiohttp logs it and answers 500.
            entry.note(status=500)
            raise
        finally:
            self.ledger.close(entry)
            self.noted(entry.record)

    async def _answer(
        self, request: web.BaseRequest, route: Route | None, entry: Entry, now: float
    ) -> web.StreamResponse:
        fault = self._fault(route, entry, now) if route else None
        body = await read_body(request, fault.reads if fault else Reads.ALL)
        decision = self._decide(request, route, fault, body, now)
        says = route is not None and route.family in ("send", "shift") and decision.told is None
        self.ledger.settle(entry, decision, glimpse(body) if says else None)
        self.noted(entry.record)
        if self.options.latency:
            await self.options.clock.sleep(self.options.latency)
        return await self._end(request, entry, fault, decision)

    def _fault(self, route: Route, entry: Entry, now: float) -> Fault | None:
        """Count the request and find its fault; one that the limiter refuses takes none."""
        entry.counted = route.family in ("send", "auth") or (
            self.options.count_tokens and route.family == "token"
        )
        if entry.counted:
            if not self.limiter.admit(now):
                return FAULTS["throttle"]
            self.ledger.let_in(now)
        fault = self.faults.draw(route.family)
        admitted = fault is None or fault.ending is not Ending.THROTTLED
        entry.note(fault=fault.kind if fault else None, admitted=admitted)
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
            # The body may have taken its time, and no limiter's clock goes back.
            now = self.options.clock.now()
            return Decision(answer=self._canned(fault, vendor, request.path, now))
        return vendor.handle(self._incoming(request, route, body, now))

    def _nowhere(self, path: str) -> Answer:
        method = other_method(path)
        if method is None:
            return moveworks_error(self.options.variants, 404, "NOT_FOUND", "Not found")
        allow = (("Allow", method),)
        text = f"Use {method}"
        return moveworks_error(
            self.options.variants, 405, "METHOD_NOT_ALLOWED", text, headers=allow
        )

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
            epoch=self.options.clock.utcnow().timestamp(),
        )

    def _canned(
        self, fault: Fault, vendor: MoveworksVendor | ShiftVendor, path: str, now: float
    ) -> Answer:
        """What a fault says in place of the vendor."""
        shift = vendor is self.shift
        match fault.ending:
            case Ending.THROTTLED:
                # A fault refuses where the limiter has room; it then asks for a whole window.
                wait = self.limiter.retry_after(now) or self.options.window
                headers = retry_after(self.options.retry_after, wait, self.options.clock.utcnow())
                return throttled(self.options.variants, headers, shift=shift)
            case Ending.EXPIRED:
                vendor.expire_tokens(now)
                return vendor.expired()
            case Ending.FORBIDDEN:
                return forbidden(self.options.variants, shift=shift)
            case Ending.REDIRECT:
                return redirect(fault.status, self.options.fault_options.elsewhere + path)
            case _:
                # Resets and silence say nothing; the status is for server errors.
                return server_error(
                    self.options.variants, fault.status or 500, fault.form, shift=shift
                )

    async def _end(
        self, request: web.BaseRequest, entry: Entry, fault: Fault | None, decision: Decision
    ) -> web.StreamResponse:
        answer = decision.answer
        match fault.ending if fault else None:
            case Ending.RESET:
                return reset(request)
            case Ending.SILENCE:
                await self.options.clock.sleep(self.options.fault_options.silence)
                return reset(request)
            case Ending.HALF:
                answer = breakable(answer)
                entry.note(status=answer.status)
                return send_half(request, answer)
            case Ending.SLOW:
                await self.options.clock.sleep(self.options.fault_options.slow)
            case Ending.MALFORMED if decision.processed:
                answer = malformed()
            case Ending.CANNED if fault and fault.processed:
                shift = entry.record.route.startswith("shift.")
                answer = server_error(self.options.variants, fault.status, fault.form, shift=shift)
        entry.note(status=answer.status)
        return to_response(answer)


def new_limiter(options: Options) -> Limiter:
    """The limiter that was asked for, with the whole quota."""
    return make_limiter(
        options.limiter, limit=options.limit, window=options.window, burst=options.burst
    )
