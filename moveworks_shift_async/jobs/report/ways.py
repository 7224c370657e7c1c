"""What the user can do about a job as it stands, as commands. Pure."""

from __future__ import annotations

from attrs import frozen

from ...text import covered, one_line, people, shell_word
from ..records import Stray
from .account import JobAccount


@frozen(kw_only=True)
class Way:
    """Something the user can do."""

    command: str
    #: What comes of it.
    means: str


def ways_for_unknown(account: JobAccount) -> tuple[Way, ...]:
    """What can be done about people who may have been told or not; not while the job runs."""
    if account.running or account.forgotten_at is not None or not account.undecided:
        return ()
    resume, count = _command(account, "resume"), people(account.undecided)
    if account.stray is not None:
        means = f"If there is no newer file: goes on in this one, where {count} stay unknown."
        if account.stray is Stray.COPY:
            means = (
                "If the job has gone on in no other file since: goes on in this one. Else use that"
                " one."
            )
        return (Way(command=f"{resume} --moved", means=means),)
    return (
        Way(
            command=f"{resume} --unknown resend",
            means=f"Sends to {count} again. Nobody is left out, and some may be told twice.",
        ),
        Way(
            command=f"{resume} --unknown skip",
            means=f"Leaves {count} as they are, for good: a later resend is refused. Nobody is told"
            " twice, and some may never be told.",
        ),
    )


def ways_on(account: JobAccount) -> tuple[Way, ...]:
    """How to go on with those who were not sent to."""
    if account.forgotten_at is not None:
        return ()
    if not account.complete:
        means = "With the options of the first time, it plans the job anew."
        return (Way(command="moveworks-shift plan", means=means),)
    if account.paused:
        means = "Ends the pause: the process that runs the job goes on."
        return (Way(command=_command(account, "resume"), means=means),)
    if account.running or not account.not_sent:
        return ()
    verb = "resume" if account.runs else "run"
    if account.closed is not None and account.opens_at is None:
        count = people(account.not_sent)
        command = f"{_command(account, verb)} --not-after TIME"
        return (Way(command=command, means=f"Sends to {count} until then; or never, to the end."),)
    spared = " and to nobody who was accepted" if account.accepted else ""
    return (
        Way(
            command=_command(account, verb),
            means=f"Sends to {people(account.not_sent)}{spared}.",
        ),
    )


def _command(account: JobAccount, verb: str) -> str:
    """Neither the text nor the page holds an address, and a file may be named after one."""
    path = account.journal
    hidden = covered(path) != one_line(path)
    return f"moveworks-shift {verb} {'JOURNAL' if hidden else shell_word(path)}"
