"""The clients and jobs for code without an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from celery import signals  # type: ignore[import-untyped]

import moveworks_shift_async as aio
from moveworks_shift_async import blocking
from moveworks_shift_async.blocking import Interrupted, bulk, endpoints
from moveworks_shift_async.endpoints import auth, events, messages, shift
from moveworks_shift_async.errors import (
    ClientClosed,
    ConfigurationError,
    InvalidInput,
    MoveworksError,
    NotAllowed,
    Outcome,
    OutcomeUnknown,
)
from moveworks_shift_async.models import Attempt
from moveworks_shift_async.sandbox import FaultOptions
from moveworks_shift_async.sending import coalesce
from moveworks_shift_async.sending.stream import BulkSend
from moveworks_shift_async.testing.outbox import Outbox
from moveworks_shift_async.testing.running import RunningSandbox
from moveworks_shift_async.wire.http import Request, Response

from .fakes import FakeTransport, answer

EVENT = "15d8db87-9a06-4d5d-8e22-0b4e6c6c30a7"
ROOT = Path(aio.__file__).parent.parent
GUIDE = files("moveworks_shift_async").joinpath("guide", "blocking.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", GUIDE, re.DOTALL)

#: The async class, the one without an event loop, and what the second cannot have: an HTTP session
#: belongs to a loop, and so does a task.
FACES: list[tuple[type, type, set[str]]] = [
    (aio.MoveworksClient, blocking.MoveworksClient, {"http", "sender", "session"}),
    (aio.ShiftClient, blocking.ShiftClient, {"http", "session"}),
    (aio.Job, blocking.Job, {"clock"}),
    (auth.AuthEndpoint, endpoints.AuthEndpoint, set()),
    (events.EventsEndpoint, endpoints.EventsEndpoint, set()),
    (coalesce.LingeringBatcher, blocking.LingeringBatcher, {"withdraw"}),
    (messages.MessagesEndpoint, endpoints.MessagesEndpoint, set()),
    (shift.ShiftMessagesEndpoint, endpoints.ShiftMessagesEndpoint, set()),
]


@pytest.fixture
def client(moveworks_sandbox: RunningSandbox) -> Iterator[blocking.MoveworksClient]:
    """A client of the sandbox."""
    found = moveworks_sandbox
    with blocking.MoveworksClient(found.credentials, base_url=found.url) as client:
        yield client


def names_of(face: type) -> set[str]:
    """Public methods and properties."""
    return {name for name, _ in inspect.getmembers(face) if not name.startswith("_")}


def parameters(function: Callable[..., Any], without: set[str]) -> list[tuple[Any, ...]]:
    """Name, kind, default and annotation of each, without the modules in front of the types."""
    found = inspect.signature(function).parameters.values()
    return [
        (p.name, p.kind, p.default, re.sub(r"\b\w+\.(?=\w)", "", str(p.annotation)))
        for p in found
        if p.name not in without
    ]


def returned(function: Callable[..., Any]) -> str:
    """The annotation of what one gets by waiting for it."""
    annotation = re.sub(r"\b\w+\.(?=\w)", "", str(inspect.signature(function).return_annotation))
    return re.sub(r"^Coroutine\[Any, Any, (.*)\]$", r"\1", annotation)


@pytest.mark.parametrize(
    ("there", "here", "without"), FACES, ids=[here.__name__ for _, here, _ in FACES]
)
def test_both_faces_have_the_same_methods_and_arguments(
    there: type, here: type, without: set[str]
) -> None:
    """Names, order, kinds, defaults and types: what is written for one works with the other."""
    assert names_of(there) - names_of(here) <= without
    if hasattr(there, "from_env"):
        assert parameters(there, without) == parameters(here, without)
    for name in names_of(there) - without:
        mine, other = getattr(here, name), getattr(there, name)
        if inspect.isfunction(other) or inspect.ismethod(other):
            assert parameters(mine, set()) == parameters(other, set()), name
            assert returned(mine) == returned(other), name


def test_each_promised_name_is_there() -> None:
    """The clients and the job under the same names, and what they return is the same."""
    assert {"MoveworksClient", "ShiftClient", "Job"} <= set(blocking.__all__)
    assert names_of(bulk.BulkSend) - {"of", "result"} == names_of(BulkSend) - {
        *("send", "throw", "close")
    }


def test_every_endpoint_is_waited_for(
    moveworks_sandbox: RunningSandbox, client: blocking.MoveworksClient
) -> None:
    """Single sends, the auth test and SHIFT return what the async ones are awaited for."""
    assert client.auth.test() == "Auth tested successfully"
    people = (f"p{number}@example.com" for number in range(2))
    assert client.events.send(EVENT, "Hi", people, {"slots": {"n": "1"}}).recipients == 2
    assert client.messages.send("Hi", ["ann@example.com"]).attempts == 1
    with blocking.ShiftClient(
        moveworks_sandbox.shift_credentials, base_url=moveworks_sandbox.url
    ) as other:
        assert other.messages.create(text="Hi", emails=["ann@example.com"]).text == "Hi"
    assert client.gate.snapshot().used > 0
    assert client.base_url == moveworks_sandbox.url
    assert client.rate_limit == aio.RateLimit()
    assert client.identity("salt") == client.of_loop.identity("salt")
    assert moveworks_sandbox.url in repr(client)


def test_the_environment_makes_clients(moveworks_env: None, moveworks_sandbox: object) -> None:
    """`from_env` as in the async clients, with arguments that win."""
    limit = aio.RateLimit(requests=7)
    with blocking.MoveworksClient.from_env(rate_limit=limit) as client:
        assert client.rate_limit == limit
    with blocking.MoveworksClient.from_env() as client, blocking.ShiftClient.from_env() as other:
        client.messages.send("Hi", ["ann@example.com"])
        other.messages.create(text="Hi", emails=["ann@example.com"])


def test_errors_come_as_they_are(
    moveworks_sandbox: RunningSandbox, client: blocking.MoveworksClient
) -> None:
    """What the server refuses, what was wrong at the call, and a client that is closed."""
    moveworks_sandbox.faults.script("send", "forbidden")
    with pytest.raises(NotAllowed):
        client.messages.send("Hi", ["ann@example.com"])
    with pytest.raises(InvalidInput):
        client.messages.send("Hi", 3)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput):
        client.messages.send_bulk("Hi", "ann@example.com")
    client.close()
    client.close()
    with pytest.raises(ClientClosed):
        client.messages.send("Hi", ["ann@example.com"])


def test_a_bulk_send_is_a_report_or_a_stream(client: blocking.MoveworksClient) -> None:
    """From a list, a generator or an async one; each once."""

    async def others() -> Any:
        yield "ann@example.com"

    people = [f"p{number}@example.com" for number in range(1200)]
    send = client.events.send_bulk(EVENT, "Hi", people)
    assert (send.result().accepted, send.report.requests) == (1200, 3)
    assert client.messages.send_bulk("Hi", others()).result().accepted == 1
    assert client.messages.send_bulk("Hi", ()).result().accepted == 0
    outcomes = list(client.messages.send_bulk("Hi", iter(people)))
    assert sum(len(outcome.recipients) for outcome in outcomes) == 1200
    assert "ended" in repr(send)


def test_recipients_are_read_in_the_thread_that_waits(client: blocking.MoveworksClient) -> None:
    """A cursor of SQLite works in the thread that made it alone; what it raises comes through."""
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE people (address)")
        rows = [(f"p{number}@example.com",) for number in range(700)]
        database.executemany("INSERT INTO people VALUES (?)", rows)
        cursor = database.execute("SELECT address FROM people")
        assert client.messages.send_bulk("Hi", (row[0] for row in cursor)).result().accepted == 700

    def broken() -> Iterator[str]:
        yield "ann@example.com"
        raise LookupError("no more")

    send = client.messages.send_bulk("Hi", broken())
    with pytest.raises(LookupError, match="no more"):
        send.result()
    assert (send.report.accepted, send.report.not_sent) == (0, 1)


@pytest.mark.moveworks(requests=1000)
def test_a_stream_is_read_step_by_step(
    moveworks_sandbox: RunningSandbox, client: blocking.MoveworksClient
) -> None:
    """It gives outcomes before the source has ended, and leaving it early ends it."""
    given: list[str] = []

    def endless() -> Iterator[str]:
        while True:
            given.append(f"p{len(given)}@example.com")
            yield given[-1]

    send = client.messages.send_bulk("Hi", endless())
    with contextlib.closing(iter(send)) as outcomes:
        assert next(outcomes).outcome is Outcome.ACCEPTED
    assert send.report.accepted >= 500
    told = sum(moveworks_sandbox.received().people.values())
    assert told <= len(given)
    stopped = client.messages.send_bulk("Hi", ["ann@example.com"])
    stopped.stop()
    assert stopped.result().not_sent == 1


def test_threads_use_one_client_at_once(
    moveworks_sandbox: RunningSandbox, client: blocking.MoveworksClient
) -> None:
    """Ten threads; each gets its own answer."""

    def tell(number: int) -> int:
        return client.messages.send("Hi", [f"p{number}@example.com"] * (number + 1)).recipients

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(tell, range(40))) == list(range(1, 41))
    assert len([t for t in threading.enumerate() if t.name == "moveworks-blocking"]) == 1


def test_threads_share_the_requests_of_a_batcher(
    moveworks_sandbox: RunningSandbox, client: blocking.MoveworksClient
) -> None:
    """Forty threads, one request; what was wrong at the call is raised, and its end flushes."""
    people = [f"p{number}@example.com" for number in range(40)]
    ready = threading.Barrier(40)
    with client.events.batcher(linger=1.0) as batcher, ThreadPoolExecutor(40) as pool:

        def tell(person: str) -> aio.ChunkOutcome:
            ready.wait()
            return batcher.send(EVENT, "Hi", person)

        outcomes = list(pool.map(tell, people))
        assert {outcome.outcome for outcome in outcomes} == {Outcome.ACCEPTED}
        assert moveworks_sandbox.stats().requests < 40
        assert sum(moveworks_sandbox.received().people.values()) == 40
        with pytest.raises(InvalidInput, match="no address"):
            batcher.send(EVENT, "Hi", "nobody")
    batcher.close()
    with pytest.raises(ClientClosed, match="batcher is closed"):
        batcher.send(EVENT, "Hi", "ann@example.com")


@pytest.mark.parametrize("answers", [True, False])
def test_an_interrupt_ends_the_send_of_a_batcher(answers: bool) -> None:
    """The first waits for the answer on its way, the second makes it unknown."""
    with holding(answers=answers) as held, held.client.events.batcher(linger=0.0) as batcher:
        thread = interrupt(lambda: held.out, *([] if answers else [held.withdrawn]))
        with pytest.raises(Interrupted) as raised:
            batcher.send(EVENT, "Hi", "ann@example.com")
        thread.join()
        held.answers = True
    if answers:
        assert raised.value.result.outcome is Outcome.ACCEPTED
    else:
        assert isinstance(raised.value.error, OutcomeUnknown)


def test_an_interrupted_send_that_lingers_was_not_sent() -> None:
    """And the end of the batcher does not send it either."""
    with holding() as held, held.client.events.batcher(linger=3600.0) as batcher:
        thread = interrupt(lambda: batcher._batcher._waiting)
        with pytest.raises(Interrupted) as raised:
            batcher.send(EVENT, "Hi", "ann@example.com")
        thread.join()
    assert raised.value.error is not None
    assert raised.value.error.outcome is Outcome.NOT_SENT
    assert held.out == 0


def test_an_interrupt_while_a_batcher_ends_stops_it() -> None:
    """What waits for the limit is not sent, and what is in flight is waited for."""
    limit, key = aio.RateLimit(requests=1, per=3600.0), aio.ApiKey("another key")
    transport = HoldingTransport()
    with (
        blocking.MoveworksClient(
            key, base_url="https://h.example", rate_limit=limit, transport=transport
        ) as client,
        ThreadPoolExecutor(2) as pool,
    ):
        transport.client = client
        batcher = client.events.batcher(linger=0.0)
        first = pool.submit(batcher.send, EVENT, "Hi", "ann@example.com")
        while not transport.out:
            time.sleep(0.001)
        second = pool.submit(batcher.send, EVENT, "Hi", "bob@example.com")
        while not client.gate.snapshot().waiting:
            time.sleep(0.001)
        thread = interrupt(lambda: batcher._batcher._closing)
        with pytest.raises(Interrupted):
            batcher.close()
        thread.join()
        assert first.result().outcome is Outcome.ACCEPTED
        assert second.result().outcome is Outcome.NOT_SENT
        again = client.events.batcher()
        again.stop()
        with pytest.raises(ClientClosed):
            again.send(EVENT, "Hi", "cid@example.com")


def test_an_iteration_that_is_left_to_the_collector_ends_in_silence(
    moveworks_sandbox: RunningSandbox,
) -> None:
    """In the loop's own thread, where nobody can wait for it: its send ends all the same."""
    people = [f"p{number}@example.com" for number in range(50_000)]
    left = list[Iterator[aio.ChunkOutcome]]()
    found = moveworks_sandbox
    with blocking.MoveworksClient(
        found.credentials, base_url=found.url, on_attempt=lambda _: left.clear()
    ) as client:
        send = client.messages.send_bulk("Hi", people)
        outcomes = iter(send)
        next(outcomes)
        left.append(outcomes)
        del outcomes
        client.auth.test()
        assert not left
        while sum(vars_of(send.report).values()) < 50_000:
            time.sleep(0.001)


def vars_of(report: aio.BulkReport) -> dict[Outcome, int]:
    """People by outcome."""
    return {outcome: getattr(report, outcome) for outcome in Outcome}


@pytest.mark.parametrize("ending", ["", "client.close()", "raise SystemExit(0)"])
def test_an_iteration_that_a_program_leaves_half_ends_in_silence(
    moveworks_sandbox: RunningSandbox, ending: str
) -> None:
    """The loop has ended before the iterator is collected."""
    ended = program(HALF + ending, moveworks_sandbox)
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False)


HALF = """
from moveworks_shift_async.blocking import MoveworksClient
client = MoveworksClient.from_env()
outcomes = iter(client.messages.send_bulk("Hi", [f"p{n}@example.com" for n in range(5000)]))
next(outcomes)
"""


@pytest.mark.parametrize(
    ("interrupted", "text"),
    [
        (Interrupted(), "interrupted"),
        (
            Interrupted(aio.Receipt(status=204, state=None, recipients=1, attempts=1)),
            "interrupted; accepted",
        ),
        (Interrupted(None, NotAllowed("no", status=403)), "interrupted; no"),
        (
            Interrupted(
                aio.BulkReport(
                    accepted=1,
                    rejected=2,
                    unknown=3,
                    not_sent=4,
                    requests=1,
                    duplicates=0,
                    invalid=(),
                    throttled=0,
                    elapsed=1.0,
                    failures=(),
                )
            ),
            "interrupted; 1 accepted, 2 rejected, 3 unknown, 4 not sent",
        ),
    ],
    ids=["nothing", "receipt", "error", "account"],
)
def test_an_interrupt_that_nobody_catches_says_what_is_known(
    interrupted: Interrupted, text: str
) -> None:
    """In one line: the account of a hundred thousand people filled the screen."""
    assert str(interrupted) == text


async def test_inside_of_a_running_loop_it_works(client: blocking.MoveworksClient) -> None:
    """As in a notebook, whose cells run in a loop."""
    assert client.messages.send("Hi", ["ann@example.com"]).recipients == 1


def test_from_the_loops_own_thread_it_is_an_error(moveworks_sandbox: RunningSandbox) -> None:
    """It would wait for itself. The watcher's defect changes nothing for the send."""
    met: list[Exception] = []

    def watch(_: Attempt) -> None:
        try:
            mine.messages.send("Hi", ["ann@example.com"])
        except InvalidInput as error:
            met.append(error)

    found = moveworks_sandbox
    with blocking.MoveworksClient(found.api_key, base_url=found.url, on_attempt=watch) as mine:
        mine.messages.send("Hi", ["ann@example.com"])
    assert "wait for itself" in str(met[0])


def test_a_job_is_planned_run_and_told_of(
    client: blocking.MoveworksClient, moveworks_sandbox: RunningSandbox, tmp_path: Path
) -> None:
    """From the plan to the account, with a send to oneself before."""
    people = [f"p{number}@example.com" for number in range(700)]
    journal = tmp_path / "journal"
    plan = blocking.Job.plan(journal, [*people, "nobody"], message="Hi", event_id=EVENT)
    assert plan.people == 700
    job = blocking.Job(journal)
    assert job.test(client, "me@example.com")[0].recipients == 1
    moveworks_sandbox.faults.script("send", "none", "processed-then-reset")
    account = job.run(client)
    assert (account.accepted, account.unknown) == (500, 200)
    assert job.resume(client, unknown="resend").accepted == 700
    assert len(job.chunks()) == 2
    assert len(job.invalid()) == 1
    job.write_csv(tmp_path / "account.csv")
    job.write_page(tmp_path / "account.html")
    assert job.write(csv=tmp_path / "again.csv").accepted == job.account().accepted
    assert (job.name, job.path) == (str(journal), str(journal))
    job.drain()
    assert job.go_on() is False
    for ask in (job.pause, job.stop):
        with pytest.raises(aio.JournalError):
            ask()
    job.remove()
    assert not journal.exists()


def interrupt(*after: Callable[[], object], with_signal: int = signal.SIGINT) -> threading.Thread:
    """Send this process a signal each time that one of these holds."""

    def wait_and_press() -> None:
        for holds in after:
            while not holds():
                time.sleep(0.001)
            os.kill(os.getpid(), with_signal)

    thread = threading.Thread(target=wait_and_press)
    thread.start()
    return thread


@define(eq=False)
class HoldingTransport:
    """Answers when the calls that wait for it are withdrawn; or never."""

    answers: bool = True
    out: int = 0
    client: blocking.MoveworksClient = field(init=False)

    def withdrawn(self) -> bool:
        """Whether the interrupt has come as far as to the calls."""
        return any(call.withdrawn for call in [*self.client._client.session._tasks])

    async def exchange(self, request: Request) -> Response:
        """Success, in the end."""
        self.out += 1
        while not (self.answers and self.withdrawn()):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        return answer(204)

    async def close(self) -> None:
        """Nothing is open."""


@contextlib.contextmanager
def holding(*, answers: bool = True) -> Iterator[HoldingTransport]:
    """A client whose requests are on their way until it is interrupted."""
    transport = HoldingTransport(answers)
    key = aio.ApiKey("key")
    with blocking.MoveworksClient(key, base_url="https://h.example", transport=transport) as client:
        transport.client = client
        yield transport


def test_the_first_interrupt_waits_for_what_is_in_flight() -> None:
    """The answer comes, and the interrupt brings it."""
    with holding() as held:
        thread = interrupt(lambda: held.out)
        with pytest.raises(Interrupted) as raised:
            held.client.messages.send("Hi", ["ann@example.com"])
        thread.join()
    assert (raised.value.result.recipients, raised.value.error) == (1, None)


def test_the_second_interrupt_cuts_it() -> None:
    """The outcome is unknown, and the interrupt says so."""
    with holding(answers=False) as held:
        thread = interrupt(lambda: held.out, held.withdrawn)
        with pytest.raises(Interrupted) as raised:
            held.client.messages.send("Hi", ["ann@example.com"])
        thread.join()
    assert isinstance(raised.value.error, OutcomeUnknown)
    assert raised.value.__cause__ is raised.value.error


def test_what_waits_for_the_limit_ends_at_once() -> None:
    """Nobody was told, and the interrupt says so."""
    transport, limit = FakeTransport([answer(429)]), aio.RateLimit(per=3600.0)
    key = aio.ApiKey("key")
    with blocking.MoveworksClient(
        key, base_url="https://h.example", rate_limit=limit, transport=transport
    ) as client:
        thread = interrupt(lambda: client.gate.snapshot().paused_for)
        with pytest.raises(Interrupted) as raised:
            client.messages.send("Hi", ["ann@example.com"])
        thread.join()
    assert raised.value.error is not None
    assert raised.value.error.outcome is Outcome.NOT_SENT
    assert len(transport.requests) == 1


@pytest.mark.parametrize("iterated", [False, True])
def test_an_interrupted_bulk_send_accounts_for_everybody(iterated: bool) -> None:
    """What is in flight ends with its answer, and the rest is not sent."""
    people = [f"p{number}@example.com" for number in range(50_000)]
    with holding() as held:
        send = held.client.messages.send_bulk("Hi", people)
        thread = interrupt(lambda: held.out)
        with pytest.raises(Interrupted) as raised:
            list(send) if iterated else send.result()
        thread.join()
    report = raised.value.result
    assert report.accepted == held.out * 500
    assert report.accepted + report.not_sent == 50_000


@pytest.mark.parametrize("kind", ["job", "bulk"])
def test_a_second_interrupt_accounts_for_everybody(kind: str, tmp_path: Path) -> None:
    """Those whose request was cut are unknown, and nothing says that they were not told."""
    people = [f"p{number}@example.com" for number in range(700)]
    blocking.Job.plan(tmp_path / "job", people, message="Hi", legacy=True)
    with holding(answers=False) as held:
        send = held.client.messages.send_bulk("Hi", people)
        thread = interrupt(lambda: held.out == 2, held.withdrawn)
        with pytest.raises(Interrupted) as raised:
            blocking.Job(tmp_path / "job").run(held.client) if kind == "job" else send.result()
        thread.join()
        send.stop()
    assert (raised.value.result.unknown, raised.value.error) == (700, None)
    assert "700 unknown, 0 not sent" in str(raised.value)


def test_a_bulk_send_that_is_begun_twice_is_left_alone(client: blocking.MoveworksClient) -> None:
    """Another thread that begins it too does not take the first one's outcomes."""
    send = client.messages.send_bulk("Hi", [f"p{number}@example.com" for number in range(1200)])
    outcomes = iter(send)
    next(outcomes)
    for again in (send.result, lambda: list(send)):
        with ThreadPoolExecutor(1) as pool, pytest.raises(InvalidInput, match="runs once"):
            pool.submit(again).result()
    assert len(list(outcomes)) == 2
    assert send.report.accepted == 1200


def test_a_batcher_that_is_open_at_exit_does_not_hold_the_process(
    moveworks_sandbox: RunningSandbox,
) -> None:
    """Whoever lingers is a daemon thread, which ends with the process: nobody is told."""
    ended = program(LINGERS, moveworks_sandbox)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(moveworks_sandbox.outbox) == 0


LINGERS = f"""
import threading, time
from moveworks_shift_async.blocking import MoveworksClient

batcher = MoveworksClient.from_env().events.batcher(linger=3600.0)
threading.Thread(
    target=lambda: batcher.send("{EVENT}", "Hi", "ann@example.com"), daemon=True
).start()
while not batcher._batcher._waiting:
    time.sleep(0.001)
"""


def test_a_time_limit_of_the_callers_ends_a_call() -> None:
    """What a signal handler raises, as Celery's and RQ's do, is raised when all is known."""

    def over(*_: object) -> None:
        raise TimeoutError("the task's time is over")

    before = signal.signal(signal.SIGUSR1, over)
    try:
        with holding() as held:
            thread = interrupt(lambda: held.out, with_signal=signal.SIGUSR1)
            with pytest.raises(TimeoutError, match="the task's time is over"):
                held.client.messages.send("Hi", ["ann@example.com"])
            thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert held.client.gate.snapshot().in_flight == 0


def slow_answers(sandbox: RunningSandbox, seconds: float) -> None:
    """How long one takes, by the clock of the package, which is a thousand times as fast here."""
    slow = FaultOptions(slow=seconds)
    sandbox.do(lambda inside: setattr(inside, "fault_options", slow))


def program(code: str, sandbox: RunningSandbox) -> subprocess.CompletedProcess[str]:
    """A program of its own, with the sandbox in its environment."""
    ours = {name: value for name, value in sandbox.environment().items() if value is not None}
    # With debugging, asyncio would say on stderr what took a tenth of a second on a busy machine.
    ours |= {"PYTHONPATH": str(ROOT), "PYTHONASYNCIODEBUG": ""}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | ours,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


NAMED = """
import os
from moveworks_shift_async.blocking import MoveworksClient

url = os.environ["MOVEWORKS_BASE_URL"].replace("127.0.0.1", "localhost")
client = MoveworksClient.from_env(base_url=url)
print(client.messages.send("Hi", ["ann@example.com"]).recipients)
"""


def test_a_program_that_looked_up_a_name_ends_in_silence(moveworks_sandbox: RunningSandbox) -> None:
    """The loop has threads for that, and Python 3.12 starts none any more to end them."""
    ended = program(NAMED, moveworks_sandbox)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "1\n", "")


FORK = """
import os, sys, warnings
from moveworks_shift_async import ClientClosed
from moveworks_shift_async.blocking import MoveworksClient

warnings.simplefilter("ignore", ResourceWarning)  # of what is the parent's
client = MoveworksClient.from_env()
client.messages.send("Hi", ["ann@example.com"])
if (child := os.fork()) == 0:
    try:
        client.messages.send("Hi", ["bob@example.com"])
    except ClientClosed as error:
        print(error, flush=True)
    client.close()
    with MoveworksClient.from_env() as own:
        print(own.messages.send("Hi", ["bob@example.com"]).recipients, flush=True)
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
print(client.messages.send("Hi", ["cid@example.com"]).recipients)
"""


def test_a_fork_needs_a_client_of_its_own(moveworks_sandbox: RunningSandbox) -> None:
    """The old one says so there, a new one works, and the parent's goes on."""
    ended = program(FORK, moveworks_sandbox)
    # aiohttp says in the child that the parent's session is open, and that is all.
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False)
    lines = ended.stdout.splitlines()
    assert "before the process forked" in lines[0]
    assert lines[1:] == ["1", "1"]
    assert len(moveworks_sandbox.outbox) == 3


EXIT = """
import threading, time
from moveworks_shift_async.blocking import MoveworksClient

client = MoveworksClient.from_env()
client.auth.test()
threading.Thread(
    target=lambda: print(client.messages.send("Hi", ["ann@example.com"]).recipients), daemon=True
).start()
while client.gate.snapshot().in_flight < 1:
    time.sleep(0.001)
"""


def test_what_is_open_at_exit_is_closed_in_order(moveworks_sandbox: RunningSandbox) -> None:
    """A send of another thread ends with its answer, and nothing is said on stderr."""
    slow_answers(moveworks_sandbox, 300.0)
    moveworks_sandbox.faults.script("send", "slow-answer")
    ended = program(EXIT, moveworks_sandbox)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert moveworks_sandbox.stats().accepted == 1


GEVENT = """
from gevent import monkey; monkey.patch_all()
from moveworks_shift_async import ConfigurationError
from moveworks_shift_async.blocking import MoveworksClient
try:
    MoveworksClient.from_env()
except ConfigurationError as error:
    print(error)
"""


def test_threads_that_gevent_has_replaced_are_refused(moveworks_sandbox: RunningSandbox) -> None:
    """With what to do."""
    ended = program(GEVENT, moveworks_sandbox)
    assert ended.returncode == 0, ended.stderr
    assert "gevent has replaced Python's threads" in ended.stdout
    assert "--pool threads" in ended.stdout


def test_without_anyio_it_says_what_to_install(
    moveworks_sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command that installs it."""
    monkeypatch.setitem(sys.modules, "anyio", None)
    monkeypatch.setattr("moveworks_shift_async.blocking.portal._portal", None)
    with pytest.raises(ConfigurationError, match="-m pip install anyio"):
        blocking.MoveworksClient(moveworks_sandbox.api_key, base_url=moveworks_sandbox.url)


def test_an_error_of_an_interrupt_is_one_of_ours() -> None:
    """`except KeyboardInterrupt` sees it, `except Exception` does not."""
    assert issubclass(Interrupted, KeyboardInterrupt)
    assert not issubclass(Interrupted, (Exception, MoveworksError))


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_each_block_of_the_page_prints_what_it_says(
    number: int, moveworks_sandbox: RunningSandbox
) -> None:
    """As a program of its own, against the sandbox."""
    code, printed = BLOCKS[number]
    ended = program(code, moveworks_sandbox)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == printed


def test_the_loop_of_the_tests_is_not_the_loop_of_the_clients() -> None:
    """Nothing of it is bound to the thread that made it."""
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


def the_guides_task() -> Any:
    """The Celery task of the guide, without the line that runs it."""
    (program,) = [block for block, _ in BLOCKS if "celery" in block]
    names: dict[str, Any] = {}
    exec(program.partition("print(")[0], names)  # noqa: S102 - the guide's own
    return names["remind"]


@pytest.mark.parametrize(
    ("fault", "ended"),
    [("processed-then-reset", "unknown"), ("forbidden", "NotAllowed"), ("none", "accepted")],
)
def test_the_guides_celery_task_says_what_is_known(
    fault: str,
    ended: str,
    moveworks_env: None,
    moveworks_sandbox: RunningSandbox,
    moveworks_outbox: Outbox,
) -> None:
    """Nobody who may have been told is told again; who was refused is not called unknown."""
    moveworks_sandbox.faults.script("send", fault)
    result = the_guides_task().delay("ann@example.com")
    assert (result.result if result.successful() else type(result.result).__name__) == ended
    assert len(moveworks_outbox) == (ended != "NotAllowed")


def test_the_guides_celery_task_tries_again(
    moveworks_env: None, moveworks_sandbox: RunningSandbox
) -> None:
    """Where no connection came about, three times."""
    retries: list[object] = []
    signals.task_retry.connect(lambda **more: retries.append(more), weak=False, dispatch_uid="here")
    moveworks_sandbox.stop_listening()
    result = the_guides_task().delay("ann@example.com")
    moveworks_sandbox.start_listening()
    signals.task_retry.disconnect(dispatch_uid="here")
    assert type(result.result).__name__ == "ConnectionFailed"
    assert len(retries) == 3
