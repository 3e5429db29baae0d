"""A supplemental stage on its own test part: label by label, against what others got."""

from __future__ import annotations

from dataclasses import replace

import pytest
import tiny_study
from sklearn.metrics import roc_auc_score

from cxrbench.report.further import own_table
from cxrbench.report.page import page
from cxrbench.study.finished import FinishedStudy, read_recorded
from cxrbench.study.published import PUBLISHED, published

CHANGES = {"roles.findings.test": 0.4, "roles.findings.validation": 0.2, "study.seeds": [0, 1]}


@pytest.fixture(scope="module")
def ran(tmp_path_factory, run_tiny):
    out = tmp_path_factory.mktemp("own")
    profile = tiny_study.profile({**CHANGES, "roles.findings.options.n_images": 160})
    run_tiny(profile, out, ("findings",))
    return FinishedStudy(out, run_tiny(profile, out, ("control",)))


@pytest.mark.slow
def test_each_label_has_the_auc_of_its_file(ran):
    own = ran.results.own_tests
    assert {one.label for one in own} <= {"Effusion", "Infiltration"}
    assert own
    tested = ran.results.roles["findings"].parts["test"].images
    for one in own:
        assert one.role == "findings"
        assert one.images == tested
        assert [seed.seed for seed in one.seeds] == [0, 1]
        for seed in one.seeds:
            read = read_recorded(ran.folder, seed.predictions, seed.sha256)
            (scores,) = read.scores.values()
            assert seed.curve.auc == pytest.approx(roc_auc_score(read.labels, scores))
            assert seed.predictions == f"predictions/seed-{seed.seed}/own/findings/{one.label}.csv"
            assert (seed.predictions, seed.sha256) in ran.files
        assert one.auc == pytest.approx(sum(seed.curve.auc for seed in one.seeds) / 2)


@pytest.mark.slow
def test_an_interval_below_what_others_got_asks_what_is_wrong(ran):
    low = replace(ran.results.own_tests[0], auc=0.6, ci_low=0.55, ci_high=0.65, published=(0.85, 0.88))
    near = replace(low, ci_high=0.86)
    unknown = replace(low, published=None)
    assert (low.far_below, near.far_below, unknown.far_below) == (True, False, False)
    table = own_table(replace(ran.results, own_tests=(low, near, unknown)))
    assert table is not None
    assert [row[-2:] for row in table[1]] == [
        ["0.85 to 0.88", "far below: is something wrong?"],
        ["0.85 to 0.88", ""],
        ["–", ""],
    ]
    assert "Supplemental stages on their own tests" in page(ran.results, ())


def test_a_role_without_a_test_part_has_no_own_test(tiny):
    assert tiny.results.own_tests == ()
    assert own_table(tiny.results) is None


def test_what_was_published_is_a_range_below_1():
    assert len(PUBLISHED) == 15
    assert all(0.5 < low < high < 1 for low, high in PUBLISHED.values())
    assert published("chestxray14", "Hernia") == (0.91, 0.925)
    assert published("phantom", "Hernia") is None
