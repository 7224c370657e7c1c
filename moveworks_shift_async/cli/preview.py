"""`moveworks-shift preview`, and `plan --preview`: what people will get, before they do."""

from __future__ import annotations

import json
from typing import Any

import click

from ..errors import MoveworksError
from ..jobs.job import Job
from ..jobs.preview.survey import JobPreview
from ..markup.values import MEANINGS, Fault
from ..text import one_line, people, plural
from .failures import ExitCode, error_line, exit_code
from .shared_options import journal_argument, json_option, option
from .signals import cancel_on_signal, run_loop
from .terminal import note, show


@click.command()
@journal_argument
@option(
    "--html",
    metavar="FILE",
    help="Write a page that shows some of the texts, as rendered and as source, to a new HTML"
    " file. It holds the first of those whom each is for.",
)
@option("--strict", is_flag=True, help="Exit with code 3 if there are findings.")
@json_option("PREVIEW")
def preview(journal: str, html: str | None, strict: bool, as_json: bool) -> int:
    """Look at every text of a job before it is sent. Nothing is changed.

    It counts the texts with findings: what the vendor's samples do not show, what is unfilled or
    odd, what is close to 20,000 characters. Exit codes: 0, also with findings; 2 journal or file;
    3 findings, with --strict.
    """
    try:
        found = looked_at(journal, html)
    except MoveworksError as error:
        note(error_line(error, went_out="Nothing was written" if html else None))
        return exit_code(error)
    show(json.dumps(plain_preview(found)) if as_json else "\n".join(preview_lines(found)))
    return ExitCode.REJECTED if strict and found.with_findings else ExitCode.OK


def looked_at(journal: str, html: str | None) -> JobPreview:
    """Look, and write the page."""
    found = run_loop(_looked_at(Job(journal), html))
    if html is not None:
        note(f"{one_line(html)}: written, one page, with addresses of recipients")
    return found


async def _looked_at(job: Job, html: str | None) -> JobPreview:
    with cancel_on_signal("the disk"):
        return await job.preview(html)


def preview_lines(found: JobPreview) -> list[str]:
    """The preview for a terminal; it quotes no text."""
    longest = plural(found.longest, "character")
    lengths = longest if found.shortest == found.longest else f"{found.shortest:,} to {longest}"
    told = f"{plural(found.texts, 'text')} for {people(found.people)}, of {lengths}"
    if not found.with_findings:
        return [f"{told}; nothing was found"]
    have = "has" if found.with_findings == 1 else "have"
    return [
        told,
        f"{plural(found.with_findings, 'text')} {have} findings:",
        *(
            f"  {kind}: {plural(count, 'text')}, {MEANINGS[Fault(kind)]}"
            for kind, count in found.findings.items()
        ),
    ]


def plain_preview(found: JobPreview) -> dict[str, Any]:
    """The preview as plain values: people, texts, characters."""
    names = ("people", "texts", "with_findings", "findings", "shortest", "longest")
    return {name: getattr(found, name) for name in names}
