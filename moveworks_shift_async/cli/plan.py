"""`moveworks-shift plan`, and `send --journal`, which plans and runs in one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click
from attrs import asdict, field, frozen

from ..errors import InvalidInput, MoveworksError, NotAddresses
from ..jobs.job import Job
from ..jobs.plan.plan import ExcludeList, Plan
from ..jobs.preview.preview import check_page
from ..jobs.preview.survey import JobPreview
from ..settings import RateLimit
from ..text import one_line, shell_word
from ..wire.moveworks import Content
from .confirmation import broken_rows, examples
from .failures import ExitCode
from .message_options import MessageOptions, message_options, template_options
from .preview import looked_at, plain_preview, preview_lines
from .schedule_options import (
    ScheduleArguments,
    plain_schedule,
    plain_time,
    schedule_options,
)
from .shared_options import journal_argument, json_option, option, picked, rate_options
from .signals import cancel_on_signal, run_loop
from .terminal import note, say


@frozen(kw_only=True)
class PlanArguments:
    """What `Job.plan` is called with, as the options give it."""

    message: MessageOptions
    #: A file, a database's URL, or the addresses themselves.
    recipients: str | Sequence[str] | None = field(repr=False)
    column: str | None
    encoding: str | None = None
    query: str | None = None
    #: Files, URLs or other jobs.
    exclude: Sequence[str] = ()
    exclude_column: str | None = None
    exclude_encoding: str | None = None
    exclude_query: str | None = None
    no_escape: bool = False
    invalid_file: str | None = None
    strict: bool = False
    requests_per_minute: int = 120
    share: float = 1.0
    schedule: ScheduleArguments = field(factory=ScheduleArguments)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> PlanArguments:
        """From the options of a command that has them."""
        return picked(
            cls,
            given,
            message=MessageOptions.of(given),
            schedule=ScheduleArguments.of(given),
        )

    @property
    def lists(self) -> list[ExcludeList]:
        """The people who are not to be told."""
        # The query is for databases; where there is none, it is refused with the first list.
        databases = [one for one in self.exclude if "://" in one] or self.exclude
        return [
            ExcludeList(
                one,
                column=self.exclude_column,
                encoding=self.exclude_encoding,
                query=self.exclude_query if one in databases else None,
            )
            for one in self.exclude
        ]

    @property
    def limit(self) -> RateLimit:
        """The rate, which a plan needs no credential to show."""
        return RateLimit(requests=self.requests_per_minute, share=self.share)


@click.command()
@journal_argument
@message_options
@template_options
@option(
    "--preview",
    metavar="FILE",
    help="Look at every text, and write a page that shows some of them to a new HTML file, as"
    " `preview` does. With --strict, findings mean that nothing is planned.",
)
@schedule_options
@json_option("PLAN")
@rate_options
def plan(journal: str, preview: str | None, as_json: bool, **given: Any) -> int:
    """Write a job to the new file JOURNAL. Nothing is sent.

    It prints whom it is for, who was left out, and how long it will take; `run` sends it. Exit
    codes: 0 planned; 2 usage, file or journal; 3 not planned, for --strict; 130 interrupted.
    """
    arguments = PlanArguments.of(given)
    if preview is not None:
        check_page(preview)
    made = make_plan(journal, arguments)
    looked = None if preview is None else _looked(journal, preview)
    if looked is not None and arguments.strict and looked.with_findings:
        return _refused(journal, looked, as_json=as_json)
    say(json.dumps(_plain(made, looked)) if as_json else _shown(made))
    for line in () if looked is None else preview_lines(looked):
        note(line)
    for line in broken_rows(made):
        note(line)
    if arguments.invalid_file is not None:
        note(f"{one_line(arguments.invalid_file)}: written, a row for each invalid one")
    note(f"nothing was sent yet; {sent_by(journal)}")
    return ExitCode.OK


def _looked(journal: str, page: str) -> JobPreview:
    """Look at a plan that has just been made; it stays, whatever becomes of the page."""
    try:
        return looked_at(journal, page)
    except MoveworksError:
        note(f"the plan is there, the page is not; {sent_by(journal)}")
        raise


def _refused(journal: str, looked: JobPreview, *, as_json: bool) -> int:
    """Take the plan back."""
    Job(journal).remove()
    if as_json:
        say(json.dumps({"preview": plain_preview(looked)}))
    for line in preview_lines(looked):
        note(line)
    note("Error: findings, and --strict. Nothing was planned. The page shows them.")
    return ExitCode.REJECTED


def show_plan(made: Plan) -> None:
    """Show it beside what else goes to stderr."""
    for line in (_shown(made), *broken_rows(made)):
        note(line)


def _shown(made: Plan) -> str:
    """The plan for a terminal: the name of a file may hold control characters."""
    return "\n".join("".join(c if c.isprintable() else "?" for c in line)
                     for line in str(made).splitlines())  # fmt: skip


def sent_by(journal: str) -> str:
    """What sends a job that was planned."""
    return f"this sends it: moveworks-shift run {shell_word(Job(journal).name)}"


def make_plan(journal: str, arguments: PlanArguments) -> Plan:
    """Write the journal."""
    # What is wrong with the files comes before anything is touched.
    message = arguments.message
    text, context = message.text, message.context
    arguments.schedule.change()
    if not message.templated:
        Content(event_id=message.event, message=text, context=context).check()
    try:
        return run_loop(_plan(journal, arguments, text, context))
    except NotAddresses as error:
        for line in examples(error.examples, error.count):
            note(line)
        raise


async def _plan(
    journal: str, arguments: PlanArguments, text: str, context: Mapping[str, Any] | None
) -> Plan:
    message, recipients = arguments.message, arguments.recipients
    if recipients is None:
        raise InvalidInput("give --recipients FILE, or - for standard input")
    with cancel_on_signal("the recipients' source"):
        return await Job.plan(
            journal,
            recipients,
            message=None if message.templated else text,
            template=text if message.templated else None,
            event_id=message.event,
            legacy=message.legacy,
            context=context,
            column=arguments.column,
            encoding=arguments.encoding,
            query=arguments.query,
            exclude=arguments.lists,
            escape=not arguments.no_escape,
            invalid_csv=arguments.invalid_file,
            strict=arguments.strict,
            rate_limit=arguments.limit,
            **arguments.schedule.given,
        )


def _plain(made: Plan, looked: JobPreview | None) -> dict[str, Any]:
    names = (
        "journal",
        "people",
        "excluded",
        "duplicates",
        "differing",
        "invalid",
        "chunks",
        "texts",
    )
    shown = {} if looked is None else {"preview": plain_preview(looked)}
    return (
        {name: getattr(made, name) for name in names}
        | {
            "least_seconds": made.least_time,
            **_plain_hours(made),
            "invalid_examples": [asdict(found) for found in made.invalid_examples],
            "exclusions": [asdict(one) for one in made.exclusions],
        }
        | shown
    )


def _plain_hours(made: Plan) -> dict[str, Any]:
    """When it may send, and when it will; times in UTC."""
    found = made.forecast
    return plain_schedule(made.schedule) | {
        "begins": plain_time(found.begins),
        "ends": plain_time(found.ends),
        "late_requests": found.late,
        "shown": {name: plain_time(at) for name, at in made.shown_at.items()},
    }
