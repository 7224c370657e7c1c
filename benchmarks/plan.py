"""Planning a job from a CSV file: rows a second, memory and the size of the journal.

Beside it stands what pandas and polars take for reading the same file and leaving out duplicates,
and nothing else: no check of addresses, no chunks, nothing on the disk, everything in memory. Each
measurement is a process of its own; memory is the most that it ever had, the interpreter included.

With `--exclude`: the same against a list of as many people, half of whom are recipients, as a CSV
file and as another job's account, in a file and in PostgreSQL.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen
from rich.table import Table

from moveworks_shift_async.jobs.store.postgres.schema import make_tables
from tests.postgres import Server

from .output import new_table, show

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
# Of a hundred rows one comes again, and of a thousand one is no address.
REPEATED, INVALID = 0.01, 0.001
FIRST = ("anna", "ben", "chiara", "david", "elena", "farid", "grace", "hiro", "ines", "jonas")
LAST = ("smith", "garcia", "mueller", "tanaka", "okafor", "rossi", "novak", "kim", "dubois")
_MEASURE = """
import json, resource, sys, time
began = time.perf_counter()
"""
_END = """
took = time.perf_counter() - began
rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
cpu = time.process_time()
print(json.dumps({"seconds": took, "cpu": cpu, "rss": rss, "people": people}))
"""
WAYS = {
    "Job.plan": """
import asyncio
from moveworks_shift_async import Job
plan = asyncio.run(Job.plan(sys.argv[2], sys.argv[1], message="hello", legacy=True))
people = plan.people
""",
    "pandas": """
import pandas
frame = pandas.read_csv(sys.argv[1])
people = len(frame[~frame["email"].str.lower().duplicated()])
""",
    "polars": """
import polars
frame = polars.read_csv(sys.argv[1])
people = frame.unique(polars.col("email").str.to_lowercase(), maintain_order=True).height
""",
}
_EXCLUDING = """
import asyncio
from moveworks_shift_async import Job
plan = asyncio.run(Job.plan(sys.argv[2], sys.argv[1], message="hello", legacy=True,
                            exclude=sys.argv[3:]))
people = plan.people
"""


@frozen
class Found:
    """What one process took."""

    seconds: float
    #: Seconds that its threads computed, its start included.
    cpu: float
    #: Bytes.
    rss: int
    #: Different addresses found, those that are none included where nobody looked.
    people: int
    #: Bytes of the journal; 0 where there is none.
    journal: int


def write_people(path: Path, rows: int, first: int = 0) -> None:
    """A file with three columns; people are numbered, and these begin with the `first`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("name,email,city\n")
        file.writelines(_rows(rows, first))


def _rows(rows: int, first: int) -> Iterator[str]:
    chance = random.Random(7)  # noqa: S311 - the same file each time
    for number in range(first, first + rows):
        which = chance.randrange(number) if number and chance.random() < REPEATED else number
        at = " at " if chance.random() < INVALID else "@"
        # In no order, as people are: consecutive numbers would pack better than names do.
        name = f"{FIRST[which * 31 % len(FIRST)]}.{LAST[which * 17 % len(LAST)]}"
        code = which * 7_654_321 % 100_000_007
        yield f"Person {which},{name}{code}{at}corp.example.com,Town {which % 977}\n"


def measure(name: str, people: Path) -> Found:
    """One way in a process of its own."""
    journal = people.with_suffix(".journal")
    found = _measured(WAYS[name], str(people), str(journal))
    size = sum(file.stat().st_size for file in people.parent.glob(f"{journal.name}*"))
    for file in people.parent.glob(f"{journal.name}*"):
        file.unlink()
    return Found(**found, journal=size)


def _measured(program: str, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-c", _MEASURE + program + _END, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def excluding(rows: int, url: str) -> Table:
    """A plan of so many rows against as many, half of which are the same people."""
    title = f"{rows:,} rows, {rows:,} to exclude, half of them recipients"
    result = new_table(title, "exclude", "journal", "seconds", "CPU s", "peak MB", "people")
    with tempfile.TemporaryDirectory() as directory:
        people, out = Path(directory) / "people.csv", Path(directory) / "out.csv"
        write_people(people, rows)
        write_people(out, rows, rows // 2)
        for kind, place in (("SQLite", f"{directory}/{{}}"), ("PostgreSQL", f"{url}#{{}}")):
            # The job whose people are excluded is none of what is measured.
            _measured(_EXCLUDING, str(out), place.format("other"))
            lists = {
                "nobody": [],
                "CSV": [str(out)],
                "a job": [place.format("other") + ":not_sent"],
            }
            for name, given in lists.items():
                found = _measured(_EXCLUDING, str(people), place.format(name.split()[-1]), *given)
                _check(rows, given, found["people"])
                times = f"{found['seconds']:.1f}", f"{found['cpu']:.1f}"
                memory, left = f"{found['rss'] / 1e6:,.0f}", f"{found['people']:,}"
                result.add_row(name, kind, *times, memory, left)
    return result


def _check(rows: int, lists: Sequence[str], people: int) -> None:
    """As many are left as there should be."""
    left = rows / 2 if lists else rows
    if not 0.97 * left <= people <= left:
        raise RuntimeError(f"{people} of {rows} rows are left")


def with_postgres(rows: Sequence[int]) -> list[Table]:
    """A table for each size, with a server of this run alone."""
    folder = Path(tempfile.mkdtemp(prefix="benchmark-postgres-"))
    server = Server.make(folder)
    try:
        asyncio.run(make_tables(server.url))
        return [excluding(count, server.url) for count in rows]
    finally:
        server.end()


def compare(rows: int) -> dict[str, Found]:
    """All ways with one file."""
    with tempfile.TemporaryDirectory() as directory:
        people = Path(directory) / "people.csv"
        write_people(people, rows)
        found = {name: measure(name, people) for name in WAYS}
    ours, pandas, polars = (found[name].people for name in WAYS)
    if not (pandas == polars and 0.998 * pandas <= ours <= pandas):
        raise RuntimeError(f"they disagree about who is a duplicate: {found}")
    return found


def table(found: dict[int, dict[str, Found]]) -> Table:
    """A row for each size and way."""
    result = Table(title="a CSV file with three columns -> different people")
    for heading in ("rows", "way", "seconds", "rows/s", "of polars", "peak MB", "bytes/person"):
        result.add_column(heading, justify="left" if heading == "way" else "right")
    for rows, ways in found.items():
        fastest = ways["polars"].seconds
        for name, one in ways.items():
            result.add_row(
                f"{rows:,}",
                name,
                f"{one.seconds:.2f}",
                f"{rows / one.seconds:,.0f}",
                f"{fastest / one.seconds:.2f}",
                f"{one.rss / 1e6:,.0f}",
                f"{one.journal / one.people:.1f}" if one.journal else "",
            )
        result.add_section()
    return result


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plan", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES, help="sizes of the files")
    parser.add_argument("--exclude", action="store_true", help="against as many to exclude")
    given = parser.parse_args()
    if given.exclude:
        show("plan --exclude", ("psycopg",), *with_postgres(given.rows))
        return
    found = {rows: compare(rows) for rows in given.rows}
    show("plan", ("pandas", "polars"), table(found))


if __name__ == "__main__":
    main()
