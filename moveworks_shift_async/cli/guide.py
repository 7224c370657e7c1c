"""`moveworks-shift guide`: the pages that README points to, one a subject."""

from __future__ import annotations

import sys
from importlib.resources import files

import click

from .failures import ExitCode
from .terminal import render, show

_PAGES = files("moveworks_shift_async").joinpath("guide")
_SUBJECTS = sorted(page.name.removesuffix(".md") for page in _PAGES.iterdir())


@click.command()
@click.argument("subject", required=False, type=click.Choice(_SUBJECTS), metavar="[SUBJECT]")
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
    from rich.markdown import Markdown  # noqa: PLC0415 - a quarter of a second, for this alone

    # Most links lead to other pages here, which a terminal cannot open: their names are shown.
    return render(Markdown(page, code_theme="ansi_dark", hyperlinks=False), err=False)
