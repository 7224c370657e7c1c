"""The types that users see: the documented use passes a strict type check."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import moveworks_shift_async

PROGRAM = '''
import asyncio
import uuid
from collections.abc import AsyncIterator

from moveworks_shift_async import (
    ApiKey,
    AppCredentials,
    AppObject,
    BearerToken,
    ClientCredentials,
    MoveworksClient,
    MoveworksError,
    OAuthTokens,
    Outcome,
    RateLimit,
    RefusedByServer,
    Region,
    RetryPolicy,
    ShiftClient,
    Timeouts,
)

EVENT = "15d8db87-9a06-4d5d-8e22-0b4e6c6c30a7"


async def people() -> AsyncIterator[str]:
    yield "ann@example.com"


async def store(access: str, refresh: str, expires_in: float | None) -> None:
    """Keep the pair."""


async def tell() -> None:
    async with MoveworksClient(
        ClientCredentials("id", "secret", token_request="json"), base_url=Region.EU
    ) as client:
        reveal_type(client)
        reveal_type(await client.auth.test())
        receipt = await client.events.send(
            EVENT, "Hello", ["ann@example.com"], context={"slots": {"name": "Ann"}}
        )
        reveal_type(receipt)
        reveal_type(receipt.state)
        reveal_type(await client.messages.send("Hello", {"ann@example.com"}, context=None))
        await client.events.send(uuid.UUID(EVENT), "Hello", ("ann@example.com",))

        report = await client.events.send_bulk(EVENT, "Hello", people())
        reveal_type(report)
        reveal_type(report.accepted)
        reveal_type(report.failures)
        async for outcome in client.messages.send_bulk("Hello", ["ann@example.com"]):
            reveal_type(outcome)
            if outcome.outcome is Outcome.UNKNOWN:
                reveal_type(outcome.error)
        reveal_type(client.gate.snapshot())


async def tell_otherwise() -> None:
    client = MoveworksClient(
        ApiKey("key"),
        base_url="https://api.example.com",
        rate_limit=RateLimit(requests=120, per=60.0, share=0.5),
        retry=RetryPolicy.none(),
        timeout=Timeouts(connect=10.0, total=60.0),
        max_in_flight=8,
    )
    try:
        await client.auth.test()
    except RefusedByServer as refused:
        reveal_type(refused.code)
    except MoveworksError as error:
        reveal_type(error.outcome)
    finally:
        await client.close()
    reveal_type(MoveworksClient.from_env())


async def post() -> None:
    async with ShiftClient(
        AppCredentials("id", "secret"), base_url="https://shift.example.com"
    ) as shift:
        message = await shift.messages.create(text="Hello", team=uuid.uuid4())
        reveal_type(message)
        reveal_type(message.created_at)
        await shift.messages.create(
            text="See {0}", users=[EVENT], emails=["ann@example.com"], mention=AppObject("1", "n")
        )
    ShiftClient(BearerToken("token"), base_url="https://shift.example.com", addressed_users="list")
    ShiftClient(
        OAuthTokens(client_id="i", client_secret="s", refresh_token="r", on_refresh=store),
        base_url="https://shift.example.com",
    )


asyncio.run(tell())
'''
REVEALED = [
    "MoveworksClient",
    "str",
    "Receipt",
    "str | None",
    "Receipt",
    "BulkReport",
    "int",
    "tuple[ChunkOutcome, ...]",
    "ChunkOutcome",
    "MoveworksError | None",
    "GateSnapshot",
    "str | int | None",
    "Outcome",
    "MoveworksClient",
    "ShiftMessage",
    "datetime | None",
]
#: One mistake a line, and a word of what the type checker must say to it.
MISTAKES = {
    'MoveworksClient("a key")': "arg-type",
    'MoveworksClient(ApiKey("k"), "https://h")': "call-arg|misc",
    'ShiftClient(AppCredentials("i", "s"))': "base_url",
    'ShiftClient(ApiKey("k"), base_url="https://h")': "arg-type",
    'RetryPolicy(on_unknown="hope")': "arg-type",
    'ClientCredentials("i", "s", token_request="xml")': "arg-type",
    "Receipt(status=200).status = 3": "read-only|call-arg",
}


def check(program: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    """What `mypy --strict` says of a user's program, with the package as a user has it."""
    where = Path(moveworks_shift_async.__file__).parents[1]
    installed = where in {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")}
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MYPY", "COV"))}
    if not installed:
        environment["MYPYPATH"] = str(where)
    return subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary"),
            *("--no-pretty", "--hide-error-context", "--show-error-codes"),
            *("--cache-dir", str(cache), str(program)),
        ],
        cwd=program.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="module")
def cache(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mypy's cache, kept between runs where pytest keeps its own."""
    kept = request.config.cache if hasattr(request.config, "cache") else None
    return kept.mkdir("mypy-of-users") if kept else tmp_path_factory.mktemp("mypy")


def short(revealed: str) -> str:
    """A revealed type without its modules, and with `X | None` for both ways of writing it."""
    name = re.sub(r"\b(?:\w+\.)+(?=\w)", "", revealed)
    return re.sub(r"Union\[(.*)\]$", lambda found: found[1].replace(", ", " | "), name)


def test_the_package_says_that_it_is_typed() -> None:
    """`py.typed` is there, or no type checker would look."""
    assert (Path(moveworks_shift_async.__file__).parent / "py.typed").is_file()


def test_the_documented_use_is_well_typed(tmp_path: Path, cache: Path) -> None:
    """The documented examples pass a strict check, and what they get has its own type."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    found = check(program, cache)
    assert found.returncode == 0, found.stdout + found.stderr
    revealed = re.findall(r'Revealed type is "(.*)"', found.stdout)
    assert [short(each) for each in revealed] == REVEALED


def test_mistakes_are_found(tmp_path: Path, cache: Path) -> None:
    """A wrong credential, a forgotten host or a misspelt policy is an error before it runs."""
    head = "from moveworks_shift_async import *\n"
    program = tmp_path / "mistakes.py"
    program.write_text(head + "\n".join(MISTAKES) + "\n", encoding="utf-8")
    found = check(program, cache)
    assert found.returncode == 1, found.stdout + found.stderr
    for line, words in enumerate(MISTAKES.values(), start=2):
        said = re.findall(rf"^[^\n]*mistakes\.py:{line}: error: .*$", found.stdout, re.MULTILINE)
        assert any(re.search(words, each) for each in said), (line, found.stdout)
