"""The import rule: a module imports only from the rows below its own, and each outside thing has
one owner.

The files are read, not imported, so an import inside a function or for the type checker counts too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import moveworks_shift_async

PACKAGE = "moveworks_shift_async"
ROOT = Path(moveworks_shift_async.__file__).parent

#: The page says the rows, and is true because they are held here.
HOUSE = (ROOT / "guide" / "house.md").read_text(encoding="utf-8")


def rows_of(block: str) -> dict[str, list[list[str]]]:
    """The rows below each line that is not indented, top to bottom."""
    rooms = re.findall(r"^(\w+)\n((?:  .+\n)+)", block, re.MULTILINE)
    return {room: [row.split() for row in rows.splitlines()] for room, rows in rooms}


#: Top to bottom. Names in one row never import each other; files of one package may.
#: The face, `__init__`, gathers the public names; it stands above what it gathers.
ROWS = rows_of(HOUSE)[PACKAGE]
ROW_OF = {room: number for number, row in enumerate(ROWS) for room in row}
#: The same inside of the big rooms: files and folders.
INNER_ROWS = {room: rows for room, rows in rows_of(HOUSE).items() if room != PACKAGE}
INNER_ROW_OF = {
    (room, name): number
    for room, rows in INNER_ROWS.items()
    for number, row in enumerate(rows)
    for name in row
}

#: Who may import what of the outside. A name with a slash is a folder and all that is in it.
OWNERS = {
    # The client's one way out; what is served on this machine needs a server of the same kind.
    "aiohttp": ("transport/", "client.py", "sandbox/", "local_page.py", "watch/"),
    "cattrs": ("wire/",),
    "tenacity": ("retry.py",),
    "random": ("retry.py", "sandbox/", "storage/postgres.py"),
    "time": ("clock.py",),
    "click": ("cli/",),
    "rich": ("cli/",),
    "charset_normalizer": ("sources/",),
    "csv": ("sources/", "jobs/plan/rejects.py", "jobs/report/csv_export.py"),
    "sqlite3": ("storage/sqlite.py",),
    "jinja2": ("jobs/pages.py",),
    "matplotlib": ("jobs/report/plot.py",),
    "nh3": ("markup/sanitizer.py",),
    "emoji": ("markup/sanitizer.py",),
    "openpyxl": ("sources/workbook.py",),
    "pyarrow": ("sources/parquet.py",),
    # Whoever asks a store knows its ports; which kinds there are, the file that parses names.
    f"{PACKAGE}.jobs.store.sqlite": ("jobs/store/names.py", "jobs/store/sqlite/"),
    f"{PACKAGE}.jobs.store.postgres": (
        "jobs/store/names.py",
        "jobs/store/postgres/",
        "fleet/",
        "cli/",
    ),
    "opentelemetry": ("telemetry/",),
    "psycopg": ("storage/postgres.py", "storage/postgres_errors.py"),
    "anyio": ("blocking/portal.py",),
    "pytest": ("testing/",),
    "procrastinate": ("fleet/", "cli/fleet.py"),  # which looks whether it is installed
    "sqlalchemy": ("sources/sql.py",),
}
#: Who may use these parts of a module that others use otherwise.
PART_OWNERS = {
    "os.environ": ("settings.py",),
    "os.getenv": ("settings.py",),
    "datetime.now": ("clock.py",),
    "datetime.utcnow": ("clock.py",),
    "datetime.today": ("clock.py",),
    "date.today": ("clock.py",),
    "asyncio.sleep": ("clock.py",),
}
#: One list for this test and for coverage, which asks for all of their lines.
PURE = tuple(
    line.removeprefix(f"{PACKAGE}/").removesuffix("*")
    for line in (ROOT.parent / ".ci" / "pure-files").read_text(encoding="utf-8").split()
)
#: What a pure file never imports: whatever waits, connects or reads a clock.
IMPURE = {"asyncio", "threading", "time", "socket", "aiohttp", f"{PACKAGE}.clock"}

FILES = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.py"))


@cache
def tree_of(file: str) -> ast.Module:
    """The syntax tree of one file of the package."""
    return ast.parse((ROOT / file).read_text(encoding="utf-8"), filename=file)


@cache
def imports_of(file: str) -> tuple[tuple[int, str], ...]:
    """Line and full name of all that a file imports, wherever in it the import stands."""
    return tuple(_imports_of(file))


def _imports_of(file: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(file, node.level, node.module)
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def absolute(file: str, level: int, module: str | None) -> str:
    """The full name of the module that `from ... import` names in this file."""
    if not level:
        return module or ""
    here = [PACKAGE, *Path(file).parts]
    return ".".join([*here[: len(here) - level], *([module] if module else [])])


def room_of(file: str) -> str:
    """The room of a file: its package, or its own name."""
    first = Path(file).parts[0]
    return first.removesuffix(".py")


def room_imported(name: str) -> str | None:
    """The room that a full name leads to; None if it is none of ours."""
    parts = name.split(".")
    if parts[0] != PACKAGE:
        return None
    # `from package import name` imports a room if there is one of that name, else the face.
    return parts[1] if len(parts) > 1 and parts[1] in ROW_OF else "__init__"


def owned(file: str, owners: tuple[str, ...]) -> bool:
    """Is the file one of the owners, or in a folder of theirs?"""
    return any(file == owner or (owner[-1] == "/" and file.startswith(owner)) for owner in owners)


def is_or_is_in(name: str, module: str) -> bool:
    """Is a full name this module, or something in it?"""
    return name == module or name.startswith(f"{module}.")


@cache
def parts_used(file: str) -> tuple[tuple[int, str], ...]:
    """Line and dotted name of each attribute used, and of each name imported from a module."""
    return tuple(_parts_used(file))


def _parts_used(file: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Attribute):
            owner = node.value
            last = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            yield node.lineno, f"{last}.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def test_every_file_has_a_row() -> None:
    """A new file or folder at the top level must be given its place, and no other has one."""
    assert {room_of(file) for file in FILES} == ROW_OF.keys()
    assert len(ROW_OF) == sum(map(len, ROWS))


@pytest.mark.parametrize("file", FILES)
def test_a_module_imports_only_from_below(file: str) -> None:
    """Nothing is imported from a higher row, nor from another room of the same row."""
    room = room_of(file)
    wrong = [
        (line, name)
        for line, name in imports_of(file)
        if (other := room_imported(name)) is not None
        and other != room
        and ROW_OF[other] <= ROW_OF[room]
    ]
    assert wrong == []


def inner_name(path: str) -> tuple[str, str] | None:
    """Room and name of a file, or of what a full name with slashes leads to, inside a big room."""
    room, _, rest = path.removesuffix(".py").partition("/")
    name = rest.partition("/")[0]
    return (room, name) if room in INNER_ROWS and name not in ("", "__init__") else None


INNER_FILES = {file: inner for file in FILES if (inner := inner_name(file)) is not None}


def test_the_rows_inside_a_room_name_what_is_there() -> None:
    """Each of its files and folders, once, and nothing that does not exist."""
    named = [(room, name) for room, rows in INNER_ROWS.items() for row in rows for name in row]
    assert sorted(named) == sorted(set(INNER_FILES.values()))
    assert [room for room in INNER_ROWS if room not in ROW_OF] == []


@pytest.mark.parametrize("file", INNER_FILES)
def test_inside_a_room_too_a_module_imports_only_from_below(file: str) -> None:
    """Files of one folder may, where the folder is one of the names."""
    mine = INNER_FILES[file]
    wrong = [
        (line, name)
        for line, name in imports_of(file)
        if (other := inner_name("/".join(name.split(".")[1:]))) in INNER_ROW_OF
        and name.startswith(f"{PACKAGE}.{mine[0]}.")
        and other != mine
        and INNER_ROW_OF[other] <= INNER_ROW_OF[mine]
    ]
    assert wrong == []


@pytest.mark.parametrize("file", [file for file in FILES if room_of(file) == "sandbox"])
def test_the_sandbox_shares_nothing_with_the_client(file: str) -> None:
    """It uses errors, models, the clock, how a page is served and how a message looks.

    Nothing of how a client sends: a server with the client's mistakes proves nothing.
    """
    allowed = {"errors", "models", "clock", "local_page", "markup", "sandbox", None}
    assert {room_imported(name) for _, name in imports_of(file)} <= allowed


@pytest.mark.parametrize("module", OWNERS)
def test_an_outside_thing_has_one_owner(module: str) -> None:
    """To know how it is used, one opens its owner."""
    users = {
        f"{file}:{line}"
        for file in FILES
        for line, name in imports_of(file)
        if is_or_is_in(name, module) and not owned(file, OWNERS[module])
    }
    assert users == set()


@pytest.mark.parametrize("part", PART_OWNERS)
def test_a_part_has_one_owner(part: str) -> None:
    """The environment and the clock are read, and waits are made, in one file each."""
    users = {
        f"{file}:{line}"
        for file in FILES
        for line, name in parts_used(file)
        if name in (part, f"datetime.{part}") and not owned(file, PART_OWNERS[part])
    }
    assert users == set()


def test_the_client_names_aiohttp_as_a_type_only() -> None:
    """The caller's session is a type in `client.py`, and nothing else of aiohttp is used there."""
    uses = {name for _, name in parts_used("client.py") if name.startswith("aiohttp.")}
    assert uses == {"aiohttp.ClientSession"}
    calls = [node.func for node in ast.walk(tree_of("client.py")) if isinstance(node, ast.Call)]
    called = [ast.unparse(function) for function in calls]
    assert not [name for name in called if name.startswith("aiohttp")]


@pytest.mark.parametrize("file", [file for file in FILES if owned(file, PURE)])
def test_pure_files_neither_wait_nor_read_a_clock(file: str) -> None:
    """Time comes in as `now`, and nothing is awaited."""
    names = {name for _, name in imports_of(file)}
    assert not [name for name in names for bad in IMPURE if is_or_is_in(name, bad)]
    waiting = (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.AsyncFunctionDef)
    assert not [node for node in ast.walk(tree_of(file)) if isinstance(node, waiting)]


def test_the_pure_files_are_there() -> None:
    """Each name in the list of pure files means at least one file."""
    assert [name for name in PURE if not any(owned(file, (name,)) for file in FILES)] == []


def test_the_rule_sees_every_kind_of_import() -> None:
    """Relative, absolute and nested imports lead to the same room."""
    assert absolute("wire/http.py", 2, "errors") == f"{PACKAGE}.errors"
    assert absolute("wire/http.py", 1, "token") == f"{PACKAGE}.wire.token"
    assert absolute("wire/__init__.py", 1, "http") == f"{PACKAGE}.wire.http"
    assert absolute("client.py", 1, None) == PACKAGE
    assert room_imported(f"{PACKAGE}.wire.token.Token") == "wire"
    assert room_imported(f"{PACKAGE}.settings") == "settings"
    assert room_imported(f"{PACKAGE}.MoveworksClient") == "__init__"
    assert room_imported("aiohttp.web") is None
    late = [name for _, name in imports_of("retry.py")]
    assert "tenacity" in late
    assert "tenacity.wait.wait_base" in late
