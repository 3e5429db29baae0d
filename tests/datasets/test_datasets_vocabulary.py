"""Common names of findings: every shipped spelling has one, and asking by either gives the same column."""

from pathlib import Path

import pytest

from cxrbench.datasets import register, registry
from cxrbench.datasets.chestxray14 import FINDINGS
from cxrbench.datasets.observations import OBSERVATIONS
from cxrbench.datasets.padchest import FINDINGS as PADCHEST
from cxrbench.datasets.vocabulary import COMMON, common_name, find_label
from cxrbench.errors import DatasetError

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    "labels", [FINDINGS, OBSERVATIONS, tuple(PADCHEST)], ids=["nih", "chexpert", "padchest"]
)
def test_the_labels_of_the_archives_have_common_names_one_each(labels):
    known = [label for label in labels if common_name(label) in COMMON]
    assert len({common_name(label) for label in known}) == len(known)
    assert set(labels) - set(known) <= {"Pleural Other"}


@pytest.mark.parametrize("label", sorted({*FINDINGS, *OBSERVATIONS, *PADCHEST}))
def test_a_label_is_found_by_its_common_name(label):
    labels = next(labels for labels in (FINDINGS, OBSERVATIONS, tuple(PADCHEST)) if label in labels)
    assert find_label(common_name(label), labels) == label
    assert find_label(label, labels) == label


def test_no_spelling_means_two_findings():
    spellings = [other for name, others in COMMON.items() for other in (name, *others)]
    folded = ["".join(c for c in other.casefold() if c.isalnum()) for other in spellings]
    assert len(set(folded)) == len(folded)


def test_findings_that_are_not_the_same_have_not_one_name():
    assert common_name("Infiltration") != common_name("Consolidation")
    assert common_name("Nodule") != common_name("Mass")
    assert common_name("something else") == "something else"


def test_an_adapter_says_what_its_own_words_mean(monkeypatch):
    for shipped in registry._SHIPPED:
        registry.adapter(shipped)  # What is imported from here on would be forgotten with the test.
    monkeypatch.setattr(registry, "_adapters", dict(registry._adapters))
    register("ours", title="", recognises=bool, findings={"derrame": "Pleural Effusion"})(lambda _: None)
    assert common_name("derrame", "ours") == "Pleural Effusion" == common_name("Effusion", "ours")
    assert find_label("Pleural Effusion", ["derrame", "masa"], "ours") == "derrame"


def test_a_label_that_means_two_columns_or_none_is_refused():
    with pytest.raises(DatasetError, match="label 'Effusion' may be 'pleural effusion' or 'Effusions'"):
        find_label("Effusion", ["pleural effusion", "Effusions"])
    with pytest.raises(DatasetError, match="no label 'Mas'; did you mean 'Mass'"):
        find_label("Mas", ["Mass"])


def test_the_table_in_the_documentation_is_the_vocabulary():
    text = (DOCS / "data.md").read_text(encoding="utf-8")
    for name, others in COMMON.items():
        assert f"| {name} | {', '.join(others)} |" in text
