"""`moveworks-shift doctor`: what it finds, what it advises, and what it never shows."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import trustme

from moveworks_shift_async import MoveworksError
from moveworks_shift_async.cli.doctor import examination, machine, regions
from moveworks_shift_async.cli.doctor.setup import Setup
from moveworks_shift_async.fleet.tables import grants, make_fleet
from moveworks_shift_async.jobs.store.postgres.schema import make_tables
from moveworks_shift_async.limits.shared.file_gate import FileGate
from moveworks_shift_async.sandbox import Sandbox
from moveworks_shift_async.sandbox.decisions import Variants
from moveworks_shift_async.settings import RateLimit, organisation
from moveworks_shift_async.settings import moveworks_from_env as read_settings

from .commands import Ended, end, environment, run, run_here, start
from .fleets import a_database, ask
from .servers import accepting, read_request

SECRET = "s3cr3t"
ME = "me@example.com"
#: An answer to every auth test.
TEXT = b'{"Message":"fine"}'

Doctor = Callable[..., Awaitable[Ended]]


@pytest.fixture
def doctor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Doctor:
    """The command in this process, with variables of its own."""
    monkeypatch.chdir(tmp_path)

    async def examine(*args: str, env: dict[str, str]) -> Ended:
        for name in [name for name in os.environ if name.startswith(("MOVEWORKS_", "SHIFT_"))]:
            monkeypatch.delenv(name)
        ended = await run_here("doctor", *args, env=env, patch=monkeypatch, capsys=capsys)
        assert SECRET not in ended.out + ended.err
        assert "Traceback" not in ended.err
        return ended

    return examine


def oauth(sandbox: Sandbox, **more: str) -> dict[str, str]:
    """The variables of a user with an OAuth client."""
    mine = {"MOVEWORKS_BASE_URL": sandbox.url, "MOVEWORKS_CLIENT_ID": sandbox.client_id}
    return mine | {"MOVEWORKS_CLIENT_SECRET": sandbox.client_secret} | more


def key(url: str, **more: str) -> dict[str, str]:
    """The variables of a user with an API key at this server."""
    return {"MOVEWORKS_BASE_URL": url, "MOVEWORKS_API_KEY": SECRET} | more


def statuses(ended: Ended) -> dict[str, str]:
    """How each check ended, of the lines."""
    lines = ended.out.splitlines()[:-1]
    return {line[9:24].strip(): line.split()[0] for line in lines}


def line_of(ended: Ended, check: str) -> str:
    """The line of one check."""
    (line,) = [one for one in ended.out.splitlines() if one[9:24].strip() == check]
    return line


@pytest.fixture
async def elsewhere() -> AsyncIterator[Sandbox]:
    """Another region, where the credential is known."""
    async with Sandbox(limit=100_000, window=1.0, api_key=SECRET) as running:
        yield running


async def test_all_well(sandbox: Sandbox, tmp_path: Path) -> None:
    """In a process of its own, with a message to oneself; the last line names the variant."""
    ended = await run("doctor", "--to", f" {ME} ", env=environment(sandbox))
    assert (ended.code, ended.err) == (0, "")
    assert statuses(ended) == {
        "versions": "ok",
        "credential": "ok",
        "server": "ok",
        "limit": "ok",
        "shift": "ok",
        "gate": "ok",
        "journals": "ok",
        "database": "skipped",
        "proxy": "ok",
        "name": "ok",
        "connection": "ok",
        "token as form": "skipped",
        "token as JSON": "skipped",
        "auth test": "ok",
        "clock": "ok",
        "message": "ok",
    }
    assert "MOVEWORKS_API_KEY: set, 15 characters." in line_of(ended, "credential")
    assert "SHIFT_CLIENT_SECRET: set, 36 characters." in line_of(ended, "shift")
    assert ended.out.splitlines()[-1] == (
        "variant: API key; auth text under Message; a message answered by HTTP 204 with no word"
    )
    assert sandbox.received().people == {ME: 1}


async def test_json_says_the_same(sandbox: Sandbox, doctor: Doctor) -> None:
    """One object with a version, all checks, and the exit code of the other form."""
    env = oauth(sandbox)
    lines, ended = await doctor(env=env), await doctor("--json", env=env)
    told = ended.json()
    assert (told["version"], told["exit_code"]) == (1, 0)
    assert (lines.code, ended.code, ended.err) == (0, 0, "")
    assert {one["check"]: one["status"] for one in told["checks"]} == statuses(lines)
    assert all(one.keys() == {"check", "status", "found", "advice"} for one in told["checks"])
    assert lines.out.splitlines()[-1] == f"variant: {told['variant']}"


async def test_the_variant_of_an_oauth_client(doctor: Doctor) -> None:
    """Both forms are asked; which bodies the tenant has is told."""
    variants = Variants(token_body="wrapped", auth_key="message", event_status=202)
    async with Sandbox(variants=variants, token_lifetime=60.0) as sandbox:
        args = ("--to", ME, "--event", sandbox.event_id)
        ended = await doctor(*args, env=oauth(sandbox))
    assert ended.code == 0
    assert ended.out.splitlines()[-1] == (
        "variant: token as form; token as JSON; wrapped in data for 60 s; auth text under message;"
        " a message answered by HTTP 202 with RECEIVED"
    )


async def test_a_server_that_takes_one_form_is_well(doctor: Doctor) -> None:
    """What clients do about it by themselves is said."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await read_request(reader)
        body = b'{"access_token":"mwt_x"}' if b"/oauth/" in asked else TEXT
        refused = b"x-www-form-urlencoded" in asked
        writer.write(http(b"415 Unsupported Media Type" if refused else b"200 OK", body))

    async with accepting(answer) as url:
        env = {"MOVEWORKS_CLIENT_ID": "id", "MOVEWORKS_CLIENT_SECRET": SECRET}
        ended = await doctor(env=env | {"MOVEWORKS_BASE_URL": url})
    assert ended.code == 0
    assert "ok       token as form  not taken (HTTP 415), so clients ask in the" in ended.out
    assert "ok       token as JSON  a token, flat without expires_in." in ended.out
    assert "variant: token as JSON; flat without expires_in; auth text under Mess" in ended.out


async def test_the_wrong_region(
    sandbox: Sandbox, elsewhere: Sandbox, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The remedy names the region that takes it; that its hosts see it is said before."""
    hosts = {"US": sandbox.url, "EU": elsewhere.url, "JAPAN": "http://127.0.0.1:9"}
    monkeypatch.setattr(regions, "REGIONS", hosts)
    alone = await doctor(env=key(sandbox.url))
    assert alone.code == 5
    assert "doctor --all-regions asks every region's host" in line_of(alone, "auth test")
    ended = await doctor("--all-regions", env=key(sandbox.url))
    assert ended.code == 5
    assert ended.err.startswith("--all-regions shows the credential to each of these hosts now: 12")
    line = line_of(ended, "regions")
    assert "taken by EU; refused by US; ConnectionFailed at JAPAN. Check the cred" in line
    assert line.endswith("; MOVEWORKS_REGION=EU.")
    well = await doctor("--all-regions", env=key(elsewhere.url))
    assert (well.code, statuses(well)["regions"]) == (0, "ok")


async def test_a_dead_credential(sandbox: Sandbox, doctor: Doctor) -> None:
    """Of either kind; nothing more is asked with it, and nobody is told."""
    ended = await doctor("--to", ME, env=key(sandbox.url))
    assert ended.code == 5
    assert "failed   auth test      HTTP 401 Unauthorized" in ended.out
    assert "Check the credential and the base URL, then try again" in line_of(ended, "auth test")
    assert statuses(ended)["message"] == "skipped"
    assert ended.out.splitlines()[-1] == "variant: API key; errors flat"
    client = oauth(sandbox, MOVEWORKS_CLIENT_SECRET=SECRET)
    refused = await doctor("--all-regions", "--json", env=client)
    assert refused.code == 5
    found = {one["check"]: one["status"] for one in refused.json()["checks"]}
    assert found["token as form"] == found["token as JSON"] == "failed"
    assert found["auth test"] == "skipped"
    assert refused.json()["variant"] == "errors flat"
    assert sandbox.received().people == {}


@pytest.fixture(autouse=True)
def no_real_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test leaves this machine."""
    monkeypatch.setattr(regions, "REGIONS", {"US": "http://127.0.0.1:9"})


async def test_no_network(sandbox: Sandbox, doctor: Doctor) -> None:
    """A name that leads nowhere, and a server that is not there; what hangs on it is skipped."""
    nowhere = await doctor(env=key("https://no-such-host.invalid"))
    assert nowhere.code == 5
    assert "Check the network, the proxy and the base URL" in line_of(nowhere, "name")
    assert statuses(nowhere)["connection"] == "skipped"
    await sandbox.stop_listening()
    gone = await doctor(env=key(sandbox.url))
    assert gone.code == 5
    told = f"no connection to {sandbox.url[7:]}: Connection refused. Check the network, the proxy"
    assert told in line_of(gone, "connection")
    assert [statuses(gone)[check] for check in ("auth test", "clock")] == ["skipped"] * 2
    assert gone.out.endswith("variant: not known: the server has said nothing\n")


def screen(title: str) -> set[str]:
    """The lines of one of the guide's screens, without those of this machine."""
    page = files("moveworks_shift_async").joinpath("guide", "doctor.md").read_text("utf-8")
    (shown,) = re.findall(rf"^{title}.*?```text\n(.*?)```", page, re.DOTALL | re.MULTILINE)
    return set(shown.splitlines())


async def test_the_guide_shows_what_it_says(
    sandbox: Sandbox, elsewhere: Sandbox, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line of its screens of a tenant that does not work is one that was printed."""
    monkeypatch.setattr(regions, "REGIONS", {"US": sandbox.url, "EU": elsewhere.url})
    wrong_region = await doctor("--all-regions", env=key(sandbox.url))
    assert screen("The wrong region") - {*wrong_region.out.splitlines()} == set()
    dead = await doctor(env=oauth(sandbox, MOVEWORKS_CLIENT_SECRET=SECRET))
    assert screen("A dead credential") - {*dead.out.splitlines()} == set()
    monkeypatch.setattr("socket.getaddrinfo", unresolved)
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    away = {"MOVEWORKS_API_KEY": SECRET, "MOVEWORKS_REGION": "EU"}
    no_network = await doctor(env=away | {"MOVEWORKS_CLIENT_ID": "", "MOVEWORKS_BASE_URL": ""})
    assert screen("No network") - {*no_network.out.splitlines()} == set()


def unresolved(*_: object) -> None:
    """No network."""
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


async def test_no_region_can_be_reached(sandbox: Sandbox, doctor: Doctor) -> None:
    """That says nothing of the credential, so what is to be looked at is the network."""
    ended = await doctor("--all-regions", env=key(sandbox.url))
    told = "taken by none; ConnectionFailed at US. Check the network, the proxy and the base URL"
    assert told in line_of(ended, "regions")


def http(status: bytes, body: bytes, **headers: str) -> bytes:
    """An answer as bytes."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, lines, len(body), body)


@pytest.mark.parametrize(
    ("ahead", "told"), [(10830, "3 h 00 min ahead of the server's"), (-90, "s behind the server's")]
)
async def test_the_wrong_clock(doctor: Doctor, ahead: float, told: str) -> None:
    """By the date of the server's answer; it ends nothing, for no send goes by it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        date = datetime.now(UTC) - timedelta(seconds=ahead)
        writer.write(http(b"200 OK", TEXT, Date=format_datetime(date, usegmt=True)))

    async with accepting(answer) as url:
        ended = await doctor(env=key(url))
    line = line_of(ended, "clock")
    assert line.startswith("warning  clock          this machine's clock is ")
    assert told in line
    assert line.endswith("See that the clock of this machine is right.")
    assert ended.code == 0
    if ahead > 0:
        assert screen("A wrong clock") - {"variant: API key; auth text under Message"} == {
            "ok       auth test      the server says: Auth tested successfully.",
            line,
        }


def tls(authority: trustme.CA, *names: str, **more: Any) -> ssl.SSLContext:
    """A server's side of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **more).configure_cert(context)
    return context


async def examine_tls(context: ssl.SSLContext, trusted: trustme.CA, folder: Path) -> Ended:
    """The command at a server with TLS, in a process that trusts this authority."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(http(b"200 OK", TEXT))

    known = folder / "authorities.pem"
    trusted.cert_pem.write_to_path(str(known))
    async with accepting(answer, context) as url:
        here = url.replace("127.0.0.1", "localhost")
        env = environment() | key(here) | {"SSL_CERT_FILE": str(known)}
        return await run("doctor", env=env)


async def test_tls_is_told(tmp_path: Path) -> None:
    """Its version, and until when the certificate is good."""
    authority = trustme.CA()
    ended = await examine_tls(tls(authority, "localhost"), authority, tmp_path)
    assert ended.code == 0
    assert ", TLSv1.3, certificate valid until " in line_of(ended, "connection")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("expired", "its certificate is not valid now; see that the clock of this machine is"),
        ("foreign", "who issued its certificate is not known here; SSL_CERT_FILE names a file"),
        ("other", "its certificate is another host's"),
    ],
)
async def test_a_certificate_that_is_refused(fault: str, told: str, tmp_path: Path) -> None:
    """It is said why; with a wrong clock every certificate is too old or too new."""
    authority = trustme.CA()
    past = datetime.now(UTC) - timedelta(days=1)
    more = {"not_after": past} if fault == "expired" else {}
    name = "other.example" if fault == "other" else "localhost"
    context = tls(authority, name, **more)
    trusted = trustme.CA() if fault == "foreign" else authority
    ended = await examine_tls(context, trusted, tmp_path)
    assert ended.code == 5
    assert f"TLS failed: {told}" in line_of(ended, "connection")


async def test_wrong_settings_hide_no_other(doctor: Doctor) -> None:
    """Each is told by itself, with 2 at the end, whatever the server says."""
    wrong = {
        "MOVEWORKS_REGION": "MOON",
        "MOVEWORKS_SHARE": "7",
        "SHIFT_BASE_URL": "https://shift.example.com",
    }
    ended = await doctor("--all-regions", "--to", ME, env=wrong)
    assert ended.code == 2
    found = statuses(ended)
    failures = {check for check, status in found.items() if status == "failed"}
    assert failures == {"credential", "server", "limit", "shift"}
    assert {found[check] for check in ("gate", "proxy", "name", "regions", "message")} == {
        "skipped"
    }
    assert "set MOVEWORKS_API_KEY, or MOVEWORKS_CLIENT_ID and" in line_of(ended, "credential")
    missing = await doctor(env={"MOVEWORKS_REGION": "EU", "MOVEWORKS_SHARE": "0.5"})
    assert "central.moveworks.ai, from MOVEWORKS_REGION." in line_of(missing, "server")
    assert "and a share of 0.5 of it, from MOVEWORKS_SHARE." in line_of(missing, "limit")


@pytest.mark.parametrize("args", [("--to", "nobody"), ("--event", "7")])
async def test_options_are_checked_first(args: tuple[str, ...], doctor: Doctor) -> None:
    """Nothing is asked for what could not be sent."""
    ended = await doctor(*args, env={})
    assert (ended.code, ended.out) == (2, "")


async def test_a_gate_that_cannot_be_used(
    elsewhere: Sandbox, doctor: Doctor, tmp_path: Path
) -> None:
    """One that was asked for is a failure; without the default one commands count alone."""
    env = key(elsewhere.url)
    asked = await doctor(env=env | {"MOVEWORKS_GATE": str(tmp_path)})
    assert (asked.code, statuses(asked)["gate"]) == (2, "failed")
    (tmp_path / "state").touch()
    alone = await doctor(env=env | {"XDG_STATE_HOME": str(tmp_path / "state")})
    assert (alone.code, statuses(alone)["gate"]) == (0, "warning")
    assert "MOVEWORKS_GATE names another file, or none" in line_of(alone, "gate")
    none = await doctor(env=env | {"MOVEWORKS_GATE": "none"})
    assert "none, from MOVEWORKS_GATE" in line_of(none, "gate")


async def test_a_gate_that_others_use_with_another_limit(
    elsewhere: Sandbox, doctor: Doctor, tmp_path: Path
) -> None:
    """Commands take theirs over, but for a rate that was named."""
    env = key(elsewhere.url, MOVEWORKS_GATE=str(tmp_path / "gate"))
    settings = read_settings(env)

    class User:
        """Of the gate."""

    user = User()
    gate = FileGate(tmp_path / "gate")
    whose = organisation(settings.base_url, settings.credentials)
    gate.join(user, whose, RateLimit(requests=60), 1)
    assert statuses(await doctor(env=env))["gate"] == "warning"
    named = await doctor(env=env | {"MOVEWORKS_REQUESTS_PER_MINUTE": "120"})
    assert (named.code, statuses(named)["gate"]) == (2, "failed")
    gate.leave(user)


async def test_a_server_that_has_no_time_is_there(elsewhere: Sandbox, doctor: Doctor) -> None:
    """A 429 says so; it is no failure of the tenant."""
    elsewhere.faults.script("auth", "throttle")
    ended = await doctor(env=key(elsewhere.url, MOVEWORKS_GATE="none"))
    assert (ended.code, statuses(ended)["auth test"]) == (0, "warning")
    async with Sandbox(limit=1, window=60.0, count_tokens=True) as sandbox:
        env = oauth(sandbox)
        ended = await doctor(env=env)
    assert ended.code == 0
    assert "warning  token as JSON  HTTP 429" in ended.out


async def test_a_token_that_has_to_wait_is_no_failure(doctor: Doctor) -> None:
    """The third token is over the limit, and the auth test has none."""
    async with Sandbox(limit=2, window=60.0, count_tokens=True) as sandbox:
        ended = await doctor(env=oauth(sandbox))
    assert (ended.code, statuses(ended)["auth test"]) == (0, "warning")


async def test_a_server_that_breaks_has_told_nobody(doctor: Doctor) -> None:
    """An auth test without a usable answer is a failure, not an unknown one."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(http(b"502 Bad Gateway", b""))

    async with accepting(answer) as url:
        ended = await doctor(env=key(url))
    assert ended.code == 5
    assert "no usable answer from 127.0.0.1:" in line_of(ended, "auth test")


async def test_a_message_that_is_refused(elsewhere: Sandbox, doctor: Doctor) -> None:
    """The credential may be right, and the event wrong."""
    event = "00000000-0000-0000-0000-000000000000"
    ended = await doctor("--to", ME, "--event", event, env=key(elsewhere.url))
    assert (ended.code, statuses(ended)["message"]) == (5, "failed")
    assert "HTTP 404 INVALID_EVENT_ID" in line_of(ended, "message")


async def test_the_proxy_without_its_password(sandbox: Sandbox, doctor: Doctor) -> None:
    """What it connects to is the proxy's business."""
    proxy = sandbox.url.replace("//", f"//user:{SECRET}@")
    ended = await doctor(env=key("https://api.example.com", HTTPS_PROXY=proxy, NO_PROXY=""))
    place = sandbox.url.partition("//")[2]
    assert f"ok       proxy          {place}, from HTTPS_PROXY or" in ended.out
    assert f"ok       connection     {place}, to the proxy." in ended.out
    assert (ended.code, statuses(ended)["auth test"]) == (5, "failed")


@pytest.mark.parametrize("proxy", ["socks5://u:s3cr3t@127.0.0.1:9", "http://u:s3cr3t@[::1"])
async def test_a_proxy_that_cannot_be_used(proxy: str, doctor: Doctor) -> None:
    """It is a setting; the way to the server is not looked at."""
    ended = await doctor(env=key("https://api.example.com", HTTPS_PROXY=proxy, NO_PROXY=""))
    assert ended.code == 2
    assert "the proxy in the environment is no URL of an HTTP proxy" in line_of(ended, "proxy")
    assert [statuses(ended)[check] for check in ("name", "connection")] == ["skipped"] * 2


async def test_a_gate_by_the_url_of_something_else(elsewhere: Sandbox, doctor: Doctor) -> None:
    """It is no file, whose name would be shown with the password."""
    gate = f"postgresql+psycopg://u:{SECRET}@db/moveworks"
    ended = await doctor(env=key(elsewhere.url, MOVEWORKS_GATE=gate))
    assert ended.code == 2
    told = "postgresql+psycopg://*** is no gate: name a file, or postgresql://host/database"
    assert told in line_of(ended, "gate")


async def test_the_directory_of_journals(
    elsewhere: Sandbox, doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others must not write there, and it must be a local disk."""
    os.chmod(tmp_path, 0o777)  # noqa: S103 - what is looked for
    assert f"chmod o-w {tmp_path}" in line_of(await doctor(env=key(elsewhere.url)), "journals")
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/home {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr(machine, "_MOUNTS", mounts)
    shared = line_of(await doctor(env=key(elsewhere.url)), "journals")
    assert "on a disk of type nfs4. A journal must lie on a local disk" in shared
    os.chmod(tmp_path, 0o700)
    monkeypatch.setattr(machine, "_MOUNTS", tmp_path / "none")
    assert "on some disk." in line_of(await doctor(env=key(elsewhere.url)), "journals")


async def test_the_disk_that_covers_another_counts(
    elsewhere: Sandbox, doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An automounter and its disk have one place; a gate must be on a local disk as well."""
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home of ann"
    home.mkdir()
    place = str(home).replace(" ", "\\040")
    mounts = tmp_path / "mounts"
    mounts.write_text(f"auto {place} autofs rw 0 0\nserver:/home {place} nfs4 rw 0 0\n")
    monkeypatch.setattr(machine, "_MOUNTS", mounts)
    ended = await doctor(env=key(elsewhere.url, MOVEWORKS_GATE=str(home / "gate")))
    told = "from MOVEWORKS_GATE, on a disk of type nfs4. It must be on a local disk: MOVEWORKS_GATE"
    assert told in line_of(ended, "gate")
    assert (ended.code, statuses(ended)["gate"]) == (0, "warning")


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EACCES, "Permission denied; the directory must be writable for this user"),
        (errno.EROFS, "Read-only file system; its disk can only be read: name a file on another"),
        (errno.ENOSPC, "No space left on device; make room"),
    ],
)
async def test_a_directory_that_takes_no_journal(
    number: int, advice: str, elsewhere: Sandbox, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is made there: a right to write says nothing of a disk that is full, or read-only."""

    def full(**_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    ended = await doctor(env=key(elsewhere.url))
    assert ended.code == 2
    assert advice in line_of(ended, "journals")


async def test_a_directory_that_was_removed(
    elsewhere: Sandbox, doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no defect of ours."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    ended = await doctor(env=key(elsewhere.url))
    assert ended.code == 2
    told = "the current directory was removed; change to another one. Correct it and try again."
    assert line_of(ended, "journals").endswith(told)


async def test_the_database(postgres: str, elsewhere: Sandbox, doctor: Doctor) -> None:
    """Without tables, with those of jobs, and with those of workers; no password is shown."""
    async with a_database(postgres, tables=False) as url:
        env = key(elsewhere.url, MOVEWORKS_GATE=url.replace("@", f":{SECRET}@"))
        bare = await doctor(env=env)
        assert bare.code == 2
        assert "make them with: moveworks-shift fleet init postgres" in line_of(bare, "database")
        await make_tables(url)
        jobs = await doctor(env=env)
        assert (jobs.code, statuses(jobs)["database"]) == (0, "warning")
        await make_fleet(url)
        whole = await doctor(env=env)
        assert (whole.code, statuses(whole)["gate"]) == (0, "ok")
        assert "and those of procrastinate." in line_of(whole, "database")
    gone = await doctor(env=env)
    assert gone.code == 2
    assert "see that it runs and that host, database" in line_of(gone, "database")


async def test_a_role_that_shares_the_limit_alone(
    postgres: str, elsewhere: Sandbox, doctor: Doctor
) -> None:
    """A sender's gate works, and the tables of jobs are none of its business."""
    role = f"sender_{uuid4().hex}"
    async with a_database(postgres) as url:
        rights = grants().partition("-- A sender")[2].partition("\n")[2]
        await ask(url, f"CREATE ROLE {role} LOGIN")
        for right in rights.replace("moveworks_sender", role).split(";")[:-1]:
            await ask(url, right)
        mine = urlsplit(url)._replace(netloc=f"{role}@{url.partition('@')[2].partition('/')[0]}")
        ended = await doctor(env=key(elsewhere.url, MOVEWORKS_GATE=mine.geturl()))
        await ask(url, f"DROP OWNED BY {role}")
        await ask(url, f"DROP ROLE {role}")
    assert (ended.code, statuses(ended)["gate"]) == (0, "ok")
    assert line_of(ended, "database").endswith(", and may see no jobs.")


async def test_a_check_that_breaks_stops_no_other(
    elsewhere: Sandbox,
    doctor: Doctor,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is told as what it is: a defect."""

    async def defect(_: Setup) -> Any:
        raise ZeroDivisionError(SECRET)

    async def ours(_: Setup) -> Any:
        raise MoveworksError("it broke")

    checks = {**examination._CHECKS, "gate": defect, "database": ours}
    monkeypatch.setattr(examination, "_CHECKS", checks)
    ended = await doctor("--json", env=key(elsewhere.url))
    assert ended.code == 2
    found = {one["check"]: one for one in json.loads(ended.out)["checks"]}
    assert found["gate"]["found"].startswith("unexpected ZeroDivisionError: this is a defect")
    assert found["gate"]["advice"] == "MOVEWORKS_SHIFT_DEBUG=1 shows where it happened"
    assert [record.exc_info for record in caplog.records if record.exc_info]
    assert (found["database"]["status"], found["auth test"]["status"]) == ("failed", "ok")


@pytest.mark.parametrize("args", [(), ("--json",)])
@pytest.mark.parametrize("sends", [True, False])
async def test_ctrl_c_says_what_is_known_of_the_message(
    sends: bool, args: tuple[str, ...], tmp_path: Path
) -> None:
    """One that is on its way may arrive; what was found before is told in either form."""
    reached = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await read_request(reader)
        if b"/send" in asked or not sends:
            reached.set()
            await asyncio.Event().wait()
        writer.write(http(b"200 OK", TEXT))

    async with accepting(answer) as url:
        process = await start(
            "doctor", "--to", ME, *args, env=environment() | key(url), cwd=tmp_path
        )
        await reached.wait()
        process.send_signal(signal.SIGINT)
        ended = await end(process)
    assert ended.code == 130
    maybe = "The test message may have been sent or not. Look for it before you run this again."
    never = "This command sent nothing. Run it again."
    assert ended.last == f"Error: interrupted. {maybe if sends else never}"
    if args:
        told = ended.json()
        assert (told["version"], told["exit_code"]) == (1, 130)
        assert told["checks"][-1]["check"] == ("clock" if sends else "token as JSON")
    else:
        assert "ok       connection" in ended.out
