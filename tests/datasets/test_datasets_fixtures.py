"""The generator makes exactly the trees that are in the repository."""

import gzip
import importlib
from pathlib import Path

import numpy as np
import pydicom
import pytest

from cxrbench.datasets.folder import IMAGE_SUFFIXES
from cxrbench.radiograph import read

LOSSY = (".jpg", ".jpeg", ".dcm")
FIXTURES = Path(__file__).parents[2] / "fixtures"
TREES = sorted(
    {path.relative_to(FIXTURES).parts[0] for path in FIXTURES.glob("*/*")} - {"reference", "__pycache__"}
)


def files(root):
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("fixtures")
    with pytest.MonkeyPatch.context() as patch:
        # The script's own folder is on the path when it runs.
        patch.syspath_prepend(FIXTURES)
        importlib.import_module("make_fixtures").make_all(root)
    return root


@pytest.mark.parametrize("tree", TREES)
def test_the_generator_makes_the_files_that_are_in_the_repository(tree, made, fixtures):
    assert files(made / tree) == files(fixtures / tree)


@pytest.mark.parametrize("tree", TREES)
def test_their_contents_are_the_same(tree, made, fixtures):
    for name in files(made / tree):
        ours, theirs = made / tree / name, fixtures / tree / name
        if ours.suffix == ".gz":
            assert gzip.decompress(ours.read_bytes()) == gzip.decompress(theirs.read_bytes()), name
            continue
        if ours.suffix not in IMAGE_SUFFIXES:
            assert ours.read_bytes() == theirs.read_bytes(), name
            continue
        # Another release of an encoder may choose other bytes for the same picture.
        difference = read(ours).astype(int) - read(theirs)
        assert np.abs(difference).max() <= (4 if ours.suffix in LOSSY else 0), name
        if ours.suffix == ".dcm":
            headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in (ours, theirs)]
            assert headers[0].to_json_dict() == headers[1].to_json_dict()


def test_they_are_small(fixtures):
    sizes = [path.stat().st_size for tree in TREES for path in (fixtures / tree).rglob("*") if path.is_file()]
    assert sum(sizes) < 300_000


def test_every_image_but_the_lists_is_used_by_a_label_file_or_folder(fixtures):
    assert len(files(fixtures / "chestxray14")) == 16 + 3
    assert len(files(fixtures / "rsna-pneumonia")) == 8 + 2
    assert len(files(fixtures / "kermany")) == 14
