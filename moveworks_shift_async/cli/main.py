"""The command `moveworks-shift`: its commands, and what every failure ends in."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click
from attrs import define

from ..errors import MoveworksError
from ..wire.redaction import redact
from ..words import one_line
from . import jobs
from .auth import auth
from .demo import demo
from .failures import INTERRUPTED, ExitCode, error_line, exit_code
from .plan import plan
from .sandbox import sandbox
from .send import send
from .shift import shift
from .terminal import note, unwritten

PROGRAM = "moveworks-shift"
_SILENT = logging.NullHandler()


@define
class _State:
    #: Show the traceback of a defect.
    debug: bool = False


def _version() -> str:
    try:
        return version("moveworks-shift-async")
    except PackageNotFoundError:
        return "(not installed)"


@click.group(
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "MOVEWORKS_SHIFT",
    }
)
@click.version_option(_version(), prog_name=PROGRAM)
@click.option("--debug", is_flag=True, hidden=True, envvar="MOVEWORKS_SHIFT_DEBUG")
@click.make_pass_decorator(_State, ensure=True)
def commands(state: _State, debug: bool) -> None:
    """Tell many people something through the rate-limited Moveworks and SHIFT APIs.

    A job outlives its process: `plan` writes it down and sends nothing, `run` sends it, `status`
    shows how it stands, `resume` goes on after whatever happened, and `report` says what became of
    everybody. `send` tells people at once, without a journal.
    """
    state.debug = debug
    if not debug:
        # Without a handler Python writes warnings and tracebacks to stderr by itself.
        logging.getLogger().addHandler(_SILENT)


for _command in (auth, send, plan, *jobs.COMMANDS, shift, sandbox, demo):
    commands.add_command(_command)


def run(args: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; every failure is one line on stderr."""
    state = _State()
    try:
        return _exit_code_of(commands.main(args, PROGRAM, standalone_mode=False, obj=state))
    except click.exceptions.NoArgsIsHelpError as error:
        note(error.format_message())
    except click.ClickException as error:
        note(_usage_line(error))
    except (click.Abort, KeyboardInterrupt):
        note(INTERRUPTED)
        return ExitCode.INTERRUPTED
    except MoveworksError as error:
        note(error_line(error))
        return exit_code(error)
    except SystemExit:  # click's way out where nobody reads its help any more
        return ExitCode.OK
    except Exception as error:  # a defect is told in one line, too
        if isinstance(error, OSError) and _lost(error):
            return ExitCode.USAGE
        return _defect(error, state)
    return ExitCode.USAGE


def _lost(error: OSError) -> bool:
    """Whether click itself, which writes the help, could not write: all else goes through us."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    if frame.f_globals.get("__name__") != "click.utils":
        return False
    unwritten(error)
    return True


def _exit_code_of(value: Any) -> int:
    return int(value or 0)


def _usage_line(error: click.ClickException) -> str:
    # click quotes what was typed, which may be an address in the wrong place.
    text = redact(one_line(error.format_message())).rstrip(".")
    context = getattr(error, "ctx", None)
    path = context.command_path if isinstance(context, click.Context) else PROGRAM
    return f"Error: {text}. Nothing was sent. See {path} --help."


def _defect(error: Exception, state: _State) -> ExitCode:
    if state.debug:
        note("".join(traceback.format_exception(error)))
    note(
        f"Error: unexpected {type(error).__name__}: this is a defect, please report it."
        " Messages may have gone out or not. MOVEWORKS_SHIFT_DEBUG=1 shows where it happened."
    )
    return ExitCode.DEFECT
