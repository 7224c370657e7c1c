"""This machine: versions, the gate, the directory in which journals are made, the database."""

from __future__ import annotations

import asyncio
import os
import re
import stat
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from attrs import evolve

from ...errors import ConfigurationError, InvalidInput, JournalError, MoveworksError, OtherLimit
from ...jobs.store.postgres.schema import VERSION, may_see_jobs, version_of
from ...storage.database_url import is_url, without_password
from ...storage.postgres import connected
from ...storage.system import NO_DIRECTORY, refused
from ...text import install
from ..gate_file import default_gate, try_gate
from .finding import Finding, failed, ok, skipped, warning
from .setup import Setup

# What a report of a problem has to name: this package, and what its requests and jobs go through.
_LIBRARIES = ("moveworks-shift-async", "aiohttp", "attrs", "tenacity", "psycopg", "procrastinate")
# As Linux calls them. SQLite's locks do not hold on these.
_NETWORK_DISKS = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "afs",
    "ceph",
    "lustre",
    "glusterfs",
    "gpfs",
    "beegfs",
    "fuse.sshfs",
    "fuse.glusterfs",
)
_MOUNTS = Path("/proc/self/mounts")
# How a space in a path stands there.
_ESCAPED = re.compile(r"\\(\d{3})")
# Bytes: SQLite writes pages of this size.
_PAGE = 4096


def versions() -> Finding:
    """Of what takes part in a send."""
    told = [f"Python {sys.version.split()[0]}", *filter(None, map(_release, _LIBRARIES))]
    return ok("versions", ", ".join(told))


def _release(library: str) -> str | None:
    try:
        return f"{library} {version(library)}"
    except PackageNotFoundError:
        return None


async def gate(setup: Setup) -> Finding:
    """Whether the commands can share one limit."""
    if setup.gate == "none":
        return ok("gate", "none, from MOVEWORKS_GATE: each command counts its requests alone")
    if setup.settings is None:
        return skipped("gate", "it belongs to a server and a credential")
    settings = evolve(setup.settings, gate=setup.gate)
    try:
        place = setup.gate or default_gate(settings)
        try_gate(place, settings)
    except OtherLimit as error:
        return _other_limit(setup, error)
    except ConfigurationError as error:
        if setup.gate is not None:
            raise
        # As the commands do, which go on alone.
        return warning("gate", str(error), "MOVEWORKS_GATE names another file, or none")
    setup.usable_gate = place
    source = "MOVEWORKS_GATE" if setup.gate else "the default"
    if is_url(place):
        return ok("gate", f"{without_password(place)}, from {source}")
    disk = await asyncio.to_thread(lambda: _disk_of(os.path.realpath(place)))
    if disk in _NETWORK_DISKS:
        told = f"{place}, from {source}, on a disk of type {disk}"
        return warning(
            "gate", told, "It must be on a local disk: MOVEWORKS_GATE names another file"
        )
    return ok("gate", f"{place}, from {source}")


def _other_limit(setup: Setup, error: OtherLimit) -> Finding:
    """A command without a rate of its own takes the others'."""
    if setup.rate_named:
        return failed("gate", error)
    return warning("gate", str(error), "Until then commands go on with that limit")


async def journals(_: Setup) -> Finding:
    """Whether a journal can be made here, and whether its locks hold."""
    return await asyncio.to_thread(_directory)  # a disk on the network may be slow, or away


def _directory() -> Finding:
    try:
        here = os.path.realpath(os.getcwd())
    except FileNotFoundError:
        raise InvalidInput(NO_DIRECTORY) from None
    try:
        with tempfile.TemporaryFile(dir=here) as probe:
            probe.write(bytes(_PAGE))
    except OSError as error:
        what = f"no journal can be made in {here}"
        raise refused(JournalError, what, error, written=here) from None
    mode, disk = stat.S_IMODE(Path(here).stat().st_mode), _disk_of(here)
    told = f"{here}, mode {mode:04o}, {f'on a disk of type {disk}' if disk else 'on some disk'}"
    if disk in _NETWORK_DISKS:
        return warning("journals", told, "A journal must lie on a local disk: its locks hold there")
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        return warning("journals", told, f"Others can replace a journal here: chmod o-w {here}")
    return ok("journals", told)


def _disk_of(path: str) -> str | None:
    """The type of the file system, where the system says it."""
    try:
        lines = _MOUNTS.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    found = [line.split()[1:3] for line in lines]
    mounts = [(_ESCAPED.sub(_character, place), disk) for place, disk in found]
    above = [m for m in mounts if path == m[0] or path.startswith(f"{m[0].rstrip('/')}/")]
    # Of two at one place the later one covers the other: so an automounter's disk is found.
    return max(reversed(above), key=lambda mount: len(mount[0]), default=("", None))[1]


def _character(octal: re.Match[str]) -> str:
    return chr(int(octal[1], 8))


async def database(setup: Setup) -> Finding:
    """Whether the database of MOVEWORKS_GATE is there, with our tables and the engine's."""
    url = setup.gate or ""
    if not is_url(url):
        return skipped("database", "MOVEWORKS_GATE names none")
    name = without_password(url)
    async with connected(url) as connection:
        if setup.usable_gate == url and not await may_see_jobs(connection):
            return ok("database", f"this role shares the rate limit of {name}, and may see no jobs")
        if await version_of(connection) is None:
            raise JournalError(
                f"{name} has no tables of this release; make them with: moveworks-shift fleet init"
                f" {name}"
            )
        told = f"{name} has the tables of jobs, version {VERSION}"
        try:
            from ...fleet.tables import check_engine  # noqa: PLC0415 - of the extra `fleet`
        except ImportError:
            return ok("database", f"{told}; workers need: {install('procrastinate')}")
        try:
            await check_engine(connection, url)
        except MoveworksError as error:
            return warning("database", f"{told}; for workers: {error}", "")
    return ok("database", f"{told}, and those of procrastinate")
