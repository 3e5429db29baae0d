"""A disk that is full or read-only: one line, nothing lost, and a finished study needs no writing."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from cxrbench import files
from cxrbench.errors import CxrbenchError


def refuse(monkeypatch, number, refused):
    """Have writing the files fail whose path ``refused`` names."""
    temporary = files._temporary

    @contextmanager
    def full(final):
        with temporary(final) as path:
            if refused(Path(final)):
                raise OSError(number, os.strerror(number))
            yield path

    monkeypatch.setattr(files, "_temporary", full)


def test_a_finished_study_is_read_on_a_read_only_disk(tiny, run_tiny, monkeypatch):
    # Others may have run the shared study with other seeds since.
    first = run_tiny(tiny.profile, tiny.out, ("control", "findings"))
    before = {path: path.stat().st_mtime_ns for path in tiny.out.rglob("*") if path.is_file()}
    refuse(monkeypatch, errno.EROFS, lambda _: True)
    monkeypatch.setattr(FileLock, "acquire", lambda *_, **__: pytest.fail("nothing is to be locked"))
    again = run_tiny(tiny.profile, tiny.out, ("control", "findings"))
    assert again.schemes == first.schemes
    assert {path: path.stat().st_mtime_ns for path in tiny.out.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_write_that_fails_is_one_line_with_the_file(tiny_profile, tmp_path, run_tiny, monkeypatch, number):
    refuse(monkeypatch, number, lambda path: path.parent.name == "splits")
    with pytest.raises(CxrbenchError) as raised:
        run_tiny(tiny_profile, tmp_path, ("control",))
    said = str(raised.value)
    assert said.startswith(f"{tmp_path / 'splits'}{os.sep}covid-")
    assert os.strerror(number) in said
    assert "MiB are free" in said
    assert "\n" not in said


WRITTEN = (
    "splits/*.csv",
    "audits/*.json",
    "stages/*/stage.json",
    "stages/*/last.safetensors",
    "stages/*/best.safetensors",
    "stages/*/done.json",
    "predictions/*/validation/control.csv",
    "predictions/*/test/control.json",
    "results.json",
    "trace.json",
)


@pytest.mark.slow
def test_after_every_write_that_failed_the_study_goes_on(tiny, tiny_profile, tmp_path, run_tiny, monkeypatch):
    for pattern in WRITTEN:
        with monkeypatch.context() as patch:
            refuse(patch, errno.ENOSPC, lambda path, pattern=pattern: path.match(pattern))
            with pytest.raises(CxrbenchError) as raised:
                run_tiny(tiny_profile, tmp_path, ("control",))
        said = str(raised.value)
        assert str(tmp_path / pattern.partition("/")[0]) in said
        assert os.strerror(errno.ENOSPC) in said
        assert "\n" not in said
        assert not list(tmp_path.rglob(f"{files.TEMPORARY}*"))
    results = run_tiny(tiny_profile, tmp_path, ("control",))
    assert results.scheme("control").seeds[0].sha256 == tiny.results.scheme("control").seeds[0].sha256
