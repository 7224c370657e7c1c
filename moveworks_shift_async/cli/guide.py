"""`moveworks-shift guide`: the pages that README points to, one a subject."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from importlib.resources import files

import click

from .failures import ExitCode
from .terminal import render, show

_PAGES = files("moveworks_shift_async").joinpath("guide")
_SUBJECTS = sorted(page.name.removesuffix(".md") for page in _PAGES.iterdir())


def _subject(context: click.Context, _: click.Parameter, value: str | None) -> str | None:
    """The subject, or a mistake of usage that says which one may have been meant."""
    if value is None:
        return None
    subject = value.strip().lower().replace(" ", "-").removesuffix(".md")
    if subject in _SUBJECTS:
        return subject
    close = get_close_matches(subject, _SUBJECTS, 1)
    meant = f"; did you mean {close[0]}?" if close else "."
    told = f"the guide has no page {value!r}{meant} It has {', '.join(_SUBJECTS)}"
    raise click.UsageError(told, context)


@click.command()
@click.argument("subject", required=False, metavar="[SUBJECT]", callback=_subject)
def guide(subject: str | None) -> int:
    """Show a page of the guide; without SUBJECT, list what there is.

    With colours on a terminal, as Markdown elsewhere.
    """
    if subject is None:
        show("\n".join(map(_line, _SUBJECTS)))
    else:
        show(_drawn(_page(subject)) if sys.stdout.isatty() else _page(subject).rstrip("\n"))
    return ExitCode.OK


def _page(subject: str) -> str:
    return _PAGES.joinpath(f"{subject}.md").read_text(encoding="utf-8")


def _line(subject: str) -> str:
    """The subject, and the question under the page's title, without its stars."""
    question = _page(subject).splitlines()[2].strip("*")
    return f"{subject:{max(map(len, _SUBJECTS))}}  {question}"


def _drawn(page: str) -> str:
    from .pages import Page  # noqa: PLC0415 - rich takes a quarter of a second, for this alone

    # Most links lead to other pages here, which a terminal cannot open: their names are shown.
    return render(Page(page, code_theme="ansi_dark", hyperlinks=False), err=False)
