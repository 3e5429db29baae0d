"""Atomic files and folders, canonical JSON, keys."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbench.files import (
    TEMPORARY,
    atomic_directory,
    atomic_path,
    canonical_json,
    digest,
    file_sha256,
    read_file,
    source_digest,
    sweep,
    write_bytes_atomic,
    write_text_atomic,
)


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_or_a_device_is_refused_before_it_is_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        for read in (read_file, file_sha256):
            with pytest.raises(OSError, match="a pipe or a device") as caught:
                read(path)
            assert caught.value.filename == str(path)


def test_text_is_written_as_utf8_with_its_newlines_into_folders_that_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "x.txt"
    write_text_atomic(path, "é\r\n\n")
    assert path.read_bytes() == b"\xc3\xa9\r\n\n"
    assert names(path.parent) == ["x.txt"]


def test_bytes_replace_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_bytes_atomic(path, b"long old content")
    write_bytes_atomic(path, b"new")
    assert path.read_bytes() == b"new"


def test_the_temporary_path_lies_in_a_neighbouring_folder_and_keeps_the_name(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "w.npy") as temporary:
        assert temporary.name == "w.npy"
        assert temporary.parent.parent == tmp_path
        assert temporary.parent.name.startswith(TEMPORARY)
        np.save(temporary, np.arange(3))
    assert np.load(tmp_path / "w.npy").tolist() == [0, 1, 2]


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # Open for both ends, so that neither waits for the other.
    both = os.open(pipe, os.O_RDWR)
    write_text_atomic(pipe, "a summary\n")
    assert os.read(both, 100) == b"a summary\n"
    os.close(both)
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="no /dev/stdout")
def test_what_goes_to_standard_output_stands_between_the_text_before_and_after(tmp_path: Path) -> None:
    program = (
        "from cxrbench.files import write_text_atomic\n"
        "print('before'); write_text_atomic('/dev/stdout', 'summary\\n'); print('after')\n"
    )
    with (tmp_path / "out").open("w") as out:
        subprocess.run([sys.executable, "-c", program], stdout=out, check=True)
    assert (tmp_path / "out").read_text() == "before\nsummary\nafter\n"
    assert Path("/dev/stdout").is_symlink()


def test_an_exception_while_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def write() -> None:
        with atomic_path(path) as temporary:
            temporary.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["x"]


def test_a_block_that_writes_nothing_is_an_error_and_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    with pytest.raises(FileNotFoundError), atomic_path(path):
        pass
    assert path.read_bytes() == b"old"


def test_the_file_gets_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    write_bytes_atomic(tmp_path / "atomic", b"")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    final = tmp_path / "key"
    with atomic_directory(final) as temporary:
        (temporary / "a").write_text("1")
        (temporary / "sub").mkdir()
        (temporary / "sub" / "b").write_text("2")
        assert not final.exists()
    assert (final / "sub" / "b").read_text() == "2"
    assert names(tmp_path) == ["key"]


def test_a_folder_that_failed_leaves_nothing(tmp_path: Path) -> None:
    def write() -> None:
        with atomic_directory(tmp_path / "key") as temporary:
            (temporary / "a").write_text("1")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write()
    assert names(tmp_path) == []


def test_the_first_of_two_who_make_the_same_folder_stays(tmp_path: Path) -> None:
    final = tmp_path / "key"
    with atomic_directory(final) as ours:
        (ours / "a").write_text("ours")
        with atomic_directory(final) as theirs:
            (theirs / "a").write_text("theirs")
    assert (final / "a").read_text() == "theirs"
    assert names(tmp_path) == ["key"]


def test_a_folder_cannot_take_the_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a file")
    with pytest.raises(OSError, match="key"), atomic_directory(tmp_path / "key") as temporary:
        (temporary / "a").write_text("1")
    assert (tmp_path / "key").read_text() == "a file"
    assert names(tmp_path) == ["key"]


def test_a_killed_process_leaves_only_a_temporary_name(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from cxrbench.files import atomic_path\n"
        "with atomic_path(sys.argv[1]) as t:\n"
        "    t.write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "x")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [n.startswith(TEMPORARY) for n in names(tmp_path)] == [True]


def leftover_of_a_killed_process(folder: Path) -> Path:
    """Have a process killed while it writes into ``folder``, and return what it leaves."""
    code = (
        "import os, signal, sys\n"
        "from cxrbench.files import atomic_path\n"
        "with atomic_path(sys.argv[1]) as t:\n"
        "    t.write_bytes(b'half')\n"
        "    t.with_name('.tmp-of-a-library').write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(folder / "x")], check=False)
    (left,) = folder.glob(f"{TEMPORARY}*")
    return left


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    left = leftover_of_a_killed_process(tmp_path / "a" / "b")
    assert names(left) == [".tmp-of-a-library", "x"]
    (tmp_path / "a" / "kept.txt").write_text("kept")
    sweep(tmp_path)
    assert names(tmp_path / "a") == ["b", "kept.txt"]
    assert names(tmp_path / "a" / "b") == []


def test_what_is_being_written_is_not_swept(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "x") as ours, atomic_directory(tmp_path / "y") as other:
        ours.write_bytes(b"half")
        sweep(tmp_path)
        assert ours.exists()
        assert other.exists()
    assert names(tmp_path) == ["x", "y"]


def test_another_process_that_is_alive_is_left_to_write(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from cxrbench.files import atomic_path\n"
        "with atomic_path(sys.argv[1]) as t:\n"
        "    t.write_bytes(b'whole')\n"
        "    print('writing', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "x")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        sweep(tmp_path)
        writer.communicate()
    assert names(tmp_path) == ["x"]


def test_what_another_machine_left_is_swept_after_a_day(tmp_path: Path) -> None:
    left = tmp_path / f"{TEMPORARY}0000feed-1-00000000"
    left.mkdir()
    (left / "x").write_bytes(b"half")
    sweep(tmp_path)
    assert left.exists()
    yesterday = time.time() - 2 * 24 * 60 * 60
    os.utime(left, (yesterday, yesterday))
    # The file in it is still being written.
    sweep(tmp_path)
    assert left.exists()
    os.utime(left / "x", (yesterday, yesterday))
    sweep(tmp_path)
    assert not left.exists()


@dataclass(frozen=True)
class Point:
    x: float
    tags: frozenset[str]


def test_canonical_json_of_the_types_that_keys_are_made_of() -> None:
    value = {
        "b": Point(np.float64(0.5), frozenset({"z", "a"})),
        "a": (1, np.int64(2), True, None, Path("x") / "y"),
        "c": MappingProxyType({"é": np.array([[1, 2]], dtype=np.uint8)}),
    }
    assert canonical_json(value) == (
        '{"a":[1,2,true,null,"x/y"],"b":{"tags":["a","z"],"x":0.5},"c":{"\\u00e9":[[1,2]]}}'
    )


def test_digest_is_the_sha256_of_the_canonical_text() -> None:
    # printf '{"a":1}' | sha256sum
    assert digest({"a": 1}) == "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"


@given(
    st.dictionaries(
        st.text(), st.one_of(st.integers(), st.text(), st.floats(allow_nan=False, allow_infinity=False))
    )
)
def test_digest_does_not_depend_on_the_order_of_keys(value: dict[str, object]) -> None:
    assert digest(value) == digest(dict(reversed(value.items())))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.array([np.nan])])
def test_numbers_without_json_text_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"a": value})


@pytest.mark.parametrize(
    ("value", "match"), [({1: 2}, "key must be a string"), ({"a": b"x"}, "bytes"), (object(), "object")]
)
def test_values_that_have_no_one_text_are_refused(value: object, match: str) -> None:
    with pytest.raises(TypeError, match=match):
        canonical_json(value)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "digested"
    (folder / "sub").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('must not be imported')")
    (folder / "sub" / "a.py").write_text("x = 1\n")
    (tmp_path / "single_module.py").write_text("y = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def test_source_digest_changes_with_any_source_below_and_with_names_only(package: Path) -> None:
    first = source_digest("digested", "single_module")
    assert len(first) == 64
    assert source_digest("single_module", "digested", "digested") == first
    (package / "data.txt").write_text("not a source")
    assert source_digest("digested", "single_module") == first
    (package / "sub" / "a.py").write_text("x = 2\n")
    second = source_digest("digested", "single_module")
    (package / "sub" / "a.py").rename(package / "sub" / "b.py")
    third = source_digest("digested", "single_module")
    (package.parent / "single_module.py").write_text("y = 2\n")
    assert len({first, second, third, source_digest("digested", "single_module")}) == 4


def test_source_digest_of_nothing_is_refused() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module_here"):
        source_digest("no_such_module_here")
