"""The gate's rule: on AUC, order and speed, and what it refuses to compare."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cxrbench.errors import GateError
from cxrbench.files import file_sha256
from cxrbench.gate.rules import gate, scheme_verdict
from cxrbench.statistics import compare
from cxrbench.statistics.means import MeanDifference
from cxrbench.statistics.predictions import read_predictions
from cxrbench.statistics.verdicts import Target


def difference(value, se):
    return MeanDifference(0.8 + value, 0.8, value, se, value - 1.96 * se, value + 1.96 * se, 1, 1, se**2)


@pytest.mark.parametrize(
    ("value", "se", "p_worse", "outcome"),
    [
        (0.00, 0.01, 0.5, "pass"),
        (0.06, 0.01, 1.0, "pass"),
        # A gain beyond the margin, and one that may be within it.
        (0.10, 0.01, 1.0, "inconclusive"),
        (0.10, 0.04, 1.0, "pass"),
        (float("nan"), 0.01, float("nan"), "inconclusive"),
        # Certainly worse, and certainly by less than the margin.
        (-0.02, 0.005, 3e-5, "pass"),
        (-0.10, 0.01, 1e-20, "fail"),
        (-0.05, 0.01, 3e-7, "fail"),
        (-0.03, 0.02, 0.07, "inconclusive"),
        # Holm's adjustment has taken the certainty away.
        (-0.045, 0.02, 0.06, "inconclusive"),
        # One-sided, so 0.025 is asked for and not 0.05.
        (-0.045, 0.02, 0.024, "fail"),
        (-0.045, 0.02, 0.026, "inconclusive"),
        (0.00, 0.05, 0.5, "inconclusive"),
    ],
)
def test_the_rule(value, se, p_worse, outcome):
    verdict = scheme_verdict("control", difference(value, se), p_worse, margin=0.05)
    assert verdict.outcome == outcome
    assert verdict.sentence.startswith("control: 0.800 before")


def test_a_study_against_itself_passes(make_study):
    study = make_study("a", {"control": (1.0, 1), "sequential": (0.5, 2)})
    report = gate(study, study)
    assert report.outcome == "pass"
    assert [check.difference for check in report.schemes] == [0, 0]
    assert [check.p_worse for check in report.schemes] == [1, 1]
    assert {check.ratio for check in report.speed} == {1.0}


@pytest.mark.parametrize(("images", "outcome"), [(12, "inconclusive"), (1200, "pass")])
def test_perfect_separation_by_both_is_no_certainty_from_a_handful_of_images(make_study, images, outcome):
    before = make_study("before", {"control": (0.3, 1)}, images=images, apart=30.0)
    now = make_study("now", {"control": (0.3, 2)}, images=images, apart=30.0)
    (check,) = gate(now, before).schemes
    assert (check.before, check.now, check.se) == (1.0, 1.0, 0.0)
    # Two patients in a pair, each with two images: the bound is on how often a pair may be ranked wrongly.
    pairs = images // 4
    assert check.ci_high == -check.ci_low == pytest.approx(1 - 0.025 ** (1 / pairs))
    assert check.verdict.outcome == outcome


def test_differences_are_the_paired_clustered_ones(make_study):
    before = make_study("before", {"control": (1.0, 1)})
    now = make_study("now", {"control": (1.5, 3)})
    (check,) = gate(now, before).schemes
    files = [
        read_predictions(study.folder / "predictions/seed-0/test/control.csv") for study in (now, before)
    ]
    (new,), (old,) = (part.scores.values() for part in files)
    pair = compare(files[0].labels, new, old, files[0].patients)
    assert check.difference == pytest.approx(pair.difference, abs=1e-15)
    assert check.se == pytest.approx(pair.se, rel=1e-12)
    assert check.difference < 0


def test_a_worse_scheme_fails_and_the_others_do_not(make_study):
    before = make_study("before", {"control": (1.0, 1), "sequential": (0.5, 2)})
    now = make_study("now", {"control": (1.0, 5), "sequential": (4.0, 2)})
    report = gate(now, before)
    assert {check.scheme: check.verdict.outcome for check in report.schemes} == {
        "control": "pass",
        "sequential": "fail",
    }
    assert report.outcome == "fail"


def test_p_values_are_adjusted_over_the_schemes(make_study):
    noises = {"control": (1.0, 1), "findings": (1.0, 2), "sequential": (1.0, 3)}
    worse = {"control": (1.3, 4), "findings": (1.2, 5), "sequential": (1.0, 6)}
    checks = gate(make_study("now", worse), make_study("before", noises)).schemes
    raw = sorted(check.p_worse for check in checks)
    adjusted = sorted(check.p_worse_adjusted for check in checks)
    assert adjusted[0] == pytest.approx(min(1, 3 * raw[0]))
    assert all(q >= p for p, q in zip(raw, adjusted, strict=True))


def test_files_are_joined_on_the_image_not_on_the_row(make_study):
    before = make_study("before", {"control": (1.0, 1)})
    now = make_study("now", {"control": (1.0, 1)})
    path = now.folder / "predictions/seed-0/test/control.csv"
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *reversed(rows)]) + "\n")
    (scheme,) = now.results.schemes
    entry = replace(scheme.seeds[0], sha256=file_sha256(path))
    now = replace(now, results=replace(now.results, schemes=(replace(scheme, seeds=(entry,)),)))
    assert gate(now, before).schemes[0].difference == 0


def test_an_order_that_is_certainly_reversed_fails(make_study):
    before = make_study("before", {"control": (3.0, 1), "sequential": (0.2, 2)})
    now = make_study("now", {"control": (0.2, 1), "sequential": (3.0, 2)})
    (check,) = gate(now, before).order
    assert (check.better, check.worse) == ("sequential", "control")
    assert check.before > 0 > check.now
    assert check.verdict.outcome == "fail"


def test_an_order_that_the_baseline_was_not_sure_of_is_not_held_against_anyone(make_study):
    before = make_study("before", {"control": (1.0, 1), "sequential": (1.0, 2)})
    now = make_study("now", {"control": (0.9, 1), "sequential": (1.1, 2)})
    assert gate(now, before).order == ()


def test_other_test_images_are_an_error_that_says_so(make_study):
    before = make_study("before", {"control": (1.0, 1)})
    ids = [f"other-{i:04d}" for i in range(600)]
    with pytest.raises(GateError, match=r"test images of 'control' are not the baseline's.*other-0000"):
        gate(make_study("now", {"control": (1.0, 1)}, image_ids=ids), before)


def test_another_split_is_an_error_that_says_so(make_study):
    before = make_study("before", {"control": (1.0, 1)})
    roles = dict(before.results.roles)
    roles["covid"] = replace(roles["covid"], split_hash="f" * 64)
    with pytest.raises(GateError, match="the split of the target is not the baseline's"):
        gate(make_study("now", {"control": (1.0, 1)}, roles=roles), before)


def test_another_profile_is_an_error_that_says_so(make_study):
    before = make_study("before", {"control": (1.0, 1)})
    with pytest.raises(GateError, match="the profile is not the baseline's"):
        gate(make_study("now", {"control": (1.0, 1)}, profile="another"), before)


def test_a_scheme_that_was_not_run_is_inconclusive_and_a_new_one_is_noted(make_study):
    before = make_study("before", {"control": (1.0, 1), "findings": (1.0, 2)})
    report = gate(make_study("now", {"control": (1.0, 1), "sequential": (1.0, 3)}), before)
    assert [check.scheme for check in report.schemes] == ["control"]
    assert report.missing["findings"].outcome == "inconclusive"
    assert report.outcome == "inconclusive"
    assert "scheme 'sequential' is not in the baseline" in report.notes


def test_no_scheme_in_common_is_an_error(make_study):
    before = make_study("before", {"control": (1.0, 1)})
    with pytest.raises(GateError, match="no scheme in common"):
        gate(make_study("now", {"findings": (1.0, 1)}), before)


def noted(study, notation, name="control"):
    """Return ``study`` with another notation of a scheme."""
    schemes = tuple(
        replace(scheme, notation=notation) if scheme.name == name else scheme
        for scheme in study.results.schemes
    )
    return replace(study, results=replace(study.results, schemes=schemes))


def test_two_schemes_of_one_name_are_an_error_that_says_so(make_study):
    study = make_study("a", {"control": (1.0, 1), "mine": (0.5, 2)})
    before = noted(study, "init > findings > covid", "mine")
    now = noted(study, "init > pneumonia > covid", "mine")
    with pytest.raises(
        GateError,
        match=r"scheme 'mine' is not the baseline's \('init > pneumonia > covid' now, "
        r"'init > findings > covid' in the baseline\).*save a new baseline",
    ):
        gate(now, before)


def test_one_scheme_written_in_two_ways_is_one_scheme(make_study):
    study = make_study("a", {"control": (1.0, 1)})
    before, now = (
        noted(study, "init > findings + pneumonia > covid"),
        noted(study, "init>pneumonia+findings>covid"),
    )
    assert gate(now, before).outcome == "pass"


def test_another_seed_is_noted(make_study):
    before = make_study("before", {"control": (1.0, 1)})
    now = make_study("now", {"control": (1.0, 2)}, seeds=(7,))
    assert gate(now, before).notes == ("training seeds: [7] now, [0] in the baseline",)


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("split_hash", "f" * 64, "split: ffffffffffff now, 0123456789ab in the baseline"),
        ("pack_key", "a" * 64, "packed images: aaaaaaaaaaaa now, fedcba987654 in the baseline"),
        ("dataset", "another", "data set: another now, phantom in the baseline"),
        ("images", 599, "images: 599 now, 600 in the baseline"),
        ("labels", ("Effusion",), "labels: ['Effusion'] now, ['COVID-19'] in the baseline"),
    ],
)
def test_other_images_of_a_supplemental_role_are_noted(make_study, field, value, what):
    before = make_study("before", {"control": (1.0, 1)})
    roles = dict(before.results.roles)
    roles["findings"] = replace(roles["findings"], **{field: value})
    report = gate(make_study("now", {"control": (1.0, 1)}, roles=roles), before)
    assert report.notes == (f"role 'findings', {what}",)
    assert report.outcome == "pass"


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"network": "resnet18"}, "network: resnet18 now, densenet121 in the baseline"),
        ({"image_size": 64}, "image_size: 64 now, 32 in the baseline"),
        ({"init": "imagenet"}, "init: imagenet now, random in the baseline"),
        ({"calibrated": False}, "calibrated: False now, True in the baseline"),
        ({"gate_margin": 0.4}, "gate_margin: 0.4 now, 0.05 in the baseline"),
        (
            {"training": {"covid": {"epochs": 4, "precision": "float32"}}},
            "stage 'covid', epochs: 4 now, 3 in the baseline",
        ),
        (
            {"training": {"covid": {"epochs": 3, "precision": "bfloat16"}}},
            "stage 'covid', precision: bfloat16 now, float32 in the baseline",
        ),
        (
            {"training": {"covid": {"epochs": 3, "precision": "float32", "warmup": 0.5}}},
            "stage 'covid', warmup: 0.5 now, none in the baseline",
        ),
    ],
)
def test_another_profile_under_the_same_name_is_named_field_by_field(make_study, changes, note):
    before = make_study("before", {"control": (1.0, 1)})
    assert gate(make_study("now", {"control": (1.0, 1)}, **changes), before).notes == (note,)


def test_another_target_is_noted(make_study):
    before = make_study("before", {"control": (1.0, 1)})
    now = make_study("now", {"control": (1.0, 1)})
    (scheme,) = now.results.schemes
    target = replace(scheme, target=Target(at_least=0.6, source="a test"), decided_by=(0.5, 0.9))
    now = replace(now, results=replace(now.results, schemes=(target,)))
    note = "scheme 'control', target: at least 0.600 (a test) now, None in the baseline"
    assert gate(now, before).notes == (note,)


def test_the_margin_is_the_baselines(make_study):
    before = make_study("before", {"control": (1.0, 1)}, gate_margin=0.03)
    now = make_study("now", {"control": (1.0, 1)}, gate_margin=0.4)
    report = gate(now, before)
    assert report.margin == 0.03
    assert "gate_margin: 0.4 now, 0.03 in the baseline" in report.notes
    assert gate(now, before, margin=0.1).margin == 0.1


def test_a_loose_margin_of_the_study_lets_no_loss_through(make_study):
    before = make_study("before", {"control": (0.3, 1)})
    now = make_study("now", {"control": (4.0, 2)}, gate_margin=0.45)
    assert gate(now, before).outcome == "fail"
    assert gate(now, before, margin=0.45).outcome == "pass"


def test_a_gain_beyond_the_margin_is_said_and_is_no_pass(make_study):
    before = make_study("before", {"control": (4.0, 1)})
    now = make_study("now", {"control": (0.1, 1)})
    (check,) = gate(now, before).schemes
    assert check.ci_low > 0.05
    assert check.verdict.outcome == "inconclusive"
    assert "look for a leak" in check.verdict.sentence
    assert gate(now, before).outcome == "inconclusive"


def test_counts_are_those_of_the_images_that_were_joined(make_study):
    study = make_study("a", {"control": (1.0, 1)}, n_images=99999)
    report = gate(study, study)
    assert (report.n_images, report.n_patients) == (600, 300)


def test_results_that_do_not_agree_with_their_files_are_refused(make_study):
    study = make_study("a", {"control": (1.0, 1)})
    (scheme,) = study.results.schemes
    curve = replace(scheme.seeds[0].curve, auc=scheme.auc - 0.01, ci_low=0.0)
    wrong = replace(scheme, auc=curve.auc, ci_low=0.0, seeds=(replace(scheme.seeds[0], curve=curve),))
    wrong = replace(study, results=replace(study.results, schemes=(wrong,)))
    for pair in ((wrong, study), (study, wrong)):
        with pytest.raises(GateError, match="its prediction files one of"):
            gate(*pair)


def test_a_role_that_one_side_lacks_is_not_called_other(make_study):
    before = make_study("before", {"control": (1.0, 1)})
    roles = {name: role for name, role in before.results.roles.items() if name != "findings"}
    assert gate(make_study("now", {"control": (1.0, 1)}, roles=roles), before).notes == ()


def test_one_seed_is_said_to_show_nothing_of_other_seeds(make_study):
    study = make_study("a", {"control": (1.0, 1)})
    (check,) = gate(study, study).schemes
    assert check.sources == "the test sample, not another training seed (1 seed now, 1 seed in the baseline)"
    assert (check.var_seeds_now, check.var_seeds_before, check.df) == (None, None, None)
    assert check.se**2 == pytest.approx(check.var_sample)


def several(make_study, name, noises):
    """Return a study of schemes with several seeds, each of its own noise."""
    return make_study(
        name,
        {
            scheme: [(noise, 10 * seed + len(name)) for seed, noise in enumerate(of)]
            for scheme, of in noises.items()
        },
    )


def test_several_seeds_on_each_side_bring_their_chance_in(make_study):
    before = several(make_study, "before", {"control": (0.2, 1.0, 3.0)})
    now = several(make_study, "now", {"control": (3.0, 0.2, 1.0)})
    (check,) = gate(now, before).schemes
    assert check.sources == "the test sample and the training seeds (3 seeds now, 3 seeds in the baseline)"
    seeds = (check.var_seeds_now + check.var_seeds_before) / 3
    assert check.se**2 == pytest.approx(check.var_sample + seeds)
    assert seeds > check.var_sample
    assert check.df < 10


def test_the_order_is_that_of_the_means_over_seeds(make_study):
    # The first seeds alone would say the opposite of what the three say together.
    before = several(
        make_study, "before", {"control": (1.0, 3.0, 3.0, 3.0), "findings": (1.2, 0.5, 0.5, 0.5)}
    )
    now = several(make_study, "now", {"control": (1.0, 3.0, 3.0, 3.0), "findings": (1.2, 0.5, 0.5, 0.5)})
    first, *_ = before.results.by_seed("findings", "control")
    assert first.difference < 0
    (check,) = gate(now, before).order
    assert (check.better, check.worse, check.verdict.outcome) == ("findings", "control", "pass")


@pytest.mark.parametrize("margin", [0, 0.5, -1])
def test_a_margin_out_of_range_is_refused(make_study, margin):
    study = make_study("a", {"control": (1.0, 1)})
    with pytest.raises(GateError, match="the margin must be between"):
        gate(study, study, margin=margin)
