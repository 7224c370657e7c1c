"""`--exclude` of `plan` and `send`: who is left out, what is said of it, and what is refused."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from moveworks_shift_async.cli import main
from moveworks_shift_async.sandbox import Sandbox

from .commands import environment, run

STAFF = "email,name\n" + "".join(f"p{number}@example.com,P{number}\n" for number in range(5))
MESSAGE = ("--legacy", "--message", "Hi", "--recipients", "staff.csv")


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own with five people, and a list of two that is broken in a line."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("MOVEWORKS_")]:
        monkeypatch.delenv(name)
    Path("staff.csv").write_text(STAFF)
    Path("left.csv").write_text("mail,boss\nP0@example.com,p4@example.com\np1,x\n")
    Path("first.csv").write_text("\n".join(STAFF.splitlines()[:3]))


def account(path: str) -> list[tuple[str, str]]:
    """Outcome and reason of each row."""
    with Path(path).open(newline="") as file:
        return [(row["outcome"], row["reason"]) for row in csv.DictReader(file)]


def planned(*args: str) -> int:
    """The exit code of a plan for the five."""
    return main.run(["plan", "tonight.journal", *MESSAGE, *args])


def test_a_plan_says_whom_it_excludes_and_by_which_list(capsys: Any) -> None:
    """On stdout in words, the broken rows on stderr."""
    assert planned("--exclude", "left.csv", "--exclude-column", "mail") == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[2:5] == [
        "  People      4",
        "  Excluded    1",
        '              1 by left.csv: CSV, comma, UTF-8, 2 rows, column "mail"; 1 of its entries is'
        " no address, and excludes nobody (line 3)",
    ]
    assert shown.err.splitlines()[0] == "  left.csv: line 3: no @"


def test_a_plan_says_it_as_json(capsys: Any) -> None:
    """Beside what it excludes, what of the list is broken."""
    assert planned("--exclude", "left.csv", "--exclude-column", "1", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["people"], found["excluded"]) == (4, 1)
    assert found["exclusions"] == [
        {"source": "left.csv", "read_as": 'CSV, comma, UTF-8, 2 rows, column "mail"', "people": 1,
         "addresses": 1, "invalid": 1, "invalid_examples": [{"line": 3, "reason": "no @"}]}
    ]  # fmt: skip
    assert main.run(["status", "tonight.journal", "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["excluded"], status["exclusions"]) == (1, found["exclusions"])


def test_a_broken_list_is_refused_with_strict(capsys: Any) -> None:
    """With the code of rows that are no address; no journal is left."""
    wanted = ("--exclude", "left.csv", "--exclude-column", "mail", "--strict")
    assert planned(*wanted) == 3
    assert "left.csv: 1 row without a valid address" in capsys.readouterr().err
    assert not Path("tonight.journal").exists()
    assert main.run(["send", *MESSAGE, *wanted, "--dry-run"]) == 3
    assert "left.csv: 1 row without a valid address" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["left.csv"], "choose one with --exclude-column NAME"),
        (["left.csv", "--exclude-column", "town"], 'no column "town"'),
        (["none.csv"], "none.csv cannot be read: No such file"),
        (["empty.csv"], "empty.csv: the file is empty: nobody is on it; if that is right, leave"),
        (["postgresql://h/db"], "a database needs a query"),
        (["staff.csv"], "nobody to send to: all 5 people are excluded by staff.csv"),
        (["staff.csv:accepted"], "staff.csv is no journal"),
        (["-", "--message-file", "-"], "give one of"),
        (["p1@example.com"], "an address stands where a list"),
        (["left.csv", "--exclude-query", "SELECT 1"], "a query needs a database URL"),
        (["sqlite:///no.db", "--exclude-query", "SELECT 1"], "no.db: cannot be read: No such"),
    ],
)
def test_what_is_no_list_ends_with_2(args: list[str], why: str, capsys: Any) -> None:
    """It is said in the words of this option, and no address is shown."""
    Path("empty.csv").touch()
    Path("left.csv").write_text("mail,boss\nP0@example.com,p4@example.com\n".replace("mail", "a"))
    assert planned("--exclude", *args) == 2
    err = capsys.readouterr().err
    assert why in err
    assert "p1@example" not in err
    assert not Path("tonight.journal").exists()


def test_a_list_is_read_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """As recipients are."""
    command = [sys.executable, "-m", "moveworks_shift_async", "plan", "a.journal", *MESSAGE]
    done = subprocess.run([*command, "--exclude", "-", "--json"], input=b"p1@example.com\n",
                          stdout=subprocess.PIPE, check=True)  # fmt: skip
    found = json.loads(done.stdout)
    assert (found["excluded"], found["exclusions"][0]["source"]) == (1, "standard input")


async def test_a_send_leaves_them_out(sandbox: Sandbox) -> None:
    """They are in the preview, the table and the JSON; --test-to goes to an excluded person too."""
    env = environment(sandbox, MOVEWORKS_GATE="none")
    wanted = ("send", *MESSAGE, "--exclude", "left.csv", "--exclude-column", "mail")
    dry = await run(*wanted, "--dry-run", "--json", env=env)
    assert json.loads(dry.out)["excluded"] == 1
    assert "excluded: 1 by left.csv: CSV" in dry.err
    sent = await run(*wanted, "--json", "--yes", env=env)
    assert sent.code == 0, sent
    found = json.loads(sent.out)
    assert (found["accepted"], found["excluded"]) == (4, 1)
    assert "p0@example.com" not in {*sandbox.received().people}
    table = await run(*wanted, "--yes", env=env)
    assert ["excluded", "1"] in [line.split() for line in table.out.splitlines()]
    test = await run(*wanted, "--test-to", "p0@example.com", env=env)
    assert (test.code, [*sandbox.received().people].count("p0@example.com")) == (0, 1), test


async def test_a_job_is_told_to_the_rest(sandbox: Sandbox) -> None:
    """A second job, without those whom the first told; a third from what the second rejected."""
    env = environment(sandbox, MOVEWORKS_GATE="none")
    first = ("send", *MESSAGE[:3], "--recipients", "first.csv", "--journal", "first.journal")
    assert (await run(*first, "--yes", env=env)).code == 0
    second = ("send", *MESSAGE, "--journal", "second.journal", "--exclude", "first.journal")
    done = await run(*second, "--yes", env=env)
    assert done.code == 0, done
    assert "2 by first.journal:accepted,unknown: a job, 2 of its 2 people" in done.err
    assert sorted(sandbox.received().people) == [f"p{number}@example.com" for number in range(5)]
    report = await run("report", "second.journal", "--csv", "account.csv", env=env)
    assert "excluded" in report.out
    assert account("account.csv")[3:] == [("excluded", "first.journal:accepted,unknown")] * 2
    third = ("plan", "third.journal", *MESSAGE[:3], "--recipients", "second.journal:rejected")
    none = await run(*third, env=env)
    assert none.code == 2
    assert "second.journal:rejected: no entries: nobody to send to" in none.err
