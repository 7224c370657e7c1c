"""Whether a client is traced and measured: the one place that decides."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

from ..clock import Clock
from ..errors import ConfigurationError

if TYPE_CHECKING:
    from .otel import OpenTelemetry

logger: logging.Logger = logging.getLogger(__name__)

#: None: by OpenTelemetry, if the extra `otel` is installed. False: not at all.
Telemetry = Literal[False] | None


def telemetry_of(wanted: Telemetry, clock: Clock) -> OpenTelemetry | None:
    """What traces and measures a client, if anything does."""
    if wanted is False:
        return None
    if wanted is not None:
        raise ConfigurationError(
            "telemetry must be False, or None for OpenTelemetry where the extra `otel` is installed"
        )
    try:
        from .otel import OpenTelemetry  # noqa: PLC0415 - not everybody has the extra

        return OpenTelemetry.found(clock)
    except (ImportError, TypeError):  # not installed, or older than the extra asks for
        return None
    except Exception:  # of the program's own providers: who measures changes nothing
        logger.exception("OpenTelemetry's provider raised; nothing is traced or measured")
        return None
