"""A plan of what a program gives: whatever loops take, as it was at the call, and let go of."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from moveworks_shift_async.errors import InvalidInput
from moveworks_shift_async.jobs.plan import texts
from moveworks_shift_async.jobs.plan.plan import plan
from moveworks_shift_async.jobs.store.sqlite.journal import Journal


def told(path: Path) -> list[tuple[str, Any, tuple[str, ...]]]:
    """Message, context and people of each chunk."""
    with Journal.look(str(path)) as journal:
        chunks = journal.reads.claim(-1, 1_000)
        return [(one.content.message, one.content.context, one.recipients) for one in chunks]


def nothing_left(folder: Path) -> None:
    """Neither a journal nor what lies beside one."""
    assert [*folder.iterdir()] == []


class Bare:
    """An iterator that has no `__iter__`."""

    def __init__(self, count: int) -> None:
        self.left = count

    def __next__(self) -> str:
        if not self.left:
            raise StopIteration
        self.left -= 1
        return f"p{self.left}@b.c"


class GivesBare:
    """What a loop takes all the same."""

    def __iter__(self) -> Any:
        return Bare(5_000)


class Old:
    """A sequence as they once were."""

    def __getitem__(self, at: int) -> str:
        if at == 5_000:
            raise IndexError
        return f"p{at}@b.c"


@pytest.mark.parametrize("source", [GivesBare(), Old()])
async def test_whatever_a_loop_takes_is_planned(tmp_path: Path, source: Any) -> None:
    """`iter` decides, and nothing else."""
    made = await plan(tmp_path / "job", source, message="Hi", legacy=True)
    assert made.people == 5_000


async def test_what_was_given_is_what_is_planned(tmp_path: Path) -> None:
    """A list and a context that change after the call, deep down too, change nothing."""
    people = ["a@b.c", "b@b.c"]
    slots = {"floor": {"number": 1}}
    planning = plan(tmp_path / "job", people, message="Hi", legacy=True, context={"slots": slots})
    people.clear()
    slots["floor"]["number"] = 2
    assert (await planning).people == 2
    (chunk,) = told(tmp_path / "job")
    assert chunk == ("Hi", {"slots": {"floor": {"number": 1}}}, ("a@b.c", "b@b.c"))


async def test_what_is_wrong_is_said_at_the_call(tmp_path: Path) -> None:
    """Not when somebody waits for it."""
    with pytest.raises(InvalidInput, match="either message or template"):
        plan(tmp_path / "job", ["a@b.c"], legacy=True)  # type: ignore[unused-coroutine]
    with pytest.raises(InvalidInput, match="an encoding a file"):
        plan(tmp_path / "job", ["a@b.c"], message="Hi", legacy=True, encoding="cp1252")  # type: ignore[unused-coroutine]


class Odd(BaseException):
    """As pytest's own, which no `except Exception` sees."""


@pytest.mark.parametrize("asynchronous", [True, False])
@pytest.mark.parametrize(
    "error", [Odd(), GeneratorExit(), BaseExceptionGroup("many", [Odd()]), ZeroDivisionError()]
)
async def test_whatever_a_source_raises_comes_out(
    tmp_path: Path, error: BaseException, asynchronous: bool
) -> None:
    """And nothing is left: no journal."""

    def failing() -> Iterator[str]:
        yield from (f"p{number}@b.c" for number in range(3_000))
        raise error

    async def later() -> AsyncIterator[str]:
        for number in range(3_000):
            yield f"p{number}@b.c"
        raise error

    source: Any = later() if asynchronous else failing()
    # In the loop's hands a `GeneratorExit` of a thread would close whoever waits for it.
    closing = isinstance(error, GeneratorExit) and not asynchronous
    with pytest.raises(InvalidInput if closing else type(error)):
        await plan(tmp_path / "job", source, message="Hi", legacy=True)
    nothing_left(tmp_path)


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_a_source_that_is_cancelled_by_itself_cancels_nobody(
    tmp_path: Path, asynchronous: bool
) -> None:
    """A group of tasks would end in silence, with nothing planned."""

    def failing() -> Iterator[str]:
        yield "a@b.c"
        raise asyncio.CancelledError

    async def later() -> AsyncIterator[str]:
        yield "a@b.c"
        raise asyncio.CancelledError

    source: Any = later() if asynchronous else failing()
    with pytest.raises(InvalidInput, match="own source raised CancelledError; nothing was planned"):
        await plan(tmp_path / "job", source, message="Hi", legacy=True)
    nothing_left(tmp_path)


@pytest.mark.parametrize("how", ["error", "cancelled"])
async def test_an_async_generator_is_closed(tmp_path: Path, how: str) -> None:
    """At once, and not when somebody collects it."""
    ended: list[int] = []
    waiting = asyncio.Event()

    async def people() -> AsyncIterator[Any]:
        try:
            for _ in range(3_000):
                yield 7 if how == "error" else "a@b.c"
            waiting.set()
            await asyncio.Event().wait()
        finally:
            ended.append(1)

    source = people()
    task = asyncio.ensure_future(plan(tmp_path / "job", source, message="Hi", legacy=True))
    if how == "error":
        with pytest.raises(InvalidInput, match="row 1: neither"):
            await task
    else:
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert ended == [1]
    nothing_left(tmp_path)


async def test_a_plan_that_waits_for_a_pipe_can_be_cancelled(tmp_path: Path) -> None:
    """Nobody may ever write to it."""
    folder = tmp_path / "job's"
    folder.mkdir()
    os.mkfifo(tmp_path / "pipe")
    task = asyncio.ensure_future(plan(folder / "job", tmp_path / "pipe", message="Hi", legacy=True))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    nothing_left(folder)


async def test_a_guess_is_no_text_of_a_person(tmp_path: Path) -> None:
    """The encoding that is named decides, also for a name's letters."""
    (tmp_path / "p.csv").write_bytes("name,mail\nŁukasz,l@x.io\n".encode("cp1250"))
    with pytest.raises(InvalidInput, match=r"line 2: not UTF-8; that it is .* is a guess"):
        await plan(tmp_path / "job", tmp_path / "p.csv", template="Hi {name}", legacy=True)
    made = await plan(
        tmp_path / "job", tmp_path / "p.csv", template="Hi {name}", legacy=True, encoding="cp1250"
    )
    assert told(tmp_path / "job") == [("Hi Łukasz", None, ("l@x.io",))]
    assert "CSV, comma, cp1250, 1 row" in made.read_as


async def test_a_text_too_long_is_an_error_with_its_line(tmp_path: Path) -> None:
    """Before it is made: a name that stands often, with a long value."""
    rows = [{"mail": "a@b.c", "n": "x"}, {"mail": "b@b.c", "n": "x" * 10_000}]
    with pytest.raises(InvalidInput, match=r"(line|row) 2: message has more than 20000 characters"):
        await plan(tmp_path / "job", rows, template="{n}" * 5_000, legacy=True)
    nothing_left(tmp_path)


async def test_long_values_are_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred thousand rows of them would take gigabytes; who is told what is the same."""
    monkeypatch.setattr(texts, "_CACHED_TEXT", 100)
    rows = [{"mail": f"p{n}@b.c", "n": f"{n % 3}" * 60} for n in range(9)]
    made = await plan(tmp_path / "job", rows, template="{n}", legacy=True)
    assert (made.people, made.texts) == (9, 3)
