"""README and the guide are true: their Python prints what it says, their commands exist."""

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
PAGES = {page.name: page.read_text(encoding="utf-8") for page in sorted(GUIDE.glob("*.md"))}
#: Pages whose Python needs more than the sandbox, and the tests that run it.
ELSEWHERE = {
    "blocking.md": "test_blocking.py",
    "fleet.md": "test_cli_fleet.py",
    "telemetry.md": "test_telemetry_guide.py",
    "testing.md": "test_testing.py",
}
#: README, and what was once in it.
USERS = {"README.md": README} | {
    name: page
    for name, page in PAGES.items()
    if name not in ELSEWHERE and name not in ("decisions.md", "house.md")
}
PYTHON = [
    pytest.param(*found, id=f"{name}-{number}")
    for name, page in USERS.items()
    for number, found in enumerate(
        re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", page, re.DOTALL)
    )
]
SHELL = [
    block
    for page in (README, *PAGES.values())
    for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
]
#: What the quick part of the tests does without: processes, a browser.
SLOW = re.compile(r"^(?:import subprocess|from \.commands|from selenium|import selenium)", re.M)
COMMANDS = [
    shlex.split(line)
    for block in SHELL
    for line in map(str.strip, block.replace("\\\n", " ").splitlines())
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
    """Every `moveworks-shift` line is understood, up to its options."""
    words = [word for word in command[1:] if not word.startswith("--")]
    options = [word for word in command[1:] if word.startswith("--")]
    names = [word for word in words[:2] if word.isalpha()]
    result = CliRunner().invoke(commands, [*names, "--help"])
    assert result.exit_code == 0
    assert all(option in result.output for option in options)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_the_python_of_other_pages_runs_elsewhere(name: str) -> None:
    """Their tests read the page, and look for its blocks."""
    tests = (ROOT / "tests" / ELSEWHERE[name]).read_text(encoding="utf-8")
    assert name in tests
    assert "```python" in tests


@pytest.mark.parametrize("name", ["decisions.md", "house.md"])
def test_pages_without_programs_have_none(name: str) -> None:
    """Nothing runs those."""
    assert "```python" not in PAGES[name]


def test_readme_is_read_in_ten_minutes() -> None:
    """Whatever is not for a newcomer is in the guide."""
    assert len(README.splitlines()) <= 200


def test_readme_leads_to_each_page_by_its_question() -> None:
    """The table has the title of each page, and the question that it begins with."""
    rows = re.findall(
        r"^\| \[(.+)\]\(moveworks_shift_async/guide/(.+)\) \| (.+\?) \|$", README, re.MULTILINE
    )
    begin = {name: f"# {title}\n\n**{question}**\n\n" for title, name, question in rows}
    assert begin.keys() == PAGES.keys()
    assert [name for name in PAGES if not PAGES[name].startswith(begin[name])] == []


@pytest.mark.parametrize("name", ["README.md", *PAGES])
def test_each_link_leads_somewhere(name: str) -> None:
    """To a file of the repository, and to a heading that is in it."""
    here = ROOT / name if name == "README.md" else GUIDE / name
    text = re.sub(r"```.*?```", "", here.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        path, _, heading = link.partition("#")
        there = here.parent / path if path else here
        assert there.exists(), link
        if heading:
            titles = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]
            assert heading in slugs, link


def test_each_extra_has_a_line_that_installs_it_from_a_clone() -> None:
    """And no page installs it by a name, which is nobody's on the index, or somebody else's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].keys() - {"test", "bench"}
    table = set(
        re.findall(r"^\| .+ \| `.+ -m pip install \"\.\[(\w+)\]\"` \|$", README, re.MULTILINE)
    )
    assert table == extras
    pages = [README, *PAGES.values()]
    assert not [page for page in pages if re.search(r"(?<!bin/python -m )pip install", page)]
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


@pytest.mark.parametrize("name", USERS)
def test_every_name_in_code_spans_is_public_or_explained(name: str) -> None:
    """Class names that a page mentions can be imported from the package."""
    spans = set(re.findall(r"`([A-Z][A-Za-z]+)(?:\(.*?\))?`", USERS[name]))
    known = {*moveworks_shift_async.__all__, "CancelledError", "PGPASSWORD", "Date", "TMPDIR"}
    regions = {"EU", "US", "CANADA", "AUSTRALIA", "GOV", "JAPAN", "UK", "DEMO"}
    assert spans - known - regions == set()
