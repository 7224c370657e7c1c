"""New files: whole or not there, all or none, and nothing left beside them."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from moveworks_shift_async.errors import InvalidInput, JournalError, NotSent
from moveworks_shift_async.storage import atomic
from moveworks_shift_async.storage.atomic import new_files

UNNAMED = atomic._nameless(Path("/tmp")) is not None  # noqa: S108 - a look at what it can do


@pytest.fixture(params=["unnamed", "named"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the two ways; the second is for disks that have no files without a name."""
    if request.param == "named":
        monkeypatch.setattr(atomic, "_nameless", lambda folder: None)
    elif not UNNAMED:
        pytest.skip("this system has no files without a name")
    return str(request.param)


def write(*paths: Path, stop: threading.Event | None = None) -> None:
    """A word into each of these."""
    with new_files([*map(str, paths)], stop) as files:
        for file in files:
            file.write(b"whole")


@pytest.mark.usefixtures("way")
def test_files_are_whole_and_for_their_owner(tmp_path: Path) -> None:
    """Nothing else is left, and nobody else may read them."""
    previous = os.umask(0)
    try:
        write(tmp_path / "one", tmp_path / "two")
    finally:
        os.umask(previous)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "one": b"whole", "two": b"whole",
    }  # fmt: skip
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o600


@pytest.mark.usefixtures("way")
def test_an_existing_file_is_left_as_it_is(tmp_path: Path) -> None:
    """Not even a link that leads nowhere is replaced, and the other file is not written."""
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "link").symlink_to("nowhere")
    for taken in ("mine", "link"):
        with pytest.raises(InvalidInput, match=f"{taken} is there already and was left as it is"):
            write(tmp_path / "other", tmp_path / taken)
    assert (tmp_path / "mine").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "link"}


@pytest.mark.usefixtures("way")
def test_a_name_that_is_taken_meanwhile_is_left_as_it_is(tmp_path: Path) -> None:
    """Then none of the files stands there, the one before it neither."""
    first, late = tmp_path / "first", tmp_path / "late"
    taken = pytest.raises(InvalidInput, match="late is there already")
    with taken, new_files([str(first), str(late)]) as files:
        files[0].write(b"ours")
        late.write_text("theirs")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"late": "theirs"}


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, os.strerror(28))])
def test_an_interrupted_write_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    """Neither at its name nor beside it."""
    wanted = JournalError if isinstance(error, OSError) else KeyboardInterrupt

    def broken() -> None:
        with new_files([str(tmp_path / "out")]) as (file,):
            file.write(b"half")
            raise error

    with pytest.raises(wanted):
        broken()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("way")
def test_a_writing_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    """Also when it is asked for at the very end."""
    stop = threading.Event()
    stop.set()
    with pytest.raises(NotSent, match="was stopped; nothing was written"):
        write(tmp_path / "one", tmp_path / "two", stop=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("way")
def test_a_name_may_be_as_long_as_a_name_can_be(tmp_path: Path) -> None:
    """The name that a file has meanwhile is not longer; what is too long is told first."""
    write(tmp_path / ("x" * 255))
    assert [path.name for path in tmp_path.iterdir()] == ["x" * 255]
    with pytest.raises(JournalError, match="cannot be written: File name too long"):
        write(tmp_path / "other", tmp_path / ("x" * 256))
    assert len([*tmp_path.iterdir()]) == 1


@pytest.mark.usefixtures("way")
def test_what_can_be_no_file_is_told_before_anything_is_written(tmp_path: Path) -> None:
    """No such folder, no folder at all, no name."""
    (tmp_path / "file").write_text("")
    for path, why in (
        (f"{tmp_path}/none/out", "cannot be written: No such file or directory"),
        (f"{tmp_path}/file/out", "cannot be written: Not a directory"),
        (f"{tmp_path}/out/", "is no name of a file"),
        ("", "an empty name is no name of a file"),
    ):
        with pytest.raises(NotSent, match=why), new_files([f"{tmp_path}/good", path]):
            pytest.fail("nothing is to be written")
    assert {path.name for path in tmp_path.iterdir()} == {"file"}


def test_a_folder_that_was_deleted_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The current one may be gone."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(JournalError, match="out cannot be written: No such file or directory"):
        write(Path("out"))


def test_a_disk_without_links_gets_the_file_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it is renamed; and even then nothing is overwritten."""

    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(atomic, "_nameless", lambda folder: None)
    monkeypatch.setattr(os, "link", no_links)
    write(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out").read_bytes() == b"whole"
    taken = pytest.raises(InvalidInput, match="late is there already")
    with taken, new_files([str(tmp_path / "late")]):
        (tmp_path / "late").write_text("theirs")
    assert (tmp_path / "late").read_text() == "theirs"


def test_where_open_files_cannot_be_seen_they_have_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container may have no /proc."""
    monkeypatch.setattr(atomic, "_OPEN_FILES", str(tmp_path / "no-proc"))
    (tmp_path / "here").mkdir()
    with new_files([str(tmp_path / "here" / "out")]):
        assert [path.name[:17] for path in (tmp_path / "here").iterdir()] == [".moveworks-shift-"]
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["out"]


@pytest.mark.skipif(not UNNAMED, reason="this system has no files without a name")
def test_a_process_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    """The process is the subject: whatever it had written is gone with it."""
    code = (
        "import sys, time\n"
        "from moveworks_shift_async.storage.atomic import new_files\n"
        "with new_files([sys.argv[1]]) as (file,):\n"
        "    file.write(b'ann@example.com' * 100_000)\n"
        "    file.flush()\n"
        "    print('written', flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "out")], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        process.send_signal(signal.SIGKILL)
    assert list(tmp_path.iterdir()) == []
