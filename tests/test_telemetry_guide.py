"""The page about telemetry is true: its programs run, and its alarms ask for what there is."""

from __future__ import annotations

import asyncio
import re
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from moveworks_shift_async.sandbox import Sandbox

from .commands import spawn
from .test_layers import PACKAGE, ROOT

PAGE = files(PACKAGE).joinpath("guide", "telemetry.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", PAGE, re.DOTALL)
PLAIN = [(program, printed) for program, printed in PROGRAMS if printed]
PROMETHEUS, OTLP = [program for program, printed in PROGRAMS if not printed]
QUERIES = re.findall(r"```promql\n(.*?)```", PAGE, re.DOTALL)
SCRAPE = "\nfrom prometheus_client import generate_latest\nprint(generate_latest().decode())\n"


async def run(program: str, folder: Path, **more: str) -> str:
    """Run it as a program of its own against the sandbox; what it prints."""
    async with Sandbox(any_event=True) as sandbox:
        process = await spawn(
            sys.executable,
            "-c",
            program,
            env={
                "MOVEWORKS_API_KEY": sandbox.api_key,
                "MOVEWORKS_BASE_URL": sandbox.url,
                "PYTHONPATH": str(ROOT.parent),
                **more,
            },
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
    assert err.decode() == ""
    return out.decode()


@pytest.mark.parametrize(("program", "printed"), PLAIN)
async def test_a_program_prints_what_the_page_says(
    program: str, printed: str, tmp_path: Path
) -> None:
    """The function of yours, and the log lines."""
    assert await run(program, tmp_path) == printed


async def test_prometheus_finds_what_the_alarms_ask_for(tmp_path: Path) -> None:
    """Each name in them, with each label and value that they choose by."""
    shown = await run(
        PROMETHEUS.replace("port=9464", 'port=0, addr="127.0.0.1"') + SCRAPE, tmp_path
    )
    assert len(QUERIES) == 5
    names = {name for query in QUERIES for name in re.findall(r"\b(?:http|moveworks)_\w+", query)}
    series = {re.split(r"[{ ]", line)[0] for line in shown.splitlines()}
    assert [
        name for name in names - {"moveworks_outcome", "moveworks_run"} if name not in series
    ] == []
    for label in ('moveworks_outcome="unknown"', 'result="failed"', 'moveworks_run="send_bulk"'):
        assert label in shown
    assert "ann@example.com" not in shown


async def test_a_collector_gets_spans_and_metrics(tmp_path: Path) -> None:
    """Over OTLP, and nobody's address with them."""
    got: dict[str, bytes] = {}

    async def collect(request: web.Request) -> web.Response:
        got[request.path] = got.get(request.path, b"") + await request.read()
        return web.Response(content_type="application/x-protobuf")

    app = web.Application()
    app.router.add_post("/{path:.*}", collect)
    async with TestServer(app) as collector:
        address = str(collector.make_url("")).rstrip("/")
        await run(OTLP, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=address)
    assert b"POST /rest/v1/messages/send" in got["/v1/traces"]
    assert b"moveworks.client.recipients" in got["/v1/metrics"]
    assert b"ann@example.com" not in b"".join(got.values())
