"""The command `moveworks-shift`: its commands, and what every failure ends in."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module

import click
from attrs import define

from ..errors import MoveworksError
from ..text import one_line
from ..wire.redaction import redact
from .failures import INTERRUPTED, ExitCode, error_line, exit_code
from .terminal import note, show, unwritten

PROGRAM = "moveworks-shift"
_SILENT = logging.NullHandler()
# The file of each command, and its line in the help: a command's file, and with it aiohttp, SQLite
# and the sandbox, is imported when it is called.
_COMMANDS: Mapping[str, tuple[str, str]] = {
    "auth": ("auth", "The credential."),
    "demo": ("demo", "Plan and run a job against a sandbox on this machine."),
    "doctor": ("doctor.command", "Find out why something does not work, and what to do."),
    "fleet": ("fleet", "Jobs on many machines."),
    "guide": ("guide", "Show a page of the guide; without SUBJECT, list what there is."),
    "jobs": ("job_list", "List the jobs in a database with their state, oldest first."),
    "pause": ("jobs", "Let the process that runs a job send nothing more until `resume`."),
    "plan": ("plan", "Write a job to the new file JOURNAL."),
    "preview": ("preview", "Look at every text of a job before it is sent."),
    "report": ("jobs", "Print what has become of everybody in a job."),
    "resume": ("run", "Go on with a job that was interrupted, paused or stopped."),
    "run": ("run", "Send a job that was planned."),
    "sandbox": ("sandbox", "Run a Moveworks and a SHIFT on this machine until Ctrl-C."),
    "send": ("send", "Send one message to everybody in a file."),
    "shift": ("shift", "The SHIFT messages API."),
    "status": ("jobs", "Show how a job stands, also while it runs."),
    "stop": ("jobs", "Let the process that runs a job end; `resume` goes on."),
    "watch": ("watch", "Show a job as a page that lives, until Ctrl-C."),
}


@define
class _State:
    #: Show the traceback of a defect.
    debug: bool = False


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    # To look it up takes longer than all other imports of a help, so only this option does.
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - see above

    try:
        number = version("moveworks-shift-async")
    except PackageNotFoundError:
        number = "(not installed)"
    show(f"{PROGRAM}, version {number}")
    context.exit()


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f".{module}", __package__), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, told) for name, (_, told) in _COMMANDS.items()])


@click.group(
    cls=_Commands,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "MOVEWORKS_SHIFT",
        "show_default": True,
    },
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version and exit.",
)
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


def run(args: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; every failure is one line on stderr."""
    state = _State()
    try:
        return int(commands.main(args, PROGRAM, standalone_mode=False, obj=state) or 0)
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
    except SystemExit:  # so click ends where the reader of its help is gone
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
