"""Options that are one of a few values."""

import pytest

from cxrbench.datasets import adapter, check_options
from cxrbench.datasets.options import SWITCH, choices
from cxrbench.errors import DatasetError


@pytest.mark.parametrize("value", [True, False])
def test_a_switch_is_true_or_false(value):
    choices(laterals=SWITCH)(laterals=value)


@pytest.mark.parametrize("value", [1, 0, "true", None, [True], 1.0])
def test_nothing_else_is_a_switch(value):
    with pytest.raises(DatasetError, match=r"laterals must be true or false, not ") as raised:
        choices(laterals=SWITCH)(laterals=value)
    assert str(raised.value).endswith(repr(value))


def test_a_word_is_one_of_a_few_and_other_options_are_none_of_its_business():
    check = choices(readers=("majority", "any", "unanimous"))
    check(readers="any", labels=["x"])
    with pytest.raises(DatasetError, match="readers must be 'majority', 'any' or 'unanimous', not 'two'"):
        check(readers="two")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("chexpert", {"laterals": "no"}),
        ("chexpert", {"unmentioned": "zero"}),
        ("mimic-cxr-jpg", {"labeller": "chexbert"}),
        ("padchest", {"laterals": 1}),
        ("vindr-cxr", {"readers": "most"}),
        ("openi", {"laterals": "yes"}),
        ("bimcv-covid19", {"laterals": None}),
    ],
)
def test_a_value_that_cannot_be_is_refused_before_any_folder_is_looked_at(name, options):
    (option,) = options
    with pytest.raises(DatasetError, match=f"{option} must be "):
        check_options(adapter(name), options)
