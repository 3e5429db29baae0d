"""A supplemental stage on its own test part: label by label, against what others got."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny_study
from sklearn.metrics import roc_auc_score

from cxrbench.report.further import own_table
from cxrbench.report.page import page
from cxrbench.study import own_test, run
from cxrbench.study.finished import FinishedStudy, read_recorded
from cxrbench.study.prepare import RoleData
from cxrbench.study.progress import Silent
from cxrbench.study.published import PUBLISHED, published
from cxrbench.study.where import Where
from cxrbench.trace.compare import Comparison, compare_traces
from cxrbench.training.data import LabelledImages

CHANGES = {"roles.findings.test": 0.4, "roles.findings.validation": 0.2, "study.seeds": [0, 1]}


@pytest.fixture(scope="module")
def profile():
    return tiny_study.profile({**CHANGES, "roles.findings.options.n_images": 160})


@pytest.fixture(scope="module")
def ran(tmp_path_factory, run_tiny, profile):
    """A study whose last run has no supplemental role."""
    out = tmp_path_factory.mktemp("own")
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


@pytest.fixture
def predicted_again(ran, profile, tmp_path):
    """Return a function that predicts with the study's networks in a new folder, and compares the traces."""

    def again() -> Comparison:
        where = Where(store=ran.folder)
        study = run.run_study(
            profile, tmp_path / "again", schemes=("findings",), where=where, progress=Silent()
        )
        now, before = study.trace(), ran.trace()
        assert now is not None
        assert before is not None
        return compare_traces(now, before)

    return again


def _planted(monkeypatch, change):
    """Let ``change`` make of the own test part's images what is predicted."""
    honest = RoleData.packed

    def packed(self, part):
        found = honest(self, part)
        return change(found) if (self.cohort.dataset, part) == (OWN_COHORT, "test") else found

    monkeypatch.setattr(RoleData, "packed", packed)


OWN_COHORT = "phantom-findings"


@pytest.mark.slow
def test_the_trace_holds_the_part_and_its_predictions(ran, predicted_again):
    trace = ran.trace()
    (part,) = (p for p in trace.parts if (p.role, p.part) == ("findings", "test"))
    assert part.images == ran.results.roles["findings"].parts["test"].images
    own = [entry for entry in trace.predictions if entry.part == "own/findings"]
    assert [(entry.run, entry.seed) for entry in own] == [("init > findings", 0), ("init > findings", 1)]
    stages = {(entry.run, entry.seed): entry.trace for entry in trace.stages}
    tested = [one for one in ran.results.own_tests if one.role == "findings"]
    for entry in own:
        assert entry.path.network == stages[entry.run, entry.seed].kept
        assert entry.images == sum(one.images for one in tested)
    honest = predicted_again()
    assert honest.partings == ()
    # Two stages and five predictions of each seed.
    assert honest.same == 2 * (2 + 2 + 1)


@pytest.mark.slow
def test_a_changed_label_of_an_own_test_is_named(predicted_again, monkeypatch):
    def first_reversed(images):
        labels = images.labels.copy()
        labels[0, 0] = 1 - labels[0, 0]
        return replace(images, labels=labels)

    _planted(monkeypatch, first_reversed)
    comparison = predicted_again()
    assert [(p.kind, p.where) for p in comparison.partings] == [("labels", "role findings, test part")]
    assert comparison.partings[0].what.startswith("labels of 1 of")
    assert len(comparison.following) == 2


@pytest.mark.slow
def test_other_pixels_of_an_own_test_are_named(predicted_again, monkeypatch):
    _planted(monkeypatch, lambda images: replace(images, levels=np.arange(255, -1, -1, dtype=np.uint8)))
    (parting,) = predicted_again().partings
    assert (parting.kind, parting.where) == ("pixels", "role findings, test part")
    assert "inverted" in parting.usually


@pytest.mark.slow
def test_a_fault_between_the_own_test_s_images_and_its_scores_is_named(predicted_again, monkeypatch):
    honest = own_test.pool

    def dimmed(images, roles, device):
        changed = {role: LabelledImages(part.pixels // 2, part.labels) for role, part in images.items()}
        return honest(changed, roles, device)

    monkeypatch.setattr(own_test, "pool", dimmed)
    (parting,) = predicted_again().partings
    assert parting.kind == "prediction"
    assert parting.where == "predictions of 'init > findings' on its role's own test part, seed 0"
    assert parting.what == "mean of the inputs"
