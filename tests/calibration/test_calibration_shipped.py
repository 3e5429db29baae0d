"""What the default profile states is what its evidence in the documentation says, and no more."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from cxrbench.calibration.calibrate import PAPER, supplemental
from cxrbench.calibration.records import Row
from cxrbench.calibration.statements import statements
from cxrbench.calibration.targets import summaries, tolerance
from cxrbench.study.profile import load_profile

EVIDENCE = Path(__file__).parents[2] / "docs" / "calibration" / "evidence.csv"
KNOB = "covid.severity_median"


@pytest.fixture(scope="module")
def confirmed():
    table = pd.read_csv(EVIDENCE)
    table = table[table["stage"] == "confirm"]
    knobs = table.pop(KNOB)
    return [
        Row(knobs={KNOB: knob}, **{str(name): value for name, value in row.items()})
        for knob, row in zip(knobs, table.to_dict("records"), strict=True)
    ]


def test_the_profile_draws_the_target_as_the_evidence_did(confirmed):
    severity = load_profile("phantom").phantom["covid"]["severity_median"]
    assert {row.knobs[KNOB] for row in confirmed} == {severity}


def test_every_target_is_the_evidences_mean_and_spread(confirmed):
    profile = load_profile("phantom")
    table = {scheme.scheme: scheme for scheme in summaries(confirmed)}
    assert set(profile.targets) == set(table) == {scheme.name for scheme in profile.select(())}
    for name, target in profile.targets.items():
        of = table[name]
        assert target.auc == pytest.approx(of.mean, abs=6e-5)
        assert target.sd == pytest.approx(of.sd, abs=6e-6)
        assert target.seeds == len(of.aucs)
        assert target.measured_on == of.sample
        assert target.tolerance == tolerance(of.sd, len(of.aucs))


def test_the_profile_calls_itself_calibrated_and_every_statement_is_true(confirmed):
    seeds = list(dict.fromkeys(row.seed for row in confirmed))
    profile = load_profile("phantom")
    made = statements(
        summaries(confirmed), seeds, PAPER, confirmed, supplemental(profile.select(()), profile.target)
    )
    untrue = [f"{statement.claim}: {statement.numbers}" for statement in made if not statement.holds]
    assert profile.settings["study"]["calibrated"] is True
    assert not untrue
    assert len(seeds) >= 5
