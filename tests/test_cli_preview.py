"""`moveworks-shift preview` and `plan --preview`: what they print, what they leave."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from moveworks_shift_async.cli import main

PEOPLE = "email,name\nada@example.com,Ada\nbob@example.com,None\nno address,Cy\n"
GOOD = "email,name\nada@example.com,Ada\n"


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own with a file of people."""
    monkeypatch.chdir(tmp_path)
    Path("people.csv").write_text(PEOPLE)


def planned(*more: str, template: str = "Hi {name}") -> int:
    """The exit code of a plan."""
    given = ("plan", "job", "--legacy", "--recipients", "people.csv", "--template", template)
    return main.run((*given, *more))


def test_a_plan_with_a_preview_is_looked_at_and_stays(capsys: Any) -> None:
    """The findings are told beside the plan, and the page is its owner's alone."""
    assert planned("--preview", "page.html") == 0
    told = capsys.readouterr()
    assert told.out.startswith("Plan of people.csv, in job")
    assert "page.html: written, one page, with addresses of recipients" in told.err
    assert "2 texts for 2 people, of 6 to 7 characters\n1 text has findings:\n" in told.err
    assert "  value: 1 text, a value of a column that looks empty or odd\n" in told.err
    assert "this sends it: moveworks-shift run job" in told.err
    assert stat.S_IMODE(Path("page.html").stat().st_mode) == 0o600
    assert Path("job").exists()


def test_a_plan_says_as_json_what_was_found(capsys: Any) -> None:
    """In an object of its own."""
    assert planned("--preview", "page.html", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["people"] == 2
    assert plan["preview"] == {
        "people": 2, "texts": 2, "with_findings": 1, "findings": {"value": 1},
        "shortest": 6, "longest": 7,
    }  # fmt: skip


def test_findings_are_an_error_of_a_strict_plan(capsys: Any) -> None:
    """No job is left; the page is, to look at. Without findings it is as any other plan."""
    Path("people.csv").write_text(PEOPLE.replace("no address,Cy\n", ""))
    assert planned("--preview", "page.html", "--strict") == 3
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.endswith("Nothing was planned. The page shows them.\n")
    assert not Path("job").exists()
    assert Path("page.html").exists()
    assert planned("--preview", "json.html", "--strict", "--json") == 3
    assert json.loads(capsys.readouterr().out)["preview"]["with_findings"] == 1
    Path("people.csv").write_text(GOOD)
    assert planned("--preview", "good.html", "--strict") == 0
    assert "1 text for 1 person, of 6 characters; nothing was found" in capsys.readouterr().err
    assert Path("job").exists()


def test_rows_come_before_texts_in_a_strict_plan(capsys: Any) -> None:
    """A row that is no address ends it before there is anything to look at."""
    assert planned("--preview", "page.html", "--strict") == 3
    assert "line 4" in capsys.readouterr().err
    assert not Path("job").exists()
    assert not Path("page.html").exists()


def test_a_page_that_cannot_be_is_found_before_anything_is_planned(capsys: Any) -> None:
    """What is there is left as it is."""
    Path("page.html").write_text("mine")
    assert planned("--preview", "page.html") == 2
    assert planned("--preview", "no/page.html") == 2
    assert "is there already and was left as it is" in capsys.readouterr().err
    assert not Path("job").exists()
    assert Path("page.html").read_text() == "mine"


def test_a_job_is_looked_at_any_time(capsys: Any) -> None:
    """With a page or without; nothing is quoted on the terminal."""
    assert planned(template="Hi {name} {{id}} <u>") == 0
    capsys.readouterr()
    assert main.run(("preview", "job")) == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "2 texts for 2 people, of 17 to 18 characters",
        "2 texts have findings:",
        "  tag: 2 texts, a tag that is in no sample of the vendor's; it is shown as text",
        "  unfilled: 2 texts, a slot or a column without a value",
        "  value: 1 text, a value of a column that looks empty or odd",
    ]
    assert told.err == ""
    assert main.run(("preview", "job", "--html", "page.html", "--json", "--strict")) == 3
    told = capsys.readouterr()
    assert json.loads(told.out)["findings"] == {"tag": 2, "unfilled": 2, "value": 1}
    assert "page.html: written" in told.err
    assert "Bob" not in Path("page.html").read_text()
    assert main.run(("preview", "job", "--html", "page.html")) == 2
    assert "Nothing was written." in capsys.readouterr().err
    assert main.run(("preview", "nothing")) == 2


def test_strict_without_findings_is_content(capsys: Any) -> None:
    """Exit code 0."""
    Path("people.csv").write_text(GOOD)
    assert planned() == 0
    assert main.run(("preview", "job", "--strict")) == 0
    assert "nothing was found" in capsys.readouterr().out
