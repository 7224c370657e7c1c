"""The command: options, lines or JSON, and the exit code."""

from __future__ import annotations

import json

import click
from attrs import asdict

from ...wire.moveworks import send_path
from ..failures import INTERRUPTED, ExitCode
from ..shared_options import MOVEWORKS_EPILOG, json_option, option, options, own_address
from ..signals import cancel_on_signal, run_loop
from ..terminal import note, show
from .examination import Examination
from .finding import Finding, Status
from .regions import announcement

# Of the JSON: a key that goes, or means something else, takes another number.
VERSION = 1
_MAYBE_TOLD = (
    "Error: interrupted. The test message may have been sent or not."
    " Look for it before you run this again."
)

_options = options(
    option("--to", metavar="ADDRESS", allow_from_autoenv=False,
           help="Send one test message to this address: your own."),
    option("--event", metavar="ID",
           help="The event of that message, a UUID; without it the legacy endpoint is used."),
    option("--all-regions", is_flag=True, allow_from_autoenv=False,
           help="Ask the host of every region, which then sees the credential."),
    json_option("DOCTOR"),
)  # fmt: skip


@click.command(epilog=MOVEWORKS_EPILOG)
@_options
def doctor(to: str | None, event: str | None, all_regions: bool, as_json: bool) -> int:
    """Find out why something does not work, and what to do.

    It looks at settings, network, credential, clock, gate, directory and database. Each check is
    one line: ok, warning, failed or skipped, with what to do; the last line says which variant of
    the API the server shows. Nobody is told anything without --to. It asks one auth test and, of an
    OAuth client, three tokens. It ends with 0 if nothing failed, with 2 for settings, files and
    databases, and with 5 for the network, the server and the credential.
    """
    if to is not None:
        to = own_address(to, "--to")
    if event is not None:
        send_path(event)  # raises for what is none
    if all_regions:
        note(announcement())
    examination = Examination(to=to, event=event, all_regions=all_regions)
    findings, interrupted = run_loop(_findings(examination, as_json=as_json))
    code = ExitCode.INTERRUPTED if interrupted else _exit_code(findings)
    if as_json:
        show(json.dumps(_object(findings, examination.variant, code)))
    elif not interrupted:
        show(f"variant: {examination.variant}")
    if interrupted:
        note(_interrupted(examination))
    return code


async def _findings(examination: Examination, *, as_json: bool) -> tuple[list[Finding], bool]:
    """All of them, and whether a Ctrl-C came first; without JSON each is shown at once."""
    findings: list[Finding] = []
    try:
        with cancel_on_signal("the network", lambda: _interrupted(examination)):
            async for finding in examination.run():
                findings.append(finding)
                if not as_json:
                    show(finding.line())
    except click.Abort:
        return findings, True
    return findings, False


def _interrupted(examination: Examination) -> str:
    return _MAYBE_TOLD if examination.maybe_told else INTERRUPTED


def _exit_code(findings: list[Finding]) -> ExitCode:
    """What is wrong here comes first: the server can only be judged by right settings."""
    codes = {finding.code for finding in findings if finding.status is Status.FAILED}
    return min(codes, default=ExitCode.OK)


def _object(findings: list[Finding], variant: str, code: ExitCode) -> dict[str, object]:
    shown = [asdict(one, filter=lambda field, _: field.name != "code") for one in findings]
    return {"version": VERSION, "exit_code": code, "checks": shown, "variant": variant}
