"""One rate limit for all commands of a user: a file for each organisation in her state directory.

Commands at once, in turn and after a crash share it. A directory that cannot be written ends
nothing: alone, a command may meet a 429, and nobody is told twice or lost by one. A message that
does not go out at night is worse. A file that MOVEWORKS_GATE names is another thing: it was asked
for, and without it the command ends before anything is sent.
"""

from __future__ import annotations

import hashlib

from attrs import evolve

from ..errors import ConfigurationError, OtherLimit
from ..limits.choice import gate_at
from ..settings import MoveworksSettings, RateLimit, organisation, state_directory
from ..storage.system import refused
from ..text import one_line
from .terminal import note


def with_shared_gate(settings: MoveworksSettings, *, adopts: bool) -> MoveworksSettings:
    """The settings, with a gate in any case.

    With `adopts` the user named no rate; then that of the commands at work just now counts.
    """
    if settings.gate == "none":
        return settings
    try:
        path = settings.gate or default_gate(settings)
        try:
            try_gate(path, settings)
        except OtherLimit as other:
            if not adopts:
                raise
            theirs = RateLimit(requests=other.requests, per=other.per)
            settings = evolve(settings, rate_limit=theirs)
    except ConfigurationError as error:
        if settings.gate is not None or isinstance(error, OtherLimit):
            raise
        note(
            f"warning: {one_line(error)}; this command counts its requests alone, and others at the"
            " same time may meet a 429; MOVEWORKS_GATE names another file, or none"
        )
        return evolve(settings, gate="none")
    return evolve(settings, gate=path)


def default_gate(settings: MoveworksSettings) -> str:
    """The file of this organisation, in a directory that is there."""
    directory = state_directory() / "moveworks-shift"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        what = f"{directory} cannot be made"
        raise refused(ConfigurationError, what, error, written=str(directory)) from None
    whose = organisation(settings.base_url, settings.credentials)
    name = hashlib.sha256(whose.encode()).hexdigest()[:16]
    return str(directory / f"gate-{name}")


def try_gate(path: str, settings: MoveworksSettings) -> None:
    """Join and leave: what is wrong with the file is known before anything else is done."""
    gate, whose = gate_at(path), organisation(settings.base_url, settings.credentials)
    gate.join(settings, whose, settings.rate_limit, 1)
    gate.leave(settings)
