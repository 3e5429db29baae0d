"""The small synthetic data sets of ``fixtures/``, read-only or as a copy to break."""

import shutil
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture
def fixtures():
    return FIXTURES


@pytest.fixture
def copied(tmp_path):
    """Return a function that copies one of the fixtures to a folder of the test's own."""

    def copy(name):
        return Path(shutil.copytree(FIXTURES / name, tmp_path / Path(name).name))

    return copy


@pytest.fixture
def edited():
    """Return a function that replaces a text in a file, which must be in it."""

    def edit(path, old, new):
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    return edit
