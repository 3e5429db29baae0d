"""The list of data sets in the documentation is what the registry says."""

import re
from pathlib import Path

import pytest

from cxrbench.datasets import adapter, registry

DOCS = Path(__file__).parents[2] / "docs"
LIST = DOCS / "datasets" / "README.md"


def rows():
    """Return the list as the registry gives it: one line per data set that ships."""
    for name in registry._SHIPPED:
        known = adapter(name)
        page = Path("..", known.page) if "/" not in known.page else Path(known.page).name
        link = f"[`{name}`]({page})" if known.page else f"`{name}`"
        yield f"| {link} | {known.title} | {'yes' if known.public else 'no'} | {known.licence} |"


def test_the_list_is_what_the_registry_says():
    text = LIST.read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith(("| [`", "| `"))] == list(rows())


@pytest.mark.parametrize("name", registry._SHIPPED)
def test_the_page_of_a_data_set_is_there_and_names_every_option(name):
    known = adapter(name)
    if not known.page:
        assert name == "manifest"
        return
    text = (DOCS / known.page).read_text(encoding="utf-8")
    assert name in text
    assert all(re.search(rf"\b{option}\b", text) for option in known.options)


@pytest.mark.parametrize("page", sorted((DOCS / "datasets").glob("*.md")), ids=lambda page: page.name)
def test_every_link_of_a_page_to_a_file_leads_to_one(page):
    links = re.findall(r"\]\(([^)\s#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []
