"""Options that several commands have, and the settings that they and the environment make."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

import click
from attrs import AttrsInstance, evolve, fields
from click.core import ParameterSource

from ..addresses import address_fault
from ..errors import InvalidInput
from ..settings import MoveworksSettings, Region, moveworks_from_env
from ..storage.database_url import database_of, is_url
from .gate_file import with_shared_gate

F = TypeVar("F", bound=Callable[..., Any])
_T = TypeVar("_T", bound=AttrsInstance)

MOVEWORKS_EPILOG = (
    "The credential comes from the environment: MOVEWORKS_API_KEY, or MOVEWORKS_CLIENT_ID and"
    " MOVEWORKS_CLIENT_SECRET. MOVEWORKS_GATE names the file or the database in which commands"
    " share the rate limit, or none; without it, it is the database of the job, or else a file in"
    " the user's state directory."
)
SHIFT_EPILOG = (
    "The credential comes from the environment: SHIFT_CLIENT_ID and SHIFT_CLIENT_SECRET, or"
    " SHIFT_ACCESS_TOKEN; with SHIFT_REFRESH_TOKEN, all that there are."
)


class Number(click.FloatRange):
    """A number that is one: `nan` and `inf` pass every range of click's."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number, or fail as click does."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a number.", param, ctx)
        return number


class Decorator(Protocol):
    """Adds something to a command."""

    def __call__(self, command: F, /) -> F: ...


def options(*several: Decorator) -> Decorator:
    """Several options as one decorator, in the order of the help."""

    def decorator(command: F, /) -> F:
        for one in reversed(several):
            command = one(command)
        return command

    return decorator


def option(*names: str, **settings: Any) -> Decorator:
    """An option whose help shows its environment variable if that is worth setting.

    Those are the ones with a variable of their own name, and `show_envvar`.
    """
    return click.option(*names, **{"show_envvar": "envvar" in settings} | settings)


def picked(kind: type[_T], given: Mapping[str, Any], **more: Any) -> _T:
    """A value of an attrs class that has fields of the names of options, and `more`."""
    return kind(**{one.name: given[one.name] for one in fields(kind) if one.name in given} | more)


#: `JOURNAL`, the name of a job.
journal_argument: Decorator = click.argument("journal", metavar="JOURNAL")
#: `--yes`, which nobody may have left in an environment.
yes_option: Decorator = click.option("--yes", is_flag=True, allow_from_autoenv=False,
                          help="Do not ask before more than 500 people.")  # fmt: skip


def _database(_context: click.Context, _: click.Parameter, url: str) -> str:
    if not is_url(url) or "#" in url.rpartition("@")[2]:
        raise click.BadParameter("a database is named postgresql://host/database, without a job")
    return url


#: `URL`, a database without the name of a job.
database_argument: Decorator = click.argument("url", metavar="URL", callback=_database)
#: `--lease`, of a process that works on jobs in PostgreSQL.
lease_option: Decorator = option("--lease", metavar="SECONDS", type=float, show_default="60",
                      help="Of a job in PostgreSQL: for how long this process may be silent before"
                           " others go on without it. What it had on its way is unknown"
                           " then.")  # fmt: skip
_REGIONS = click.Choice([*Region.__members__], case_sensitive=False)
#: `--base-url` and `--region` of Moveworks.
server_options: Decorator = options(
    option("--base-url", envvar="MOVEWORKS_BASE_URL", metavar="URL",
           help="The server, where --region does not name it."),
    option("--region", envvar="MOVEWORKS_REGION", type=_REGIONS, metavar="NAME",
           help=f"The data centre: {', '.join(Region.__members__)}. Default: US."),
)  # fmt: skip


#: `--requests-per-minute` and `--share`.
rate_options: Decorator = options(
    option("--requests-per-minute", envvar="MOVEWORKS_REQUESTS_PER_MINUTE", default=120,
           type=click.IntRange(min=1), metavar="N",
           help="What the whole organisation may send."),
    option("--share", envvar="MOVEWORKS_SHARE", default=1.0,
           type=Number(min=0, min_open=True, max=1), metavar="PART",
           help="The part of it that this command may use."),
)  # fmt: skip


def own_address(address: str, name: str) -> str:
    """The address that this option has, without spaces around it; `InvalidInput` for none."""
    if (fault := address_fault(address.strip())) is not None:
        raise InvalidInput(f"{name} is no address: {fault}")
    return address.strip()


def json_option(command: str, *, lines: bool = False) -> Decorator:
    """`--json` of that command; with `lines`, its progress too."""
    what = "lines of JSON, the account last," if lines else "one JSON object"
    return option(
        "--json",
        "as_json",
        is_flag=True,
        envvar=f"MOVEWORKS_SHIFT_{command}_JSON",
        show_envvar=False,
        help=f"Print {what} on stdout, everything else on stderr.",
    )


_PLACES = ("base_url", "region")
_RATES = ("requests_per_minute", "share")


def moveworks_settings(context: click.Context) -> MoveworksSettings:
    """What the options of a command and the variables say, of `server_options` and `rate_options`.

    `ConfigurationError` names what is missing.
    """
    given = {name: context.params[name] for name in (*_PLACES, *_RATES) if name in context.params}
    source = context.get_parameter_source
    typed = [n for n in _PLACES if given[n] and source(n) is ParameterSource.COMMANDLINE]
    if len(typed) == 1:  # the other one is the environment's: what was typed wins
        given |= {name: None for name in _PLACES if name not in typed}
    found = moveworks_from_env(
        instead={f"MOVEWORKS_{name.upper()}": str(value or "") for name, value in given.items()}
    )
    place = context.params.get("journal") or context.params.get("url") or ""
    if found.gate is None and is_url(place):
        found = evolve(found, gate=database_of(place))  # where its other runs look
    rates = [source(name) for name in _RATES if name in given]
    return with_shared_gate(found, adopts={*rates} <= {ParameterSource.DEFAULT})
