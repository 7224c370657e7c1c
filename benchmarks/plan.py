"""Planning a job from a CSV file: rows a second, memory and the size of the journal.

Beside it stands what pandas and polars take for reading the same file and leaving out duplicates,
and nothing else: no check of addresses, no chunks, nothing on the disk, everything in memory. Each
measurement is a process of its own; memory is the most that it ever had, the interpreter included.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen
from rich.table import Table

from .output import show

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
print(json.dumps({"seconds": took, "rss": rss, "people": people}))
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


@frozen
class Found:
    """What one process took."""

    seconds: float
    #: Bytes.
    rss: int
    #: Different addresses found, those that are none included where nobody looked.
    people: int
    #: Bytes of the journal; 0 where there is none.
    journal: int


def write_people(path: Path, rows: int) -> None:
    """A file with three columns."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("name,email,city\n")
        file.writelines(_rows(rows))


def _rows(rows: int) -> Iterator[str]:
    chance = random.Random(7)  # noqa: S311 - the same file each time
    for number in range(rows):
        which = chance.randrange(number) if number and chance.random() < REPEATED else number
        at = " at " if chance.random() < INVALID else "@"
        # In no order, as people are: consecutive numbers would pack better than names do.
        name = f"{FIRST[which * 31 % len(FIRST)]}.{LAST[which * 17 % len(LAST)]}"
        code = which * 7_654_321 % 100_000_007
        yield f"Person {which},{name}{code}{at}corp.example.com,Town {which % 977}\n"


def measure(name: str, people: Path) -> Found:
    """One way in a process of its own."""
    journal = people.with_suffix(".journal")
    command = [sys.executable, "-c", _MEASURE + WAYS[name] + _END, str(people), str(journal)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    size = sum(file.stat().st_size for file in people.parent.glob(f"{journal.name}*"))
    for file in people.parent.glob(f"{journal.name}*"):
        file.unlink()
    return Found(**json.loads(done.stdout), journal=size)


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
    found = {rows: compare(rows) for rows in parser.parse_args().rows}
    show("plan", ("pandas", "polars"), table(found))


if __name__ == "__main__":
    main()
