"""The report's tables of shortcuts and subgroups: the numbers of the results, in their places."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cxrbench.report.doubt import left_out, shortcut_table, subgroup_table
from cxrbench.report.markdown import summary
from cxrbench.report.page import page
from cxrbench.study.results import Doubt, Shortcut, SubgroupDifference, WithinStrata

DOUBT = Doubt(
    covariates="predictions/covariates.csv",
    sha256="0" * 64,
    shortcuts=(
        Shortcut(
            name="view",
            auc=0.812,
            ci_low=0.8,
            ci_high=0.83,
            unknown=3,
            within={"control": WithinStrata(auc=0.61, ci_low=0.5, ci_high=0.7, strata=2, images=500)},
        ),
    ),
    subgroups=(
        SubgroupDifference(
            by="view",
            value="PA",
            a="findings",
            b="control",
            images=1200,
            positive=600,
            difference=-0.031,
            ci_low=-0.06,
            ci_high=-0.002,
            p_value=0.03,
            p_adjusted=0.06,
        ),
    ),
    left_out={"sex": "not known"},
)


@pytest.fixture
def results(made_up, tmp_path):
    made = made_up(tmp_path, {"control": (1.0, 1), "findings": (0.8, 2)}).results
    return replace(made, doubt=DOUBT)


def test_a_scheme_that_could_not_be_ranked_within_strata_has_a_dash(results):
    found = shortcut_table(results)
    assert found is not None
    headers, rows = found
    assert headers == ["known of a film", "AUC of it alone", "control", "findings"]
    assert rows[0][0] == "the film itself"
    assert rows[1] == ["view", "0.812 [0.800, 0.830]", "0.610", "–"]


def test_a_subgroup_names_both_schemes_and_both_p_values(results):
    found = subgroup_table(results)
    assert found is not None
    assert found[1] == [
        [
            "view",
            "PA",
            "1,200",
            "600",
            "findings minus control",
            "−0.031",
            "[−0.060, −0.002]",
            "0.030",
            "0.060",
        ]
    ]


def test_what_was_not_looked_at_is_said():
    assert left_out(DOUBT) == "Not looked at: sex: not known."
    assert left_out(replace(DOUBT, left_out={})) == ""


def test_page_and_summary_hold_both_tables(results):
    for text in (page(results, ()), summary(results)):
        assert "0.812" in text
        assert "findings minus control" in text
    without = replace(results, doubt=None)
    assert shortcut_table(without) is None
    assert subgroup_table(without) is None
    assert "What else could tell" not in page(without, ()) + summary(without)
