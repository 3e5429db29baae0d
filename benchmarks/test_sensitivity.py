"""What does the instrument see? Faults planted into one scheme's target stage, held against the study.

Each fault costs one training of the target stage and seed. Which faults are seen is reported, not asserted,
except for the plain ones on a calibrated profile.

    pytest benchmarks/test_sensitivity.py -m nightly --seeds 0,1,2 --report-dir report
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

import pytest

from cxrbench.errors import CxrbenchError
from cxrbench.faults.records import PLAIN
from cxrbench.statistics.verdicts import Verdict

# Whatever brings torch is imported where it is used, so that collecting the benchmarks takes no time.

pytestmark = pytest.mark.nightly


@pytest.fixture(scope="module")
def report_dir(pytestconfig, cxr_study_dir):
    chosen = pytestconfig.getoption("cxr_report_dir")
    return Path(chosen) if chosen else cxr_study_dir


@pytest.fixture(scope="module")
def sensitivity(pytestconfig, request, cxr_profile, report_dir):
    """All faults, measured; written to the report's folder and shown."""
    from cxrbench.faults.records import as_json
    from cxrbench.faults.run import check_one_split, measure
    from cxrbench.files import write_text_atomic
    from cxrbench.plugin import asked_in
    from cxrbench.report.faults import faults_markdown, faults_text
    from cxrbench.study.progress import Bars

    try:
        check_one_split(cxr_profile)
    except CxrbenchError as error:
        pytest.skip(str(error))
    # Not before: a study that no fault can be planted into need not be trained.
    cxr_study = request.getfixturevalue("cxr_study")
    # Training takes minutes: its lines, and the table, are let through pytest's capturing.
    with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        asked = asked_in(pytestconfig)
        found = measure(cxr_profile, cxr_study, schemes=asked.scheme, where=asked.where(), progress=Bars())
        print(f"\n\n{faults_text(found)}\n")
    write_text_atomic(report_dir / "sensitivity.json", as_json(found))
    write_text_atomic(report_dir / "sensitivity.md", faults_markdown(found))
    return found


def test_the_table_has_every_fault(sensitivity, report_dir):
    from cxrbench.faults.catalogue import FAULTS

    names = [fault.name for fault in FAULTS]
    assert [row.fault for row in sensitivity.rows] == names
    assert [
        row["fault"] for row in json.loads((report_dir / "sensitivity.json").read_text())["rows"]
    ] == names
    assert all(f"| {name} " in (report_dir / "sensitivity.md").read_text() for name in names)


def test_every_number_is_finite(sensitivity):
    measured = [asdict(row.measured) for row in sensitivity.rows if row.measured is not None]
    numbers = [value for row in measured for value in row.values() if isinstance(value, float)]
    assert numbers
    assert all(math.isfinite(number) for number in numbers)


def test_what_could_not_be_planted_says_why(sensitivity):
    assert all((row.measured is None) == bool(row.not_applicable) for row in sensitivity.rows)


def test_no_fault_and_the_same_seed_give_the_same_predictions_bit_for_bit(sensitivity, cxr_device):
    if cxr_device.type != "cpu":
        pytest.skip("the same bits are promised on the CPU only")
    measured = sensitivity.row("no fault, same seed").measured
    assert measured.same_scores
    assert measured.difference == 0


def test_no_fault_and_another_seed_is_not_taken_for_a_fault(sensitivity):
    row = sensitivity.row("no fault, another seed")
    assert not row.measured.same_scores
    assert not row.seen, row.measured.gate.sentence


@pytest.mark.parametrize("fault", PLAIN)
def test_a_plain_fault_is_seen_on_a_calibrated_profile(fault, sensitivity, cxr_verdict):
    row = sensitivity.row(fault)
    if row.measured is None:
        cxr_verdict(Verdict("inconclusive", f"{fault}: {row.not_applicable}"))
    elif not sensitivity.calibrated:
        cxr_verdict(Verdict("inconclusive", f"{fault}: not asserted, the profile is not calibrated"))
    else:
        seen = {"gate", "target"} & set(row.seen_by)
        cxr_verdict(Verdict("pass" if seen else "fail", f"{fault}: {row.measured.gate.sentence}"))
