"""Further test cohorts: every scheme is scored on each, the audit covers them, and everything keeps them."""

from __future__ import annotations

import re

import pytest
import tiny_study
from scipy.stats import norm

from cxrbench.errors import LeakError, ProfileError
from cxrbench.gate.baseline import load_baseline, save_baseline
from cxrbench.look.kept import pack_of
from cxrbench.report import write_report
from cxrbench.report.further import further_table
from cxrbench.report.page import page
from cxrbench.statistics import auc
from cxrbench.study.finished import FinishedStudy

ELSEWHERE = {
    "dataset": "phantom",
    "patients": "elsewhere",
    "options": {"cohort": "covid", "n_images": 70, "n_test_images": 100, "severity_median": 0.95},
}
CHANGES = {"tests.elsewhere": ELSEWHERE, "study.data_seed": 9}


@pytest.fixture(scope="module")
def ran(tmp_path_factory, run_tiny):
    """A study with a further test, run scheme by scheme."""
    out = tmp_path_factory.mktemp("further")
    profile = tiny_study.profile(CHANGES)
    run_tiny(profile, out, ("control",))
    return FinishedStudy(out, run_tiny(profile, out, ("findings",)))


@pytest.mark.slow
def test_every_scheme_is_scored_on_the_further_test(ran):
    test = ran.results.tests["elsewhere"]
    assert set(test.schemes) == set(ran.results.names) == {"control", "findings"}
    assert test.n_images == test.cohort.parts["test"].images
    assert test.cohort.parts["train"].images == 0
    for name, found in test.schemes.items():
        read = ran.predictions(name, test="elsewhere")
        assert len(read.labels) == test.n_images != ran.results.n_images
        (scores,) = read.scores.values()
        assert found.auc == auc(read.labels, scores, read.patients).auc
        assert found.seeds[0].predictions == f"predictions/seed-0/tests/elsewhere/{name}.csv"


@pytest.mark.slow
def test_the_difference_from_the_own_test_is_unpaired(ran):
    own, there = ran.results.scheme("control"), ran.results.tests["elsewhere"].schemes["control"]
    se = (own.se**2 + there.se**2) ** 0.5
    assert there.difference == pytest.approx(own.auc - there.auc)
    up = ((own.ci_high - own.auc) ** 2 + (there.auc - there.ci_low) ** 2) ** 0.5
    assert there.difference_high == pytest.approx(min(1, there.difference + up))
    assert there.p_value == pytest.approx(2 * norm.sf(abs(there.difference) / se))


@pytest.mark.slow
def test_schemes_are_compared_on_the_further_test_too(ran):
    (pair,) = ran.results.tests["elsewhere"].pairs
    schemes = ran.results.tests["elsewhere"].schemes
    assert pair.difference == pytest.approx(schemes["control"].auc - schemes["findings"].auc)


@pytest.mark.slow
def test_its_films_are_shown_and_named_by_nobody(ran, tmp_path):
    pack = pack_of(ran, "elsewhere")
    assert len(pack) == ran.results.tests["elsewhere"].n_images
    html = write_report(ran, tmp_path).read_text(encoding="utf-8")
    assert f"elsewhere, further test: 6 of {len(pack)} films" in html
    shown = re.sub(r"base64,[\w+/=]+", "", html)
    names = {*pack.table["image_id"], *pack.table["patient_id"], *pack.table["path"]}
    assert [name for name in names if name in shown] == []


@pytest.mark.slow
def test_a_baseline_keeps_its_predictions_and_the_report_its_numbers(ran, tmp_path):
    save_baseline(ran, tmp_path / "baseline")
    kept = load_baseline(tmp_path / "baseline")
    assert (
        len(kept.predictions("findings", test="elsewhere").labels) == kept.results.tests["elsewhere"].n_images
    )
    html = page(ran.results, ())
    assert "Further tests" in html
    table = further_table(ran.results)
    assert table is not None
    assert [row[2] for row in table[1]] == ["control", "findings"]


@pytest.mark.slow
def test_the_trace_holds_the_further_test(ran):
    trace = ran.trace()
    assert trace is not None
    assert ("elsewhere", "test") in {(part.role, part.part) for part in trace.parts}
    assert {entry.part for entry in trace.predictions} == {"validation", "test", "tests/elsewhere"}


@pytest.mark.slow
def test_a_patient_who_is_trained_on_and_in_the_further_test_is_a_leak(tmp_path, run_tiny):
    # Without 'patients', the lists number their patients alike.
    profile = tiny_study.profile({"tests.again": {**ELSEWHERE, "patients": ""}})
    with pytest.raises(LeakError, match="leak into the test images of role 'again': patients both trained"):
        run_tiny(profile, tmp_path, ("control",))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tests.findings": ELSEWHERE}, r"\[tests\.findings\] is also the name of a role"),
        ({"tests.b": {"dataset": "phantm"}}, r"\[tests\.b\]: .*did you mean 'phantom'"),
        ({"tests.b": {**ELSEWHERE, "validation": 0.1}}, r"\[tests\.b\]: unknown key 'validation'"),
        (
            {"tests.b": ELSEWHERE, "roles.covid.folds": 3, "roles.covid.validation": None},
            r"\[tests\] needs one network for each scheme",
        ),
    ],
)
def test_a_mistake_is_named(changes, message):
    with pytest.raises(ProfileError, match=message):
        tiny_study.profile(changes)


@pytest.mark.slow
def test_a_cohort_of_one_class_cannot_be_tested(tmp_path, run_tiny):
    positive = {**ELSEWHERE, "where": {"COVID-19": 1}}
    with pytest.raises(ProfileError, match=r"\[tests\.b\]: 'COVID-19' is the same in all"):
        run_tiny(tiny_study.profile({"tests.b": positive}), tmp_path, ("control",))


@pytest.mark.slow
def test_a_test_in_the_profile_changes_no_number_of_the_study_itself(ran, tmp_path, run_tiny):
    without = run_tiny(tiny_study.profile({"study.data_seed": 9}), tmp_path, ("control",))
    kept = [seed.sha256 for seed in ran.results.scheme("control").seeds]
    assert [seed.sha256 for seed in without.scheme("control").seeds] == kept
