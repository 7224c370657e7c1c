"""`moveworks-shift guide` shows the pages of the guide."""

from __future__ import annotations

import io
import re
import sys
from importlib.resources import files

import pytest

from moveworks_shift_async.cli.main import run

from .test_layers import PACKAGE

PAGES = files(PACKAGE).joinpath("guide")
SUBJECTS = sorted(page.name.removesuffix(".md") for page in PAGES.iterdir())


class Terminal(io.StringIO):
    """A screen with colours."""

    def isatty(self) -> bool:
        """Colours are wanted."""
        return True


def test_without_a_subject_each_is_listed_with_its_question(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line a page."""
    assert run(["guide"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == SUBJECTS
    assert all(line.endswith("?") and "*" not in line for line in lines)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_page_is_shown_as_it_is_where_it_is_not_a_terminal(
    subject: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """So it can be searched and piped."""
    assert run(["guide", subject]) == 0
    assert capsys.readouterr().out == PAGES.joinpath(f"{subject}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_page_has_colours_on_a_terminal(subject: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no marks of Markdown."""
    monkeypatch.setenv("TERM", "xterm-256color")
    for variable in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(variable, raising=False)
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    assert run(["guide", subject]) == 0
    shown = screen.getvalue()
    assert "\x1b[1" in shown
    question = PAGES.joinpath(f"{subject}.md").read_text(encoding="utf-8").splitlines()[2]
    assert question[2:10] in shown
    assert question[:10] not in shown
    assert "```" not in shown


def test_a_subject_that_there_is_not_names_those_that_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As a mistake of usage, with the one that may have been meant."""
    assert run(["guide", "limits"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("Error: the guide has no page 'limits'; did you mean rate-limits? It ")
    assert f"It has {', '.join(SUBJECTS)}. " in told
    assert run(["guide", "7"]) == 2
    assert capsys.readouterr().err.startswith("Error: the guide has no page '7'. It has ")


@pytest.mark.parametrize("typed", ["Going-Live", "going live", "going-live.md"])
def test_a_subject_may_be_typed_as_it_is_called(
    typed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As its title, and as its file."""
    assert run(["guide", typed]) == 0
    assert capsys.readouterr().out.startswith("# Going live")


def test_a_narrow_terminal_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is longer than its column goes on in the next line."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    assert run(["guide", "command-line"]) == 0
    shown = re.sub("\x1b\\[[0-9;]*m", "", screen.getvalue())
    assert "…" not in shown
    first_column = "".join(line[:20].strip() for line in shown.splitlines())
    assert "MOVEWORKS_CLIENT_ID,MOVEWORKS_CLIENT_SECRET" in first_column
    assert max(map(len, shown.splitlines())) <= 40
