"""A pytest plugin: the sandbox, what people were told, and an environment that leads there.

pytest imports this file wherever the package is installed, so it imports nothing of it; a fixture
brings what it needs. All fixtures are synchronous, and the sandbox has an event loop in a thread of
its own: they work in plain tests and under any async plugin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from .outbox import Outbox
    from .running import RunningSandbox, SandboxThread

_MARKER = """\
moveworks(requests=120, per=60.0, faults=()): how the sandbox of this test limits (requests in each
`per` seconds), and what its next sends meet, in order, `"none"` for nothing."""
#: Each argument -> what it is, and whether a value is that.
_TAKES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "requests": ("a whole number from 1", lambda given: type(given) is int and given >= 1),
    "per": (
        "seconds above 0",
        lambda given: type(given) in (int, float) and 0 < given < float("inf"),
    ),
    "faults": (
        "a list of names",
        lambda given: type(given) in (list, tuple) and all(type(name) is str for name in given),
    ),
}


def pytest_configure(config: pytest.Config) -> None:
    """Say what the marker is, so that `--strict-markers` knows it."""
    config.addinivalue_line("markers", " ".join(_MARKER.splitlines()))


@pytest.fixture(scope="session")
def _moveworks_thread() -> Iterator[SandboxThread]:
    from .running import SandboxThread  # noqa: PLC0415 - as the head of this file says

    with SandboxThread() as thread:
        yield thread


@pytest.fixture
def moveworks_sandbox(
    request: pytest.FixtureRequest, _moveworks_thread: SandboxThread
) -> Iterator[RunningSandbox]:
    """A Moveworks and a SHIFT of this test's own; while it runs, a minute's wait takes 60 ms."""
    from .short_waits import short_waits  # noqa: PLC0415 - as the head of this file says

    with short_waits(), _moveworks_thread.sandbox(**_ordered(request.node)) as sandbox:
        yield sandbox


@pytest.fixture
def moveworks_outbox(moveworks_sandbox: RunningSandbox) -> Outbox:
    """What people were told in this test, also where the client says unknown."""
    return moveworks_sandbox.outbox


@pytest.fixture
def moveworks_env(moveworks_sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """`from_env()` of both clients, and the command line, find the sandbox."""
    for name, value in moveworks_sandbox.environment().items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)


def _ordered(node: pytest.Item) -> dict[str, Any]:
    """What the markers of the test, its class and its module ask for; the nearest wins."""
    ordered: dict[str, Any] = {}
    for marker in reversed(list(node.iter_markers("moveworks"))):
        if marker.args or not marker.kwargs.keys() <= _TAKES.keys():
            _refuse("")
        ordered |= marker.kwargs
    for name, value in ordered.items():
        takes, fits = _TAKES[name]
        if not fits(value):
            _refuse(f"; {name} is {takes}, not {value!r}")
    return ordered


def _refuse(why: str) -> NoReturn:
    pytest.fail(f"the marker is {_MARKER.partition(':')[0]}{why}", pytrace=False)
