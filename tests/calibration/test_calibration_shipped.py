"""What a measured profile states is what its evidence in the documentation says, and no more."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from cxrbench.calibration.calibrate import PAPER, supplemental
from cxrbench.calibration.records import Row
from cxrbench.calibration.statements import statements
from cxrbench.calibration.targets import summaries, tolerance
from cxrbench.statistics.verdicts import verdict
from cxrbench.study.profile import load_profile

DOCS = Path(__file__).parents[2] / "docs"
EVIDENCE = {
    "phantom": DOCS / "calibration" / "evidence.csv",
    "public-small": DOCS / "public" / "evidence.csv",
}
UNSEEN = DOCS / "calibration" / "unseen.csv"
KNOB = "covid.severity_median"


def confirmation(evidence):
    """Return the confirmation's rows in the file ``evidence``."""
    table = pd.read_csv(evidence)
    rows = table[table["stage"] == "confirm"].to_dict("records")
    return [
        Row(knobs={KNOB: row.pop(KNOB)} if KNOB in row else {}, **{str(k): v for k, v in row.items()})
        for row in rows
    ]


@pytest.fixture(scope="module")
def confirmed():
    return confirmation(EVIDENCE["phantom"])


def test_the_profile_draws_the_target_as_the_evidence_did(confirmed):
    severity = load_profile("phantom").roles["covid"].options["severity_median"]
    assert {row.knobs[KNOB] for row in confirmed} == {severity}


@pytest.mark.parametrize("name", EVIDENCE)
def test_every_target_is_the_evidences_mean_and_spread_over_five_seeds(name):
    profile = load_profile(name)
    table = {scheme.scheme: scheme for scheme in summaries(confirmation(EVIDENCE[name]))}
    assert set(profile.targets) == set(table) == {scheme.name for scheme in profile.select(())}
    for name, target in profile.targets.items():
        of = table[name]
        assert target.auc == pytest.approx(of.mean, abs=6e-5)
        assert target.sd == pytest.approx(of.sd, abs=6e-6)
        assert target.seeds == len(of.aucs) == 5
        assert target.measured_on == of.sample
        assert target.tolerance == tolerance(of.sd, len(of.aucs))


def stated(rows):
    """Return the six statements that ``rows`` make about the phantom's schemes."""
    seeds = list(dict.fromkeys(row.seed for row in rows))
    profile = load_profile("phantom")
    schemes = supplemental(profile.select(()), profile.target)
    made = statements(summaries(rows), seeds, PAPER, rows, schemes)
    assert len(made) == 6
    return made


def untrue(rows):
    """Return what is untrue of the phantom's schemes by ``rows``, with the numbers."""
    return [f"{statement.claim}: {statement.numbers}" for statement in stated(rows) if not statement.holds]


def test_the_profile_calls_itself_calibrated_and_every_statement_is_true(confirmed):
    assert load_profile("phantom").settings["study"]["calibrated"] is True
    assert not untrue(confirmed)
    assert len({row.seed for row in confirmed}) >= 5


def table_rows(text, columns):
    """Return scheme -> cells of the Markdown rows with just so many numbers of three or four decimals."""
    numbers = " ".join([r"\|\s+(\d\.\d{3,4})"] * columns)
    return {name: cells for name, *cells in re.findall(rf"^\| (\S+)\s+{numbers} \|$", text, re.MULTILINE)}


def test_the_page_tells_the_evidence(confirmed):
    page = (DOCS / "calibration.md").read_text().partition("### Seeds that the calibration never saw")[0]
    told = table_rows(page, 10)
    assert len(told) == 6
    for scheme in summaries(confirmed):
        numbers = (*scheme.aucs, scheme.mean, scheme.sd, scheme.se_image, scheme.se_clustered)
        reach = tolerance(scheme.sd, len(scheme.aucs))
        assert told[scheme.scheme] == [*(f"{number:.4f}" for number in numbers), f"{reach:.3f}"]
    sentences = " ".join(page.split())
    for statement in stated(confirmed):
        assert f"- **true**: {statement.claim} ({statement.numbers})" in sentences


def test_the_page_tells_the_seeds_that_the_calibration_never_saw(confirmed):
    rows = confirmation(UNSEEN)
    assert not {row.seed for row in rows} & {row.seed for row in confirmed}
    assert {row.sample for row in rows} == {row.sample for row in confirmed}
    page = (DOCS / "calibration.md").read_text().partition("### Seeds that the calibration never saw")[2]
    told = table_rows(page, 4)
    assert len(told) == 6
    for scheme in summaries(rows):
        assert told[scheme.scheme] == [f"{number:.4f}" for number in (*scheme.aucs, scheme.mean)]
        assert all(outcome("phantom", scheme.scheme, auc) == "pass" for auc in scheme.aucs)
    assert not untrue(rows)


def outcome(profile, scheme, auc):
    """Return the verdict of one seed's AUC on the target's own images."""
    target = load_profile(profile).targets[scheme]
    return verdict(target.on(target.measured_on), auc, auc, auc, runs=1).outcome


@pytest.mark.parametrize(
    ("scheme", "low", "high", "fails_below"),
    [("control", 0.69, 0.81, 0.56), ("sequential", 0.79, 0.91, 0.66)],
)
def test_the_page_says_where_a_target_passes_and_fails(scheme, low, high, fails_below):
    text = " ".join((DOCS / "calibration.md").read_text().split())
    assert f"`{scheme}` passes from {low:.2f} to {high:.2f}" in text
    assert f"fails below {fails_below:.2f}" in text
    assert [outcome("phantom", scheme, auc) for auc in (low, high)] == ["pass", "pass"]
    for auc in (low - 0.01, high + 0.01, fails_below + 0.01):
        assert outcome("phantom", scheme, auc) == "inconclusive"
    assert outcome("phantom", scheme, fails_below) == "fail"
    assert (outcome("phantom", scheme, 1.0) == "fail") is (scheme == "control")


@pytest.mark.parametrize(("scheme", "above"), [("control", 0.69), ("pooled-supplement", 0.83)])
def test_the_public_page_says_where_a_target_fails(scheme, above):
    assert f"above {above:.2f}" in (DOCS / "public.md").read_text()
    assert outcome("public-small", scheme, above - 0.01) == "inconclusive"
    assert outcome("public-small", scheme, above) == "fail"


def test_the_public_profile_asserts_no_claim_of_the_papers():
    assert load_profile("public-small").settings["study"].get("calibrated", False) is False


def test_the_public_documentation_tells_the_evidence():
    text = (DOCS / "public.md").read_text()
    for scheme in summaries(confirmation(EVIDENCE["public-small"])):
        cells = [f"{auc:.3f}" for auc in (*scheme.aucs, scheme.mean, scheme.sd, scheme.se_clustered)]
        assert f"| {scheme.scheme} | {' | '.join(cells)} |" in text
        assert "Every mean is within one standard error of 0.5." in text
        assert abs(scheme.mean - 0.5) < scheme.se_clustered
