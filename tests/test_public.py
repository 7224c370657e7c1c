"""The public face: its names, and what importing it costs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import moveworks_shift_async

PACKAGE = "moveworks_shift_async"
#: The names that the documented examples and users rely on.
PROMISED = {
    "ApiKey",
    "AppCredentials",
    "AppObject",
    "BearerToken",
    "BulkReport",
    "ChunkOutcome",
    "ClientCredentials",
    "MoveworksClient",
    "MoveworksError",
    "OAuthTokens",
    "Outcome",
    "RateLimit",
    "Receipt",
    "Region",
    "RetryPolicy",
    "ShiftClient",
    "ShiftMessage",
    "Timeouts",
}
ERRORS = {
    "BadRequest",
    "BadResponse",
    "ClientClosed",
    "ConfigurationError",
    "ConnectionFailed",
    "DeadlineExceeded",
    "InvalidInput",
    "NotAllowed",
    "NotAuthenticated",
    "NotFound",
    "NotSent",
    "OutcomeUnknown",
    "RateLimited",
    "RefusedByServer",
    "ServerFailed",
    "TokenUnavailable",
}
#: What only some users need is imported when it is used.
LAZY = (
    "click",
    "rich",
    "tenacity",
    "cattrs",
    "charset_normalizer",
    "csv",
    "sqlite3",
    "aiohttp.web_app",
)


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run this Python, with the package on its path, and return what it printed."""
    path = str(Path(moveworks_shift_async.__file__).parents[1])
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COV"))}
    return subprocess.run(
        [sys.executable, *arguments],
        env={**inherited, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )


def test_all_is_sorted_and_has_no_name_twice() -> None:
    """`__all__` reads like an index."""
    names = moveworks_shift_async.__all__
    assert names == sorted(set(names))


@pytest.mark.parametrize("name", moveworks_shift_async.__all__)
def test_every_public_name_exists(name: str) -> None:
    """What `__all__` names can be imported, and is public."""
    assert getattr(moveworks_shift_async, name) is not None
    assert not name.startswith("_")


def test_promised_names_are_public() -> None:
    """The names of the documented examples and every error are there."""
    assert set(moveworks_shift_async.__all__) >= PROMISED | ERRORS


def test_nothing_else_is_public() -> None:
    """Besides `__all__`, the package shows its own modules and nothing that came along."""
    found = python(
        "-c",
        f"import {PACKAGE} as p, sys\n"
        "print(*(n for n in vars(p) if not n.startswith('_') and n not in p.__all__"
        f" and sys.modules.get('{PACKAGE}.' + n) is not vars(p)[n]))",
    )
    assert found.stdout.split() == []


def test_what_few_need_is_imported_late() -> None:
    """The client brings no CLI library, no retry library, no converter, no server."""
    found = python("-c", f"from {PACKAGE} import MoveworksClient; import sys; print(*sys.modules)")
    modules = found.stdout.split()
    assert "aiohttp" in modules
    assert [name for name in LAZY if name in modules] == []


@pytest.mark.parametrize("command", ["--help", "--version", "plan", "status", "report"])
def test_a_command_that_sends_nothing_brings_no_client(command: str, tmp_path: Path) -> None:
    """No HTTP library, no server; and the version is looked up by whoever asks for it."""
    program = (
        f"import sys; from {PACKAGE}.cli.main import run; print(run(sys.argv[1:]), *sys.modules)"
    )
    more = {"plan": ("--legacy", "--message", "Hi", "--recipients", "people.txt")}
    journal, people = tmp_path / "journal", tmp_path / "people.txt"
    people.write_text("a@example.com\n")
    words = [
        *((command, str(journal)) if command.isalpha() else (command,)),
        *more.get(command, ()),
    ]
    words = [str(people) if word == "people.txt" else word for word in words]
    found = python("-c", program, *words).stdout.splitlines()[-1].split()
    assert found[0] == ("2" if command in ("status", "report") else "0")
    late = {"aiohttp", "tenacity", f"{PACKAGE}.client", f"{PACKAGE}.sandbox"}
    late |= set() if command == "--version" else {"importlib.metadata"}
    assert late & {*found} == set()


def test_the_package_alone_is_light() -> None:
    """Importing it imports nothing of its own; a name brings its module, a misspelt one fails."""
    found = python("-c", f"import {PACKAGE}, sys; print(*sys.modules)")
    assert [name for name in found.stdout.split() if name.startswith(f"{PACKAGE}.")] == []
    with pytest.raises(AttributeError, match="MoveworksClinet"):
        _ = moveworks_shift_async.MoveworksClinet  # type: ignore[attr-defined]
    assert dir(moveworks_shift_async) == sorted(moveworks_shift_async.__all__)


def test_importing_prints_and_warns_nothing() -> None:
    """An import is silent, also with every warning an error."""
    found = python("-W", "error", "-c", f"import {PACKAGE}")
    assert found.stdout == found.stderr == ""


def test_the_client_brings_little_beside_aiohttp() -> None:
    """Whoever has imported aiohttp and attrs has paid for all but our own files and `html`."""
    found = python(
        "-c",
        "import aiohttp, attrs, sys; before = {*sys.modules}\n"
        f"from {PACKAGE} import MoveworksClient\n"
        "print(*{*sys.modules} - before)",
    )
    assert {name.split(".")[0] for name in found.stdout.split()} <= {PACKAGE, "attrs", "html"}


def test_each_name_has_a_module() -> None:
    """The table that brings the modules has all the public names, and no others."""
    modules = vars(moveworks_shift_async)["_MODULE_OF"]
    assert sorted(modules) == moveworks_shift_async.__all__
