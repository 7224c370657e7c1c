"""README is true: its Python prints what it says, its commands exist, CI runs its tests."""

from __future__ import annotations

import asyncio
import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

import moveworks_shift_async
from moveworks_shift_async.cli.main import commands
from moveworks_shift_async.sandbox import Sandbox

from .commands import spawn

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = Path(moveworks_shift_async.__file__).parent / "guide"
PYTHON = re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", README, re.DOTALL)
SHELL = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
#: What the quick part of the tests does without: processes, a browser.
SLOW = re.compile(r"^(?:import subprocess|from \.commands|from selenium|import selenium)", re.M)
COMMANDS = [
    shlex.split(line)
    for block in SHELL
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("moveworks-shift ")
]


@pytest.mark.parametrize(("program", "printed"), PYTHON)
async def test_each_python_block_prints_what_it_says(
    program: str, printed: str, tmp_path: Path
) -> None:
    """Run as a program of its own, against the sandbox, with the documented variables."""
    async with Sandbox(any_event=True) as sandbox:
        environment = {
            "MOVEWORKS_API_KEY": sandbox.api_key,
            "MOVEWORKS_BASE_URL": sandbox.url,
            "SHIFT_BASE_URL": sandbox.url,
            "SHIFT_CLIENT_ID": sandbox.shift_client_id,
            "SHIFT_CLIENT_SECRET": sandbox.shift_client_secret,
            "PYTHONPATH": str(ROOT),
        }
        process = await spawn(
            sys.executable,
            "-c",
            program,
            env=environment,
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
    assert err.decode() == ""
    assert out.decode() == printed


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_each_command_exists_with_its_options(command: list[str]) -> None:
    """Every `moveworks-shift` line of README is understood, up to its options."""
    words = [word for word in command[1:] if not word.startswith("--")]
    options = [word for word in command[1:] if word.startswith("--")]
    names = [word for word in words[:2] if word.isalpha()]
    result = CliRunner().invoke(commands, [*names, "--help"])
    assert result.exit_code == 0
    assert all(option in result.output for option in options)


def test_each_extra_has_a_line_that_installs_it_from_a_clone() -> None:
    """And no page installs it by a name, which is nobody's on the index, or somebody else's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].keys() - {"test", "bench"}
    table = set(
        re.findall(r"^\| .+ \| `.+ -m pip install \"\.\[(\w+)\]\"` \|$", README, re.MULTILINE)
    )
    assert table == extras
    pages = [README, *(page.read_text("utf-8") for page in GUIDE.glob("*.md"))]
    by_name = rf"pip install .*\b{project['name'].replace('-', '[-_]')}\b"
    assert not [line for page in pages for line in re.findall(by_name, page)]


def test_the_quick_start_has_two_commands_and_ci_runs_them() -> None:
    """The gate takes its commands from README, so people and CI run the same."""
    start = README.split("## Quick start")[1].split("## ")[0]
    assert len(re.findall(r"^python3 -m venv .*$", start, re.MULTILINE)) == 2
    assert README.count("\npython3 -m venv ") == 2
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert 'eval "$(command_of 1)"' in gate
    assert 'eval "$(command_of 2)"' in gate


async def test_the_quick_command_runs_quick_files_alone() -> None:
    """It finds tests in each of them, and none starts a process, a browser or ten thousand runs."""
    command = re.findall(r"^\.venv/bin/python (-m pytest .*)$", README, re.MULTILINE)
    assert command == ["-m pytest -n 2 @.ci/quick-tests"]
    quick = (ROOT / ".ci" / "quick-tests").read_text(encoding="utf-8").split()
    assert quick == sorted(quick)
    assert not [file for file in quick if SLOW.search((ROOT / file).read_text(encoding="utf-8"))]
    process = await spawn(
        sys.executable,
        *shlex.split(command[0].replace("-n 2", "-n 0")),
        *("--collect-only", "-q", "-p", "no:cacheprovider"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    found = {line.split("::")[0] for line in out.decode().splitlines() if "::" in line}
    assert found == set(quick)


def test_what_is_checked_before_a_commit_is_what_the_gate_checks() -> None:
    """The hooks run the gate's own commands."""
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8").replace('"', "")
    entries = re.findall(r"^ +entry: (.*)$", hooks, re.MULTILINE)
    assert entries == re.findall(r"^\$fresh/lint/bin/((?:ruff|mypy).*)$", gate, re.MULTILINE)


def test_every_name_in_code_spans_is_public_or_explained() -> None:
    """Class names that README mentions can be imported from the package."""
    spans = set(re.findall(r"`([A-Z][A-Za-z]+)(?:\(.*?\))?`", README))
    known = set(moveworks_shift_async.__all__) | {"Retry", "After", "CancelledError", "PGPASSWORD"}
    regions = {"EU", "US", "CANADA", "AUSTRALIA", "GOV", "JAPAN", "UK", "DEMO"}
    assert spans - known - regions == set()
