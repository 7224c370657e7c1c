"""The same server ends a stream and a job alike: one rule, and the same number of requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer
from attrs import define, field

from moveworks_shift_async import ApiKey, MoveworksClient
from moveworks_shift_async.errors import ConnectionFailed, JobStopped, MoveworksError
from moveworks_shift_async.jobs.job import Job
from moveworks_shift_async.jobs.records import State
from moveworks_shift_async.jobs.run import runner
from moveworks_shift_async.jobs.run.progress import JobProgress
from moveworks_shift_async.models import BulkReport
from moveworks_shift_async.sending import breaker

from .planned import plan, states_of

CHUNKS = 8


@define(eq=False)
class Server:
    """Answers each send with one status, and the health check with another."""

    status: int
    asked: int = 200
    headers: dict[str, str] = field(factory=dict)
    #: Sends that it has answered.
    sends: int = 0

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        """One answer."""
        if request.method == "GET":
            return web.json_response({"message": "Auth tested successfully"}, status=self.asked)
        self.sends += 1
        return web.json_response({}, status=self.status, headers=self.headers)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for seconds."""
    monkeypatch.setattr(breaker, "FIRST_BACKOFF", 0.01)
    monkeypatch.setattr(runner, "_LOOK", 0.01)


@asynccontextmanager
async def client_of(server: Server, max_in_flight: int = 1) -> AsyncIterator[MoveworksClient]:
    """A client of that server, one request after the other."""
    async with RawTestServer(server) as running:
        url = str(running.make_url("")).rstrip("/")
        async with MoveworksClient(ApiKey("k"), base_url=url, max_in_flight=max_in_flight) as one:
            yield one


def people() -> list[str]:
    """Of as many requests as the job has."""
    return [f"p{number}@example.com" for number in range(500 * CHUNKS)]


async def stream(server: Server) -> tuple[BulkReport, MoveworksError | None]:
    """The account of a stream, and the error of its last request."""
    async with client_of(server) as client:
        report = await client.messages.send_bulk("hi", people())
    assert report.requests == server.sends
    return report, [failure.error for failure in report.failures if failure.attempts][-1]


async def job(server: Server, path: str, *, until_it_waits: bool = False) -> MoveworksError | None:
    """What ended a job."""
    of = Job(path)

    def watch(progress: JobProgress) -> None:
        if until_it_waits and progress.why.startswith("waiting for the server"):
            of.drain()

    try:
        async with client_of(server) as client:
            await of.run(client, on_progress=watch)
    except JobStopped as stopped:
        return stopped.cause
    return None


@pytest.mark.parametrize(
    "status", [301, 302, 303, 307, 308, 401, 403, 404, 405, 407, 410, 411, 414, 415, 431]
)
async def test_what_concerns_everybody_ends_both_at_once(tmp_path: Path, status: int) -> None:
    """One request each, and for the same reason."""
    headers = {"Location": "https://elsewhere.example/"} if status < 400 else {}
    ours, theirs = Server(status, headers=headers), Server(status, headers=headers)
    report, error = await stream(ours)
    path = plan(tmp_path / "j", CHUNKS)
    cause = await job(theirs, path)
    assert (ours.sends, theirs.sends) == (1, 1)
    assert type(error) is type(cause)
    assert str(error) == str(cause)
    assert report.not_sent == 500 * (CHUNKS - 1)
    unknown = status in (302, 303)  # they often follow a request that was processed
    assert report.unknown == (500 if unknown else 0)
    assert states_of(path)[1:] == [State.PLANNED] * (CHUNKS - 1)
    assert states_of(path)[0] is (State.UNKNOWN if unknown else State.PLANNED)


@pytest.mark.parametrize("status", [400, 409, 413, 422])
async def test_what_concerns_one_list_ends_neither(tmp_path: Path, status: int) -> None:
    """Each list is refused for itself."""
    ours, theirs = Server(status), Server(status)
    report, _ = await stream(ours)
    path = plan(tmp_path / "j", CHUNKS)
    assert await job(theirs, path) is None
    assert (ours.sends, theirs.sends) == (CHUNKS, CHUNKS)
    assert report.rejected == 500 * CHUNKS
    assert states_of(path) == [State.REJECTED] * CHUNKS


@pytest.mark.parametrize("status", [206, 500, 503])
async def test_three_in_a_row_without_a_usable_answer_end_a_stream_where_a_job_waits(
    tmp_path: Path, status: int
) -> None:
    """No more than three requests make people unknown; the rest is not sent, or planned."""
    ours, theirs = Server(status), Server(status, asked=503)
    report, _ = await stream(ours)
    path = plan(tmp_path / "j", CHUNKS)
    await job(theirs, path, until_it_waits=True)
    assert (ours.sends, theirs.sends) == (3, 3)
    assert (report.unknown, report.not_sent) == (1500, 500 * (CHUNKS - 3))
    assert "3 requests in a row had no usable answer" in str(report.failures[-1].error)
    assert states_of(path) == [State.UNKNOWN] * 3 + [State.PLANNED] * (CHUNKS - 3)


@pytest.mark.parametrize("status", [206, 500, 503])
async def test_a_job_that_does_not_wait_ends_where_a_stream_ends(
    tmp_path: Path, status: int
) -> None:
    """At the third request, although the server answers health checks; for the same reason."""
    ours, theirs = Server(status), Server(status)
    report, error = await stream(ours)
    path = plan(tmp_path / "j", CHUNKS)
    with pytest.raises(JobStopped) as stopped:
        async with client_of(theirs) as client:
            await Job(path).run(client, waits=False)
    assert (ours.sends, theirs.sends) == (3, 3)
    assert str(stopped.value.cause) == str(error)
    reason = str(report.failures[-1].error).removeprefix("not sent: ")
    assert str(stopped.value) == f"the job stopped: {reason}"
    assert states_of(path) == [State.UNKNOWN] * 3 + [State.PLANNED] * (CHUNKS - 3)


async def test_a_job_tries_three_times_more_where_the_server_answers_health_checks(
    tmp_path: Path,
) -> None:
    """Then it ends with the error, as a stream does without asking."""
    server = Server(503)
    _, error = await stream(Server(503))
    cause = await job(server, path := plan(tmp_path / "j", CHUNKS))
    assert server.sends == 6
    assert str(error) == str(cause)
    assert states_of(path).count(State.UNKNOWN) == 6


async def test_a_proxy_that_wants_a_password_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No later request would pass it: nothing is tried again, and nobody else is sent to."""
    asked = list[bytes]()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy:
        host, port = proxy.sockets[0].getsockname()
        monkeypatch.setenv("HTTPS_PROXY", f"http://{host}:{port}")
        client = MoveworksClient(ApiKey("k"), base_url="https://api.example", max_in_flight=1)
        async with client:
            report = await client.messages.send_bulk("hi", people())
    assert len(asked) == 1
    assert (report.not_sent, report.requests) == (500 * CHUNKS, 0)
    assert isinstance(report.failures[0].error, ConnectionFailed)
    assert "HTTP 407" in str(report.failures[-1].error)
