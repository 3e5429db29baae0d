"""Packing: decoded once, whole or not at all, bad files named."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image

from cxrbench import cores
from cxrbench.cohort import pack as pack_module
from cxrbench.cohort.pack import LeftOut, Pack, pack
from cxrbench.cohort.table import Cohort, FilePixels, PixelSource
from cxrbench.errors import CohortError, RadiographError
from cxrbench.files import TEMPORARY, UNFINISHED


def image(index: int, size: int) -> npt.NDArray[np.uint8]:
    """Return an image that encodes its row."""
    return ((np.arange(size * size).reshape(size, size) + 7 * index) % 251).astype(np.uint8)


@dataclass
class Memory:
    """Generated pixels; ``bad`` rows cannot be read."""

    bad: Mapping[int, str] = field(default_factory=dict)
    stamp: str = "1"
    reads: list[int] = field(default_factory=list)

    def read(self, index: int, size: int) -> npt.NDArray[np.uint8]:
        self.reads.append(index)
        if index in self.bad:
            raise RadiographError(f"/somewhere/{index}.png", self.bad[index])
        return image(index, size)

    def fingerprint(self) -> str:
        return self.stamp


@dataclass
class Batches(Memory):
    """The same in batches."""

    batches: list[int] = field(default_factory=list)

    def read_batch(self, indices: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.uint8]:
        self.batches.append(len(indices))
        for index in indices.tolist():
            if index in self.bad:
                raise RadiographError("x", "in a batch")
        return np.stack([image(index, size) for index in indices.tolist()])


def table_of(n: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "image_id": [f"{i:03d}" for i in range(n)],
            "patient_id": [f"{i // 2:02d}" for i in range(n)],
            "view": ["PA", None] * (n // 2) + ["AP"] * (n % 2),
            "sex": ["F"] * n,
            "age": [float("nan"), *[float(i) for i in range(1, n)]],
            "source": ["made"] * n,
            "path": [f"images/{i:03d}.png" for i in range(n)],
            "covid": [1.0, float("nan"), *[float(i % 2) for i in range(2, n)]],
            "extra": list(range(n)),
        }
    )


def cohort_of(n: int, pixels: PixelSource | None = None, **changes: object) -> Cohort:
    values: dict[str, object] = {
        "dataset": "made",
        "table": table_of(n),
        "labels": ("covid",),
        "pixels": pixels or Memory(),
        "listed": n,
    }
    return Cohort(**{**values, **changes})  # type: ignore[arg-type]


def visible(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))


def temporaries(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name.startswith(TEMPORARY))


def expected(rows: list[int], size: int) -> npt.NDArray[np.uint8]:
    return np.stack([image(row, size) for row in rows])


def test_pixels_and_table_row_for_row(tmp_path: Path) -> None:
    cohort = cohort_of(9)
    made = pack(cohort, 16, tmp_path)
    np.testing.assert_array_equal(made.pixels, expected(list(range(9)), 16))
    assert isinstance(made.pixels, np.memmap)
    assert not made.pixels.flags.writeable
    pd.testing.assert_frame_equal(made.table, cohort.table, check_dtype=False)
    assert made.table["patient_id"].tolist()[:3] == ["00", "00", "01"]
    assert (made.dataset, made.labels, made.size, len(made), made.left_out) == ("made", ("covid",), 16, 9, ())
    assert made.directory.parent == tmp_path
    assert made.directory.name == f"made-16px-{made.key[:16]}"


def test_more_images_than_a_chunk_keep_their_order(tmp_path: Path) -> None:
    made = pack(cohort_of(600), 4, tmp_path, workers=3)
    np.testing.assert_array_equal(made.pixels, expected(list(range(600)), 4))


def test_numpy_and_people_read_the_files(tmp_path: Path) -> None:
    made = pack(cohort_of(3), 8, tmp_path)
    np.testing.assert_array_equal(np.load(made.directory / "pixels.npy"), made.pixels)
    description = json.loads((made.directory / "pack.json").read_text())
    assert description["shape"] == [3, 8, 8]
    assert description["key"] == made.key
    assert visible(made.directory) == ["pack.json", "pixels.npy", "table.jsonl"]


def test_rows_by_image_id(tmp_path: Path) -> None:
    made = pack(cohort_of(5), 4, tmp_path)
    assert made.rows(["004", "000", "004"]).tolist() == [4, 0, 4]
    assert made.rows([]).dtype == np.int64
    with pytest.raises(CohortError, match="2 images are not in it, first: 4, x"):
        made.rows(["4", "001", "x"])


def test_an_unchanged_cohort_is_not_read_again(tmp_path: Path) -> None:
    first, second = Memory(), Memory()
    made = pack(cohort_of(5, first), 8, tmp_path)
    again = pack(cohort_of(5, second), 8, tmp_path)
    assert (sorted(first.reads), second.reads) == ([0, 1, 2, 3, 4], [])
    assert (again.key, again.content, again.directory) == (made.key, made.content, made.directory)
    np.testing.assert_array_equal(again.pixels, made.pixels)


def changed_table() -> pd.DataFrame:
    table = table_of(4)
    table.loc[1, "covid"] = 0.0
    return table


@pytest.mark.parametrize(
    ("cohort", "size"),
    [
        (cohort_of(4, Memory(stamp="2")), 8),
        (cohort_of(4), 9),
        (cohort_of(4, dataset="other"), 8),
        (cohort_of(4, table=changed_table()), 8),
        (cohort_of(4, table=table_of(4).assign(extra=0.5)), 8),
        (cohort_of(4, labels=("covid", "extra"), table=table_of(4).assign(extra=[0, 1, 0, 1])), 8),
        (cohort_of(4).subset(np.array([True, True, False, True]), "dropped"), 8),
    ],
    ids=["files", "size", "data set", "label value", "column", "labels", "subset"],
)
def test_whatever_the_pack_depends_on_changes_its_key(tmp_path: Path, cohort: Cohort, size: int) -> None:
    base = pack(cohort_of(4), 8, tmp_path)
    other = pack(cohort, size, tmp_path)
    assert other.key != base.key
    assert len(visible(tmp_path)) == 2


class Versioned(Memory):
    reader = "1.0"

    def versions(self) -> Mapping[str, str]:
        return {"reader": self.reader}


def test_another_version_of_the_reader_reads_again_but_equal_pixels_have_equal_content(
    tmp_path: Path,
) -> None:
    first = pack(cohort_of(4, Versioned()), 8, tmp_path)
    newer = Versioned()
    newer.reader = "2.0"
    second = pack(cohort_of(4, newer), 8, tmp_path)
    assert len(newer.reads) == 4
    assert first.key != second.key
    assert first.content == second.content
    assert json.loads((second.directory / "pack.json").read_text())["versions"] == {"reader": "2.0"}
    changed = pack(cohort_of(4, Versioned(), table=changed_table()), 8, tmp_path)
    assert changed.content != first.content


def test_a_subset_of_a_subset_reads_its_own_images(tmp_path: Path) -> None:
    source = Memory()
    cohort = cohort_of(8, source).subset(np.arange(8) % 2 == 1, "even").subset(np.arange(4) > 0, "first")
    made = pack(cohort, 6, tmp_path)
    np.testing.assert_array_equal(made.pixels, expected([3, 5, 7], 6))
    np.testing.assert_array_equal(cohort.pixels.read(1, 6), image(5, 6))
    assert made.table["image_id"].tolist() == ["003", "005", "007"]
    assert sorted(source.reads) == [3, 5, 5, 7]


def test_a_source_of_batches_is_read_in_batches(tmp_path: Path) -> None:
    source = Batches()
    cohort = cohort_of(600, source).subset(np.arange(600) >= 10, "first")
    made = pack(cohort, 4, tmp_path)
    assert source.batches == [256, 256, 78]
    assert source.reads == []
    np.testing.assert_array_equal(made.pixels, expected(list(range(10, 600)), 4))


def test_a_source_says_how_many_it_reads_best_at_once(tmp_path: Path) -> None:
    source = Batches()
    source.batch = 250
    pack(cohort_of(600, source), 4, tmp_path)
    assert source.batches == [250, 250, 100]


def test_progress_counts_every_image(tmp_path: Path) -> None:
    seen: list[int] = []
    pack(cohort_of(5, Memory(bad={2: "x"})), 4, tmp_path, on_bad="leave-out", progress=seen.append)
    assert seen == [1, 1, 1, 1, 1]


# Bad files.


def test_stop_reads_everything_and_names_all_that_is_bad(tmp_path: Path) -> None:
    source = Memory(bad={1: "truncated", 4: "not an image"})
    with pytest.raises(CohortError) as caught:
        pack(cohort_of(6, source), 8, tmp_path)
    assert str(caught.value) == (
        "pack of 'made': 2 of 6 images cannot be read (images/001.png: truncated; images/004.png: not an "
        "image); repair or remove them, or set on_bad to 'leave-out' to go on without them"
    )
    assert sorted(source.reads) == [0, 1, 2, 3, 4, 5]
    assert visible(tmp_path) == []
    assert temporaries(tmp_path) == []


def test_more_than_ten_bad_files_are_counted(tmp_path: Path) -> None:
    source = Memory(bad=dict.fromkeys(range(13), "broken"))
    with pytest.raises(CohortError, match=r"13 of 20 images .*images/009.png: broken and 3 more\)"):
        pack(cohort_of(20, source), 4, tmp_path)


@pytest.mark.parametrize("kind", [Memory, Batches])
def test_leave_out_drops_the_rows_and_lists_them(tmp_path: Path, kind: type[Memory]) -> None:
    cohort = cohort_of(6, kind(bad={0: "truncated", 4: "not an image"}))
    made = pack(cohort, 8, tmp_path, on_bad="leave-out")
    assert made.left_out == (
        LeftOut("000", "images/000.png", "truncated"),
        LeftOut("004", "images/004.png", "not an image"),
    )
    np.testing.assert_array_equal(made.pixels, expected([1, 2, 3, 5], 8))
    assert made.table["image_id"].tolist() == ["001", "002", "003", "005"]
    assert made.rows(["005"]).tolist() == [3]
    again = pack(cohort, 8, tmp_path, on_bad="leave-out")
    assert again.left_out == made.left_out


def test_a_pack_with_images_left_out_is_not_given_to_one_who_wants_to_stop(tmp_path: Path) -> None:
    cohort = cohort_of(4, Memory(bad={2: "truncated"}))
    made = pack(cohort, 8, tmp_path, on_bad="leave-out")
    with pytest.raises(CohortError, match=f"images/002.png: truncated.*noted in {made.directory}"):
        pack(cohort, 8, tmp_path, on_bad="stop")


def test_a_cohort_of_bad_files_only_is_an_error_either_way(tmp_path: Path) -> None:
    with pytest.raises(
        CohortError, match=r"2 of 2 images cannot be read.*check that the folder is the right one"
    ):
        pack(cohort_of(2, Memory(bad={0: "x", 1: "y"})), 4, tmp_path, on_bad="leave-out")
    assert visible(tmp_path) == []


def test_a_file_that_vanished_is_a_bad_file(tmp_path: Path) -> None:
    class Gone(Memory):
        def read(self, index: int, size: int) -> npt.NDArray[np.uint8]:
            if index == 1:
                raise FileNotFoundError(2, "No such file or directory", "/somewhere/1.png")
            return super().read(index, size)

    made = pack(cohort_of(3, Gone()), 4, tmp_path, on_bad="leave-out")
    assert made.left_out == (LeftOut("001", "images/001.png", "No such file or directory"),)


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 5), np.uint8), np.zeros((4, 4), np.float32), np.zeros((1, 4, 4), np.uint8)]
)
def test_a_source_that_gives_another_shape_or_type_is_refused(
    tmp_path: Path, wrong: npt.NDArray[np.uint8]
) -> None:
    class Wrong(Memory):
        def read(self, index: int, size: int) -> npt.NDArray[np.uint8]:  # noqa: ARG002
            return wrong

    with pytest.raises(CohortError, match="fault of the data set's adapter"):
        pack(cohort_of(3, Wrong()), 4, tmp_path)
    assert visible(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "match"), [({"size": 0}, "at least 1 pixel"), ({"on_bad": "skip"}, "'skip'")]
)
def test_wrong_arguments(tmp_path: Path, arguments: dict[str, object], match: str) -> None:
    with pytest.raises(CohortError, match=match):
        pack(cohort_of(2), **{"size": 4, "directory": tmp_path, **arguments})  # type: ignore[arg-type]


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        CohortError, match=r"file: the packed images cannot be written \(.*\); they need 1 MiB"
    ):
        pack(cohort_of(64), 128, tmp_path / "file")


# Never half a pack.


def test_ctrl_c_leaves_no_pack_and_the_next_call_goes_on(tmp_path: Path) -> None:
    class Stopped(Memory):
        def read(self, index: int, size: int) -> npt.NDArray[np.uint8]:
            if index == 300:
                raise KeyboardInterrupt
            return super().read(index, size)

    with pytest.raises(KeyboardInterrupt):
        pack(cohort_of(400, Stopped()), 4, tmp_path)
    assert visible(tmp_path) == []
    assert temporaries(tmp_path) == []
    source = Memory()
    made = pack(cohort_of(400, source), 4, tmp_path)
    np.testing.assert_array_equal(made.pixels, expected(list(range(400)), 4))
    assert sorted(source.reads) == list(range(300, 400))


BAD = {7: "truncated", 120: "not an image"}

KILLED = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_pack as t
from cxrbench.cohort.pack import pack

at, workers = int(sys.argv[2]), int(sys.argv[3])

class Killed(t.Memory):
    def read(self, index, size):
        if index == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(index, size)

writes = 0
def fsync(handle):
    global writes
    writes += 1
    if writes == -at:
        os.kill(os.getpid(), signal.SIGKILL)

os.fsync = fsync
pack(t.cohort_of(400, Killed(bad=t.BAD)), 4, sys.argv[1], on_bad="leave-out", workers=workers)
"""


def killed(folder: Path, at: int, workers: int = 1) -> int:
    """Make a pack of 400 images in a process that is killed when it reads image ``at``, or at write -``at``.

    Returns what the process ended with.
    """
    command = [sys.executable, "-c", KILLED, str(folder), str(at), str(workers)]
    done = subprocess.run(command, check=False, capture_output=True)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
    return done.returncode


@pytest.fixture(scope="module")
def in_one_go(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the files of the pack of 400 images that nobody disturbs."""
    made = pack(cohort_of(400, Memory(bad=BAD)), 4, tmp_path_factory.mktemp("whole"), on_bad="leave-out")
    return files_of(made)


def files_of(made: Pack) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in made.directory.iterdir() if path.name != "checked"}


def gone_on(folder: Path, **changes: object) -> tuple[dict[str, bytes], list[int]]:
    """Make the pack of 400 images, and return its files and the images that were read."""
    source = Memory(bad=BAD, **changes)
    made = pack(cohort_of(400, source), 4, folder, on_bad="leave-out", workers=1)
    assert unfinished(folder) == temporaries(folder) == []
    return files_of(made), source.reads


def unfinished(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.startswith(UNFINISHED)]


@pytest.mark.parametrize("at", [0, 1, 8, 121, 399])
def test_a_killed_pack_goes_on_with_what_is_missing_and_becomes_the_same(
    tmp_path: Path, in_one_go: dict[str, bytes], at: int
) -> None:
    assert killed(tmp_path, at) == -signal.SIGKILL
    assert visible(tmp_path) == []
    files, read = gone_on(tmp_path)
    assert files == in_one_go
    assert read == list(range(at, 400))


def test_a_pack_is_killed_again_and_again(tmp_path: Path, in_one_go: dict[str, bytes]) -> None:
    for at in (50, 200, 350):
        killed(tmp_path, at, workers=3)
        assert visible(tmp_path) == []
    files, read = gone_on(tmp_path)
    assert files == in_one_go
    # Those that were read ahead when the process was killed are read again.
    assert read == list(range(read[0], 400))
    assert 350 - 3 * cores._AHEAD <= read[0] <= 350


def test_a_pack_that_is_killed_at_any_of_its_writes_is_whole_or_goes_on(
    tmp_path: Path, in_one_go: dict[str, bytes]
) -> None:
    write = 1
    while killed(tmp_path / str(write), -write):
        folder = tmp_path / str(write)
        files, read = gone_on(folder)
        assert files == in_one_go
        assert read == []
        write += 1
    assert write > 5


def damaged_pixel(folder: Path) -> None:
    changed(folder / "pack" / "pixels.npy", at=128 + 16 * 90)


def damaged_row(folder: Path) -> None:
    # Two of those before had no pixels, and image 120 was one: its reason comes to be another.
    changed(folder / "rows.jsonl", old=b"not an image", new=b"not my image")


def cut(name: str, count: int) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-count])


def longer(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes() + b"[[[[nonsense\0\xff\n")


@pytest.mark.parametrize(
    ("damage", "first"),
    [
        (damaged_pixel, 91),
        (damaged_row, 120),
        (cut("rows.jsonl", 1), 199),
        (cut("rows.jsonl", 100), 198),
        (cut("pack/pixels.npy", 1), 199),
        (longer("rows.jsonl"), 200),
        (longer("pack/pixels.npy"), 200),
        (lambda folder: (folder / "rows.jsonl").unlink(), 0),
        (lambda folder: (folder / "pack" / "pixels.npy").unlink(), 0),
        (lambda folder: (folder / "pack" / "table.jsonl").write_text("of another"), 200),
        (lambda folder: (folder / "pack" / ".partial-1-1-1").mkdir(), 200),
    ],
)
def test_a_pack_goes_on_before_what_was_damaged(
    tmp_path: Path, in_one_go: dict[str, bytes], damage: Callable[[Path], None], first: int
) -> None:
    killed(tmp_path, 200)
    (folder,) = unfinished(tmp_path)
    damage(folder)
    files, read = gone_on(tmp_path)
    assert files == in_one_go
    assert read == list(range(first, 400))


def test_a_changed_file_or_another_size_begins_anew(tmp_path: Path) -> None:
    killed(tmp_path, 200)
    (before,) = unfinished(tmp_path)
    source = Memory(bad=BAD, stamp="2")
    pack(cohort_of(400, source), 4, tmp_path, on_bad="leave-out")
    assert sorted(source.reads) == list(range(400))
    source = Memory(bad=BAD)
    pack(cohort_of(400, source), 5, tmp_path, on_bad="leave-out")
    assert sorted(source.reads) == list(range(400))
    assert unfinished(tmp_path) == [before]


def test_what_goes_on_is_reported_and_counted(tmp_path: Path) -> None:
    killed(tmp_path, 200)
    said: list[str] = []
    counted: list[int] = []
    made = pack(
        cohort_of(400, Memory(bad=BAD)),
        4,
        tmp_path,
        on_bad="leave-out",
        progress=counted.append,
        say=said.append,
    )
    assert said == [f"{made.directory}: 200 of 400 images had been read before"]
    assert counted == [200, *[1] * 200]


def test_bad_files_of_a_pack_that_was_stopped_are_named_and_read_again_when_repaired(tmp_path: Path) -> None:
    killed(tmp_path, 200)
    with pytest.raises(
        CohortError, match=r"2 of 400 images .*007.png: truncated; images/120.png: not an image"
    ):
        pack(cohort_of(400, Memory(bad=BAD)), 4, tmp_path)
    assert unfinished(tmp_path) == []
    assert len(pack(cohort_of(400), 4, tmp_path)) == 400


def test_a_disk_that_is_full_leaves_what_was_read(tmp_path: Path, in_one_go: dict[str, bytes]) -> None:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    other = pack(cohort_of(9), 4, tmp_path)
    # No file may become longer: a write is cut short, and the next one refused.
    resource.setrlimit(resource.RLIMIT_FSIZE, (128 + 16 * 100 + 7, limits[1]))
    try:
        with pytest.raises(CohortError, match=r"the packed images cannot be written \(.*\); they need 1 MiB"):
            pack(cohort_of(400, Memory(bad=BAD)), 4, tmp_path, on_bad="leave-out", workers=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert visible(tmp_path) == [other.directory.name]
    files, read = gone_on(tmp_path)
    assert files == in_one_go
    assert read[0] > 10


def test_what_a_process_left_that_was_killed_when_it_had_just_finished_is_removed(tmp_path: Path) -> None:
    made = pack(cohort_of(6), 4, tmp_path)
    (tmp_path / f"{UNFINISHED}{made.directory.name}").mkdir()
    pack(cohort_of(6), 4, tmp_path)
    assert unfinished(tmp_path) == []


@pytest.mark.parametrize("name", ["pixels.npy", "table.jsonl", "pack.json"])
@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_damaged_pack_is_made_again(tmp_path: Path, name: str, damage: str) -> None:
    made = pack(cohort_of(6), 8, tmp_path)
    whole = {p.name: p.read_bytes() for p in made.directory.iterdir()}
    file = made.directory / name
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-20])
    again = pack(cohort_of(6), 8, tmp_path)
    assert {p.name: p.read_bytes() for p in again.directory.iterdir()} == whole


def test_packing_the_same_twice_at_once_decodes_once(tmp_path: Path) -> None:
    both = threading.Barrier(2)
    sources = [Memory(), Memory()]

    def work(source: Memory) -> Pack:
        both.wait()
        return pack(cohort_of(300, source), 8, tmp_path)

    with ThreadPoolExecutor(2) as pool:
        packs = list(pool.map(work, sources))
    assert sorted(len(s.reads) for s in sources) == [0, 300]
    for made in packs:
        np.testing.assert_array_equal(made.pixels, expected(list(range(300)), 8))
    assert len(visible(tmp_path)) == 1
    assert temporaries(tmp_path) == []


# Cohorts of files.


def test_a_cohort_of_files_records_what_read_them(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    table = table_of(3)
    for path in table["path"]:
        (tmp_path / path).write_bytes(b"not an image")
    pixels = FilePixels(tmp_path, tuple(table["path"]))
    versions = pixels.versions()
    assert len(versions["cxrbench.radiograph"]) == 64
    assert set(versions) >= {"pillow", "pydicom"}
    with pytest.raises(CohortError, match=r"3 of 3 images cannot be read \(images/000.png: "):
        pack(cohort_of(3, pixels), 8, tmp_path / "packs")


def films(folder: Path, count: int) -> Cohort:
    """Return a cohort of PNG files, of which the 50th is none."""
    (folder / "images").mkdir(parents=True)
    table = table_of(count)
    for number, path in enumerate(table["path"]):
        Image.fromarray(image(number, 24)).save(folder / path)
    (folder / table["path"][50]).write_bytes(b"not an image")
    return cohort_of(count, FilePixels(folder, tuple(table["path"])))


def test_processes_make_the_same_pack_as_threads_and_as_one_core(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = films(tmp_path / "films", 150)
    alone = pack(cohort, 16, tmp_path / "alone", on_bad="leave-out", workers=1)
    threads = pack(cohort, 16, tmp_path / "threads", on_bad="leave-out", workers=2)
    monkeypatch.setattr(cores, "SAMPLE", 0.0)
    monkeypatch.setattr(cores, "WORTH", 0.0)
    monkeypatch.setattr(cores, "_AHEAD", 1)
    started = cores._Processes.begun
    monkeypatch.setattr(
        cores._Processes, "begun", lambda processes: bool(wait(processes._first)) and started(processes)
    )
    used: list[int] = []
    done = cores._Processes.do
    monkeypatch.setattr(
        cores._Processes, "do", lambda processes, some: used.append(len(some)) or done(processes, some)
    )
    processes = pack(cohort, 16, tmp_path / "processes", on_bad="leave-out", workers=2)
    assert sum(used) > 100
    for other in (threads, processes):
        assert {path.name: path.read_bytes() for path in other.directory.iterdir()} == {
            path.name: path.read_bytes() for path in alone.directory.iterdir()
        }
    assert [left.image_id for left in alone.left_out] == ["050"]


def test_touching_a_file_changes_the_key_and_moving_the_folder_does_not(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.png").write_bytes(b"1")
    os.utime(tmp_path / "a" / "x.png", ns=(1, 1))
    os.utime(tmp_path / "b" / "x.png", ns=(1, 1))
    prints = [FilePixels(tmp_path / folder, ("x.png",)).fingerprint() for folder in ("a", "b")]
    assert prints[0] == prints[1]
    (tmp_path / "b" / "x.png").write_bytes(b"2")
    assert FilePixels(tmp_path / "b", ("x.png",)).fingerprint() != prints[0]


# Never a pack that was changed.


def changed(path: Path, at: int | None = None, old: bytes = b"", new: bytes = b"") -> None:
    """Flip the lowest bit of the byte ``at``, or replace ``old``, without a trace in size and time."""
    stat = path.stat()
    content = bytearray(path.read_bytes())
    if at is not None:
        content[at] ^= 1
    path.write_bytes(bytes(content).replace(old, new) if old else bytes(content))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


CHANGES: dict[str, tuple[str, dict[str, object]]] = {
    "a pixel": ("pixels.npy", {"at": -1}),
    "the header": ("pixels.npy", {"at": 20}),
    "a label": ("table.jsonl", {"old": b"1.0", "new": b"0.0"}),
    "the content": ("pack.json", {"old": b'"content": "', "new": b'"content": "0'}),
    "the data set": ("pack.json", {"old": b'"made"', "new": b'"mode"'}),
}


@pytest.mark.parametrize("large", [pack_module.LARGE, 0])
@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_pack_is_made_again_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, large: int
) -> None:
    monkeypatch.setattr(pack_module, "LARGE", large)
    said: list[str] = []
    first = pack(cohort_of(6), 4, tmp_path, say=said.append)
    before = {path.name: path.read_bytes() for path in first.directory.glob("*.*")}
    assert said == []
    file, change = CHANGES[what]
    changed(first.directory / file, **change)  # type: ignore[arg-type]
    assert (first.directory / file).read_bytes() != before[file]
    again = pack(cohort_of(6), 4, tmp_path, say=said.append)
    assert said == [
        f"{first.directory}: the pack was damaged or changed after it was written; it is made again"
    ]
    assert {path.name: path.read_bytes() for path in again.directory.glob("*.*")} == before


def test_a_large_pack_that_did_not_change_is_hashed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack_module, "LARGE", 0)
    made = pack(cohort_of(6), 4, tmp_path)
    # Too fresh: a change in the same moment would not show.
    assert not (made.directory / "checked").exists()
    now = time.time()
    monkeypatch.setattr(pack_module, "time", SimpleNamespace(time=lambda: now + 10))
    pack(cohort_of(6), 4, tmp_path)
    assert (made.directory / "checked").exists()
    opened: list[Path] = []
    header = pack_module.npy_header
    monkeypatch.setattr(pack_module, "npy_header", lambda shape: opened.append(shape) or header(shape))
    pack(cohort_of(6), 4, tmp_path)
    assert opened == []
    # A byte changed, and the time of the last change set back: found by the time that cannot be.
    changed(made.directory / "pixels.npy", at=-1)
    said: list[str] = []
    again = pack(cohort_of(6), 4, tmp_path, say=said.append)
    assert len(said) == 1
    np.testing.assert_array_equal(again.pixels, expected(list(range(6)), 4))
