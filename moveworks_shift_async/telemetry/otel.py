"""Spans and metrics of OpenTelemetry: a CLIENT span an attempt, an INTERNAL span a call and a run.

Theory of operation. An attempt's span is made when the attempt is over and it is known what it was,
with the times that it had: it is one more of those who watch attempts, and nothing of it is in the
way of a request. A call's span is open while the call runs, so that its attempts, and what the
caller's own pieces trace meanwhile, are below it. A run (a bulk send, a job) may take hours and ten
thousand requests, so its chunks begin traces of their own, linked to the run.

Whatever a provider, a sampler or a processor raises is dropped: who measures changes nothing.
"""

from __future__ import annotations

import contextlib
from asyncio import CancelledError
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from attrs import define, field
from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer

from ..call import Call
from ..clock import Clock
from ..errors import MoveworksError, Outcome
from ..limits.gate import Gate
from ..models import Attempt, ChunkOutcome
from ..wire.http import Request, Route
from .metrics import Attributes, Metrics, measure, metrics_of, result_of

_NAME = "moveworks_shift_async"
_NS = 1_000_000_000


@define(eq=False, repr=False)
class Run:
    """A bulk send or a job while it runs."""

    span: Span
    _metrics: Metrics
    _kind: str
    _people: dict[Outcome, int] = field(factory=lambda: dict.fromkeys(Outcome, 0), init=False)

    def count(self, outcome: Outcome, people: int) -> None:
        """So many more people whose outcome is known for good."""
        self._people[outcome] += people
        _count(self._metrics, outcome, people)

    def end(self, error: BaseException | None = None) -> None:
        """It is over, with what ended it early."""
        with contextlib.suppress(Exception):
            self._metrics.runs.add(-1, {"moveworks.run": self._kind})
            for outcome, people in self._people.items():
                self.span.set_attribute(f"moveworks.recipients.{outcome}", people)
            _end(self.span, None if error is None else type(error).__name__)


@define(eq=False, repr=False)
class Share:
    """A send that shares its request with others, while it waits."""

    span: Span
    #: What it returned.
    outcome: ChunkOutcome | None = None

    def end(self, error: BaseException | None) -> None:
        """It waits no more."""
        with contextlib.suppress(Exception):
            failure = error if self.outcome is None else self.outcome.error
            self.span.set_attribute("moveworks.outcome", self._known(failure).value)
            _end(self.span, None if failure is None else type(failure).__name__)

    def _known(self, error: BaseException | None) -> Outcome:
        if self.outcome is not None:
            return self.outcome.outcome
        cause = error.__cause__ if isinstance(error, CancelledError) else error
        return cause.outcome if isinstance(cause, MoveworksError) else Outcome.NOT_SENT


@define(eq=False, repr=False)
class OpenTelemetry:
    """Traces and measures the calls of one client."""

    _tracer: Tracer
    _metrics: Metrics
    _clock: Clock

    @classmethod
    def found(cls, clock: Clock) -> OpenTelemetry:
        """With the providers of this process; without any, all of it does nothing."""
        tracer, meters = trace.get_tracer(_NAME), metrics.get_meter_provider()
        return cls(tracer, metrics_of(meters, _NAME), clock)

    def measure(self, gate: Gate, base_url: str) -> None:
        """Show what the gate knows, as long as anybody holds it."""
        with contextlib.suppress(TypeError):  # one of the caller's that cannot be held weakly
            measure(gate, _server(base_url))

    def watch(self, attempt: Attempt, request: Request) -> None:
        """One attempt: its span, its duration, and what it says of the limit and the token."""
        target, failure = _target(request.base_url, request.route), _error_type(attempt)
        answer: dict[str, Any] = {}
        if attempt.status is not None:
            answer["http.response.status_code"] = attempt.status
        if failure is not None:
            answer["error.type"] = failure
        self._metrics.duration.record(attempt.duration, {**target, **answer})
        if attempt.status == 429:
            self._metrics.throttled.add(1)
        if attempt.endpoint in ("token", "shift.token") and not attempt.cancelled:
            self._metrics.tokens.add(1, {"result": "ok" if failure is None else "failed"})
        self._trace(attempt, request, {**target, **answer}, failure)

    def _trace(
        self, attempt: Attempt, request: Request, attributes: dict[str, Any], failure: str | None
    ) -> None:
        ended = int(self._clock.utcnow().timestamp() * _NS)
        attributes["url.full"] = request.url
        attributes["moveworks.endpoint"] = attempt.endpoint
        attributes["moveworks.outcome"] = attempt.outcome.value
        if attempt.recipients:
            attributes["moveworks.recipients"] = attempt.recipients
        if attempt.number > 1:
            attributes["http.request.resend_count"] = attempt.number - 1
        if attempt.request_id is not None:
            attributes["moveworks.request_id"] = attempt.request_id
        span = self._tracer.start_span(
            f"{request.method} {request.route.template}",
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=ended - int(attempt.duration * _NS),
        )
        _end(span, failure, ended)

    def queued(self) -> None:
        """A call begins to wait for the rate limit."""
        with contextlib.suppress(Exception):
            self._metrics.queued.add(1)

    def waited(self, seconds: float, error: BaseException | None = None) -> None:
        """A call waits no more."""
        with contextlib.suppress(Exception):
            self._metrics.queued.add(-1)
            self._metrics.wait.record(seconds, {"result": result_of(error)})

    @contextlib.contextmanager
    def call(self, call: Call) -> Iterator[None]:
        """The span of a call, open while it runs."""
        span = self._started(call)
        error: BaseException | None = None
        try:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                yield
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._ended(span, call, error)
            del error  # its traceback leads back to this frame

    def _started(self, call: Call) -> Span:
        with contextlib.suppress(Exception):
            if not isinstance(call.part_of, Run):
                return self._tracer.start_span("call", context=Context() if call.shared else None)
            links = [Link(call.part_of.span.get_span_context())]
            return self._tracer.start_span("call", context=Context(), links=links)
        return trace.INVALID_SPAN

    def _ended(self, span: Span, call: Call, error: BaseException | None) -> None:
        with contextlib.suppress(Exception):
            outcome = _outcome(call, error)
            if call.part_of is None and not call.shared:
                self.count(outcome, call.recipients)
            span.update_name(call.endpoint or "call")
            span.set_attribute("moveworks.outcome", outcome.value)
            span.set_attribute("moveworks.attempts", call.attempts)
            if call.recipients:
                span.set_attribute(f"moveworks.recipients.{outcome}", call.recipients)
            _end(span, None if error is None else type(error).__name__)

    def count(self, outcome: Outcome, people: int) -> None:
        """So many more people whose outcome is known for good."""
        if people:
            _count(self._metrics, outcome, people)

    @contextlib.contextmanager
    def share(self) -> Iterator[Share]:
        """The span of a send that shares its request with others, open while it waits."""
        share, error = Share(self._open("batcher.send")), None
        try:
            yield share
        except BaseException as raised:
            error = raised
            raise
        finally:
            share.end(error)
            del error  # its traceback leads back to this frame

    def join(self, shares: Iterable[Share]) -> None:
        """The request of the running call is for these: each links to the other."""
        with contextlib.suppress(Exception):
            request = trace.get_current_span()
            for share in shares:
                request.add_link(share.span.get_span_context())
                share.span.add_link(request.get_span_context())

    def run(self, kind: str) -> Run:
        """A bulk send or a job begins."""
        with contextlib.suppress(Exception):
            self._metrics.runs.add(1, {"moveworks.run": kind})
        return Run(self._open(kind), self._metrics, kind)

    def _open(self, name: str) -> Span:
        """A span below the caller's own; the one that does nothing where there can be none."""
        with contextlib.suppress(Exception):
            return self._tracer.start_span(name)
        return trace.INVALID_SPAN


def _count(instruments: Metrics, outcome: Outcome, people: int) -> None:
    with contextlib.suppress(Exception):
        instruments.recipients.add(people, {"moveworks.outcome": outcome.value})


def _end(span: Span, failure: str | None, at: int | None = None) -> None:
    if failure is not None:
        span.set_attribute("error.type", failure)
        span.set_status(Status(StatusCode.ERROR))
    span.end(at)


def _outcome(call: Call, error: BaseException | None) -> Outcome:
    """What is known of the people of a call that has ended so."""
    if error is None:
        return Outcome.ACCEPTED
    if isinstance(error, CancelledError):
        error = error.__cause__
    if isinstance(error, MoveworksError):
        return error.outcome
    return Outcome.UNKNOWN if error is not None and call.requests else Outcome.NOT_SENT


def _error_type(attempt: Attempt) -> str | None:
    """As the HTTP conventions say: the status of a refusal, else the error's class."""
    if attempt.status is not None and attempt.status >= 400:
        return str(attempt.status)
    return attempt.error


@lru_cache(maxsize=64)  # a process has a few servers and a few endpoints
def _target(base_url: str, route: Route) -> Attributes:
    return {
        "http.request.method": route.method,
        "url.template": route.template,
        **_server(base_url),
    }


def _server(base_url: str) -> Attributes:
    url = urlsplit(base_url)
    return {
        "server.address": url.hostname or "",
        "server.port": url.port or (443 if url.scheme == "https" else 80),
    }
