"""A delivery as a task: it begins when its owner has taken note of it, and its end is a value."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from .errors import MoveworksError, NotSent, OutcomeUnknown

T = TypeVar("T")


def start(coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """A task that takes its first step later, in the running loop, and belongs to the caller.

    A loop's own factory may take that step at once (`asyncio.eager_task_factory`), before the
    caller has noted whose task it is.
    """
    return asyncio.Task(coroutine, loop=asyncio.get_running_loop())


def is_cancelled() -> bool:
    """Whether somebody has cancelled the running task.

    A `CancelledError` may also come from a task or future that a piece of the caller's waited for;
    it is an error then like any other.
    """
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


async def ending_of(
    delivery: Awaitable[T], never_sent: Callable[[], MoveworksError]
) -> tuple[T | None, MoveworksError | None]:
    """What it returned, or the error that it ended in.

    For tasks that their owner alone cancels: a cancellation is an ending like any other. Without a
    cause nothing was sent, and `never_sent` makes the error. Errors come without their tracebacks.
    """
    try:
        return await delivery, None
    except MoveworksError as error:
        return None, _without_frames(error)
    except asyncio.CancelledError as cancelled:
        cause = cancelled.__cause__
        return None, _without_frames(cause) if isinstance(cause, MoveworksError) else never_sent()
    except Exception as defect:  # it must not cost the account of 500 people
        unknown = OutcomeUnknown(f"unexpected {type(defect).__name__} in this package")
        unknown.__cause__ = defect
        return None, unknown


def _without_frames(error: MoveworksError) -> MoveworksError:
    """The same. A traceback holds on to all that its functions had in hand, request and answer:
    with thousands of failures in an account these would be gigabytes.
    """
    waiting, seen = [error], {id(error)}
    while waiting:
        one = waiting.pop().with_traceback(None)
        for other in (one.__cause__, one.__context__):
            if isinstance(other, MoveworksError) and id(other) not in seen:
                seen.add(id(other))
                waiting.append(other)
    return error


def raised_in(task: asyncio.Task[Any]) -> BaseException | None:
    """What has ended it that no `except Exception` sees.

    A piece of the caller's may raise it: his gate, his session, a test that is skipped.
    """
    return None if task.cancelled() else task.exception()


def ending_of_task(
    task: asyncio.Task[tuple[T | None, MoveworksError | None]],
    never_sent: Callable[[], MoveworksError],
    *,
    sent: bool,
) -> tuple[T | None, MoveworksError | None]:
    """What a task of `ending_of` has found, or what is known if it did not come so far.

    `sent` says whether a request has gone out by now.
    """
    if task.cancelled():  # before its first step, or within its last one, by a callback
        told = "cancelled by a callback when the answer was there; told or not told"
        return None, OutcomeUnknown(told) if sent else never_sent()
    raised = raised_in(task)
    return task.result() if raised is None else (None, _broken_off(raised, sent=sent))


def _broken_off(by: BaseException, *, sent: bool) -> MoveworksError:
    kind = type(by).__name__
    if sent:
        error: MoveworksError = OutcomeUnknown(f"{kind} while a request was out; told or not told")
    else:
        error = NotSent(f"{kind} before anything was sent")
    error.__cause__ = by
    return error
