"""What is measured: names, units and buckets. Never an address, a text, a token or a query."""

from __future__ import annotations

import contextlib
from asyncio import CancelledError
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from threading import Lock
from weakref import WeakKeyDictionary

from opentelemetry.metrics import (
    CallbackOptions,
    Counter,
    Histogram,
    Meter,
    MeterProvider,
    Observation,
    UpDownCounter,
)
from opentelemetry.util.types import AttributeValue

from ..errors import DeadlineExceeded, Outcome
from ..limits.gate import Gate
from ..limits.window import GateSnapshot

Attributes = Mapping[str, AttributeValue]

# The boundaries that the HTTP conventions ask for, in seconds.
_HTTP = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
# A window is a minute and an urgent call waits for none, a bulk send for as many as it has windows.
_WAITS = (0.01, 0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600, 1800)

_GAUGES: Mapping[str, tuple[str, str, Callable[[GateSnapshot], float]]] = {
    "budget": ("{request}", "Requests that may hold a slot at once", lambda gate: gate.budget),
    "used": ("{request}", "Slots that are held", lambda gate: gate.used),
    "rate": (
        "{request}/s",
        "Requests a second that may start, as the last 429s taught",
        lambda gate: gate.rate,
    ),
    "pause": ("s", "Seconds that the pause after a 429 still lasts", lambda gate: gate.paused_for),
}


class Metrics:
    """The instruments, one set for each provider of them."""

    def __init__(self, meter: Meter) -> None:
        prefix = "moveworks.client"
        limit = f"{prefix}.rate_limit"
        self.duration: Histogram = meter.create_histogram(
            "http.client.request.duration",
            "s",
            "Duration of HTTP client requests",
            explicit_bucket_boundaries_advisory=_HTTP,
        )
        self.wait: Histogram = meter.create_histogram(
            f"{limit}.wait.duration",
            "s",
            "How long calls waited for the rate limit",
            explicit_bucket_boundaries_advisory=_WAITS,
        )
        self.queued: UpDownCounter = meter.create_up_down_counter(
            f"{limit}.queued", "{call}", "Calls that wait for the rate limit"
        )
        self.throttled: Counter = meter.create_counter(
            f"{limit}.throttled", "{response}", "Answers with status 429"
        )
        self.recipients: Counter = meter.create_counter(
            f"{prefix}.recipients", "{person}", "People by what is known of them"
        )
        self.tokens: Counter = meter.create_counter(
            f"{prefix}.token.requests", "{request}", "Requests for a token"
        )
        self.runs: UpDownCounter = meter.create_up_down_counter(
            f"{prefix}.runs", "{run}", "Bulk sends and jobs that run now"
        )
        self._observe_gates(meter, limit)

    def start(self) -> None:
        """Begin to count at nothing: an increase from nothing at all is none for Prometheus."""
        self.throttled.add(0)
        for outcome in Outcome:
            self.recipients.add(0, {"moveworks.outcome": outcome.value})
        for result in ("ok", "failed"):
            self.tokens.add(0, {"result": result})

    @staticmethod
    def _observe_gates(meter: Meter, limit: str) -> None:
        for name, (unit, description, read) in _GAUGES.items():
            observe = partial(_observe, read)
            meter.create_observable_gauge(f"{limit}.{name}", [observe], unit, description)


def _observe(read: Callable[[GateSnapshot], float], _: CallbackOptions) -> Iterable[Observation]:
    """Asked in the exporter's own thread."""
    return [
        Observation(value, attributes)
        for gate, attributes in _gates()
        for value in _read(gate, read)
    ]


def measure(gate: Gate, attributes: Attributes) -> None:
    """Show what the gate knows, as long as anybody holds it."""
    with _GATES_LOCK:
        _GATES[gate] = attributes


def _gates() -> list[tuple[Gate, Attributes]]:
    with _GATES_LOCK:
        return [*_GATES.items()]


def _read(gate: Gate, read: Callable[[GateSnapshot], float]) -> Iterator[float]:
    with contextlib.suppress(Exception):  # a gate of the caller's, or one whose file is away
        yield read(gate.snapshot())


# The gates of clients, and which server each is for. Nobody is kept alive by being measured.
_GATES_LOCK = Lock()
_GATES: WeakKeyDictionary[Gate, Attributes] = WeakKeyDictionary()
# An instrument lives as long as its provider, and a process may make many clients.
_METRICS: WeakKeyDictionary[MeterProvider, Metrics] = WeakKeyDictionary()


def metrics_of(provider: MeterProvider, name: str) -> Metrics:
    """The instruments of this provider."""
    if provider not in _METRICS:
        _METRICS[provider] = Metrics(provider.get_meter(name))
    _METRICS[provider].start()
    return _METRICS[provider]


def result_of(error: BaseException | None) -> str:
    """How a wait for the rate limit ended."""
    if error is None:
        return "acquired"
    if isinstance(error, DeadlineExceeded):
        return "deadline"
    return "cancelled" if isinstance(error, CancelledError) else "failed"
