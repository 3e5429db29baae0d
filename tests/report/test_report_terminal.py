"""The table at the end of a benchmark run."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cxrbench.report.terminal import scheme_table

MakeStudy = Callable[..., Any]

SIX = """\
Six schemes on synthetic radiographs, 64 px

scheme             notation                               AUC  95%          target          verdict            p vs    seconds
                                                               interval                                     control
                                                                                                             (Holm)
-----------------  -----------------------------------  -----  -----------  --------------  ------------  ---------  ---------
control            init > covid                         0.757  0.741–0.773  0.757 ± 0.030   pass                            42
findings           init > findings > covid              0.842  0.829–0.855  at least 0.860  fail             <0.001        151
pneumonia          init > pneumonia > covid             0.818  0.802–0.834  at least 0.810  inconclusive     <0.001        118
sequential         init > findings > pneumonia > covid  0.857  0.844–0.870  0.857 ± 0.030   pass             <0.001        227
pooled-supplement  init > findings + pneumonia > covid  0.846  0.832–0.860  0.840 ± 0.020*  inconclusive     <0.001        232
pooled-all         init > findings + pneumonia + covid  0.801  0.785–0.817  none            inconclusive      0.021      1,204

AUC: seed 0; 95% interval for new patients, clustered by patient
p: paired DeLong test, against the control, clustered by patient, Holm-adjusted over 15 pairs
*: the target is not yet calibrated, so no interval settles it
seconds: training of the scheme's whole chain, as if no stage were shared
test part: 1,060 images, 801 positive, 475 patients
device: cpu (x86_64 AVX2; threads 2); seed 0; profile phantom; split 5a376993386a
synthetic radiographs: says nothing about COVID-19"""  # noqa: E501 (the table as it is)


def test_the_table_of_six_schemes(make_study: MakeStudy) -> None:
    assert scheme_table(make_study().results) == SIX


def test_columns_are_aligned(make_study: MakeStudy) -> None:
    lines = scheme_table(make_study().results).splitlines()
    rule = next(line for line in lines if line.startswith("---"))
    rows = lines[lines.index(rule) + 1 : lines.index(rule) + 7]
    gaps = [i for i, character in enumerate(rule) if character == " "]
    assert all(row.ljust(len(rule))[i] == " " for row in rows for i in gaps)
    assert {len(row) for row in rows} == {len(rule)}


def test_several_seeds_give_means_and_say_so(make_study: MakeStudy) -> None:
    table = scheme_table(make_study(seeds=(0, 1, 2), synthetic=False, title="public").results)
    (row,) = [line for line in table.splitlines() if line.startswith("pooled-all")]
    assert row.split() == [
        *["pooled-all", "init", ">", "findings", "+", "pneumonia", "+", "covid"],
        *["0.801", "0.785–0.817", "none", "inconclusive", "0.021", "1,204"],
    ]
    header = table.split("---")[0].split()
    assert " ".join(header).count("3 seeds") == 1
    assert "AUC: mean of seeds 0, 1, 2; 95% interval of that mean for new seeds and new patients" in table
    assert "p: difference of the mean AUCs, for new seeds and new patients, against the control" in table
    assert "synthetic" not in table


def test_one_scheme_has_nothing_to_be_compared_with(make_study: MakeStudy) -> None:
    table = scheme_table(make_study(names=("sequential",), targets=False).results)
    assert [line.split()[0] for line in table.splitlines() if "0.857" in line] == ["sequential"]
    assert "none" in table
    assert "control" not in table
    assert "Holm" not in table


def test_schemes_without_the_control_are_not_compared_with_it(make_study: MakeStudy) -> None:
    table = scheme_table(make_study(names=("findings", "sequential")).results)
    assert "Holm" not in table
    assert "0.842" in table


def test_a_narrow_terminal_gets_the_notations_below_the_table(make_study: MakeStudy) -> None:
    results = make_study().results
    widest = max(len(line) for line in SIX.splitlines()[2:12])
    assert scheme_table(results, widest) == SIX
    table = scheme_table(results, widest - 1).splitlines()
    assert max(len(line) for line in table[2:12]) == 89
    assert "pooled-supplement  init > findings + pneumonia > covid" in table
    assert sum("init >" in line for line in table) == 6


def test_images_of_unknown_patients_and_of_one_each_are_said_to_be_independent(make_study: MakeStudy) -> None:
    results = make_study().results
    one_each = scheme_table(replace(results, n_patients=1060))
    unknown = scheme_table(replace(results, n_patients=0))
    for table in (one_each, unknown):
        assert "images taken as independent" in table
        assert "clustered" not in table
    assert "1,060 patients" in one_each
    assert "801 positive, patients not known" in unknown


def test_what_decides_is_said_below_the_table(reports: dict[str, Any]) -> None:
    lines = scheme_table(reports["calibrated"].study.results).splitlines()
    (said,) = [line for line in lines if line.startswith("verdict: ")]
    assert "passes where 95% of runs of unchanged code lie (control ± 0.033, sequential ± 0.061)" in said


def test_nothing_decides_for_a_target_that_is_not_yet_calibrated(reports: dict[str, Any]) -> None:
    results = reports["calibrated"].study.results
    schemes = tuple(
        replace(scheme, target=replace(scheme.target, calibrated=False), decided_by=None)
        if scheme.target
        else scheme
        for scheme in results.schemes
    )
    table = scheme_table(replace(results, schemes=schemes))
    assert "unchanged code" not in table
    assert "0.757 ± 0.033*" in table


def test_a_title_cannot_steer_the_terminal(make_study: MakeStudy) -> None:
    table = scheme_table(make_study(names=("control",), title="red \x1b[31m\nsecond line").results)
    assert table.startswith("red [31m second line\n")


def test_a_device_is_described_by_what_is_known_of_it(make_study: MakeStudy) -> None:
    results = make_study(names=("control",)).results
    assert "device: cpu; seed 0" in scheme_table(replace(results, device={"type": "cpu"}))


def test_tables_need_no_extra() -> None:
    code = (
        "import sys, cxrbench.report, cxrbench.report.terminal, cxrbench.report.markdown; "
        "print(*sorted({'matplotlib', 'jinja2', 'torch'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
