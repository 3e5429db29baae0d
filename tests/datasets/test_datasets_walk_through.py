"""The example of the documentation is a data set: it loads what the one that ships loads."""

import re
from pathlib import Path

import pytest

from cxrbench.datasets import adapter, discover, load, registry

PAGE = Path(__file__).parents[2] / "docs" / "data.md"
NAME = "tuberculosis-in-short"


@pytest.fixture
def added(monkeypatch):
    """Run the page's module, as a user's package would be imported."""
    # Imported before the registry is replaced: a module registers its data set once.
    adapter("nlm-tuberculosis")
    for shipped in registry._SHIPPED:
        registry.adapter(shipped)  # What is imported from here on would be forgotten with the test.
    monkeypatch.setattr(registry, "_adapters", dict(registry._adapters))
    section = PAGE.read_text(encoding="utf-8").partition("## Add a data set")[2].partition("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    exec(compile(code, str(PAGE), "exec"), {"__name__": "archive_of_the_page"})


@pytest.mark.usefixtures("added")
def test_the_example_says_of_each_film_what_the_data_set_that_ships_says(fixtures):
    tree = fixtures / "nlm-tuberculosis"
    short, whole = load(NAME, tree), load("nlm-tuberculosis", tree)
    columns = ["image_id", "patient_id", "view", "source", "path", "Tuberculosis"]
    assert short.table[columns].to_dict("records") == whole.table[columns].to_dict("records")
    assert adapter(NAME).licence == adapter("nlm-tuberculosis").licence


@pytest.mark.usefixtures("added")
def test_its_folder_is_found_by_what_is_in_it(copied, tmp_path):
    copied("nlm-tuberculosis").rename(tmp_path / "x-rays")
    assert discover(tmp_path, NAME) == tmp_path / "x-rays"


@pytest.mark.parametrize(
    "place", re.findall(r"`((?:cxrbench|fixtures|docs|tests)/[\w/.-]+)`", PAGE.read_text("utf-8"))
)
def test_the_files_that_it_names_are_there(place):
    assert (PAGE.parents[1] / place).exists()
