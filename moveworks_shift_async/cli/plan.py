"""`moveworks-shift plan`, and `send --journal`, which plans and runs in one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import click
from attrs import asdict, fields, frozen

from ..errors import InvalidInput, NotAddresses
from ..jobs.job import Job
from ..jobs.plan.plan import Plan
from ..settings import RateLimit
from ..text import one_line, shell_word
from .failures import ExitCode
from .message_options import MessageOptions, letter_options, template_options
from .options import json_option, rate_options
from .recipients import examples
from .stopping import leaving
from .terminal import note, say

_TEXTS = ("--message", "--message-file", "--template", "--template-file")


@frozen(kw_only=True)
class Planning:
    """What is to be planned, as the options give it."""

    words: MessageOptions
    recipients: str | None
    column: str | None
    encoding: str | None = None
    query: str | None = None
    no_escape: bool = False
    several: bool = False
    invalid_file: str | None = None
    strict: bool = False
    requests_per_minute: int = 120
    share: float = 1.0

    @classmethod
    def of(cls, given: dict[str, Any]) -> Planning:
        """From the options of a command that has them."""
        own = {name: given[name] for name in (f.name for f in fields(cls)) if name in given}
        words = {
            name: given[name] for name in (f.name for f in fields(MessageOptions)) if name in given
        }
        return cls(words=MessageOptions(sources=_TEXTS, **words), **own)

    @property
    def limit(self) -> RateLimit:
        """The rate, which a plan needs no credential to show."""
        return RateLimit(requests=self.requests_per_minute, share=self.share)


@click.command()
@click.argument("journal", metavar="JOURNAL")
@letter_options
@template_options
@json_option("PLAN")
@rate_options
def plan(journal: str, as_json: bool, **given: Any) -> int:
    """Write a job to the new file JOURNAL. Nothing is sent.

    It prints whom it is for, who was left out, and how long it will take; `run` sends it. Exit
    codes: 0 planned; 2 usage, file or journal; 3 not planned, for --strict; 130 interrupted.
    """
    planning = Planning.of(given)
    made = make_plan(journal, planning)
    say(json.dumps(_plain(made)) if as_json else _shown(made))
    for line in examples(made.invalid_examples, made.invalid):
        note(line)
    if planning.invalid_file is not None:
        note(f"{one_line(planning.invalid_file)}: written, a row for each invalid one")
    note(f"nothing was sent yet; {sent_by(journal)}")
    return ExitCode.OK


def show_plan(made: Plan) -> None:
    """Show it beside what else goes to stderr."""
    for line in (_shown(made), *examples(made.invalid_examples, made.invalid)):
        note(line)


def _shown(made: Plan) -> str:
    """The plan for a terminal: the name of a file may hold control characters."""
    return "\n".join("".join(c if c.isprintable() else "?" for c in line)
                     for line in str(made).splitlines())  # fmt: skip


def sent_by(journal: str) -> str:
    """What sends a job that was planned."""
    return f"this sends it: moveworks-shift run {shell_word(journal)}"


def make_plan(journal: str, planning: Planning) -> Plan:
    """Write the journal."""
    words = planning.words
    # What is wrong with the files comes before anything is touched.
    text, context = words.text(), words.context()
    try:
        return asyncio.run(_plan(journal, planning, text, context))
    except NotAddresses as error:
        for line in examples(error.examples, error.count):
            note(line)
        raise


async def _plan(
    journal: str, planning: Planning, text: str, context: Mapping[str, Any] | None
) -> Plan:
    words = planning.words
    with leaving("the recipients' source"):
        return await Job.plan(
            journal,
            recipients_of(planning.recipients),
            message=None if words.templated else text,
            template=text if words.templated else None,
            event_id=words.event,
            legacy=words.legacy,
            context=context,
            column=planning.column,
            encoding=planning.encoding,
            query=planning.query,
            escape=not planning.no_escape,
            several=planning.several,
            invalid_csv=planning.invalid_file,
            strict=planning.strict,
            rate_limit=planning.limit,
        )


def recipients_of(given: str | None) -> str:
    """The file that was given."""
    if given is None:
        raise InvalidInput("give --recipients FILE, or - for standard input")
    return given


def _plain(made: Plan) -> dict[str, Any]:
    names = ("journal", "people", "duplicates", "differing", "invalid", "chunks", "texts")
    return {name: getattr(made, name) for name in names} | {
        "least_seconds": made.least_time,
        "invalid_examples": [asdict(found) for found in made.invalid_examples],
    }
