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


def difference(value, se):
    return MeanDifference(0.8 + value, 0.8, value, se, value - 1.96 * se, value + 1.96 * se, 1, 1, se**2)


@pytest.mark.parametrize(
    ("value", "se", "p_worse", "outcome"),
    [
        (0.00, 0.01, 0.5, "pass"),
        (0.10, 0.01, 1.0, "pass"),
        # Certainly worse, and certainly by less than the margin.
        (-0.02, 0.005, 3e-5, "pass"),
        (-0.10, 0.01, 1e-20, "fail"),
        (-0.05, 0.01, 3e-7, "fail"),
        (-0.03, 0.02, 0.07, "inconclusive"),
        # Holm's adjustment has taken the certainty away.
        (-0.045, 0.02, 0.06, "inconclusive"),
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


def test_differences_are_the_paired_clustered_ones(make_study):
    before = make_study("before", {"control": (1.0, 1)})
    now = make_study("now", {"control": (1.5, 3)})
    (check,) = gate(now, before).schemes
    files = [read_predictions(study.folder / "predictions/control.csv") for study in (now, before)]
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
    path = now.folder / "predictions/control.csv"
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *reversed(rows)]) + "\n")
    (scheme,) = now.results.schemes
    entry = replace(scheme.seeds[0], sha256=file_sha256(path))
    now = replace(now, results=replace(now.results, schemes=(replace(scheme, seeds=(entry,)),)))
    assert gate(now, before).schemes[0].difference == 0


def test_an_order_that_is_certainly_turned_round_fails(make_study):
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


def test_schemes_on_one_side_only_are_said_and_not_judged(make_study):
    before = make_study("before", {"control": (1.0, 1), "findings": (1.0, 2)})
    report = gate(make_study("now", {"control": (1.0, 1), "sequential": (1.0, 3)}), before)
    assert [check.scheme for check in report.schemes] == ["control"]
    assert report.notes == (
        "scheme 'findings' is in the baseline and was not run",
        "scheme 'sequential' is not in the baseline",
    )


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


def slower(results, factor):
    return {
        "stages": tuple(
            replace(stage, images_per_second=stage.images_per_second / factor) for stage in results.stages
        )
    }


@pytest.mark.parametrize(("factor", "outcome"), [(1.0, "pass"), (1.2, "pass"), (1.3, "fail")])
def test_training_that_got_slower_fails_beyond_the_limit(make_study, tiny, factor, outcome):
    before = make_study("before", {"control": (1.0, 1)})
    now = make_study("now", {"control": (1.0, 1)}, **slower(tiny.results, factor))
    check = next(check for check in gate(now, before).speed if check.what == "training")
    assert check.ratio == pytest.approx(factor)
    assert check.verdict.outcome == outcome


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"device": {"type": "cuda", "name": "a card"}}, "device type cuda, name a card now"),
        ({"versions": {"torch": "0.0"}}, "torch 0.0 now"),
    ],
)
def test_speeds_of_different_machines_are_not_compared(make_study, tiny, changes, reason):
    before = make_study("before", {"control": (1.0, 1)})
    now = make_study("now", {"control": (1.0, 1)}, **slower(tiny.results, 100), **changes)
    report = gate(now, before)
    assert report.outcome == "pass"
    for check in report.speed:
        assert check.ratio is None
        assert "not comparable" in check.verdict.sentence
        assert reason in check.verdict.sentence


def test_another_seed_is_noted(make_study):
    before = make_study("before", {"control": (1.0, 1)})
    now = make_study("now", {"control": (1.0, 2)}, seeds=(7,))
    assert gate(now, before).notes == ("other training seeds: [7] now, [0] in the baseline",)


@pytest.mark.parametrize("changed", [{"split_hash": "f" * 64}, {"dataset": "another"}])
def test_other_images_of_a_supplemental_role_are_noted(make_study, changed):
    before = make_study("before", {"control": (1.0, 1)})
    roles = dict(before.results.roles)
    roles["findings"] = replace(roles["findings"], **changed)
    report = gate(make_study("now", {"control": (1.0, 1)}, roles=roles), before)
    old, new = before.results.roles["findings"], roles["findings"]
    assert report.notes == (
        "role 'findings' has other images or another split than in the baseline: "
        f"{new.dataset} {new.split_hash[:12]} now, {old.dataset} {old.split_hash[:12]} in the baseline",
    )
    assert report.outcome == "pass"


def test_a_role_that_one_side_lacks_is_not_called_other(make_study):
    before = make_study("before", {"control": (1.0, 1)})
    roles = {name: role for name, role in before.results.roles.items() if name != "findings"}
    assert gate(make_study("now", {"control": (1.0, 1)}, roles=roles), before).notes == ()


def test_one_seed_is_said_to_show_nothing_of_other_seeds(make_study):
    study = make_study("a", {"control": (1.0, 1)})
    (check,) = gate(study, study).schemes
    assert check.chances == "the test sample, not another training seed (1 seed now, 1 seed in the baseline)"
    assert (check.var_seeds_now, check.var_seeds_before, check.df) == (None, None, None)
    assert check.se**2 == pytest.approx(check.var_sample)


def several(make_study, name, noises):
    """Return a stored study of schemes with several seeds, each of its own noise."""
    count = max(len(of) for of in noises.values())
    studies = [
        make_study(
            f"{name}-{seed}", {scheme: (of[seed], 10 * seed + len(name)) for scheme, of in noises.items()}
        )
        for seed in range(count)
    ]
    first = studies[0]
    schemes = []
    for scheme in first.results.schemes:
        seeds = []
        for seed, study in enumerate(studies):
            (entry,) = study.results.scheme(scheme.name).seeds
            path = f"predictions/seed-{seed}-{scheme.name}.csv"
            (first.folder / path).write_bytes((study.folder / entry.predictions).read_bytes())
            seeds.append(replace(entry, seed=seed, predictions=path))
        schemes.append(replace(scheme, seeds=tuple(seeds)))
    return replace(first, results=replace(first.results, schemes=tuple(schemes), seeds=tuple(range(count))))


def test_several_seeds_on_each_side_bring_their_chance_in(make_study):
    before = several(make_study, "before", {"control": (0.2, 1.0, 3.0)})
    now = several(make_study, "now", {"control": (3.0, 0.2, 1.0)})
    (check,) = gate(now, before).schemes
    assert check.chances == "the test sample and the training seeds (3 seeds now, 3 seeds in the baseline)"
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
    (first,) = before.results.pair("findings", "control")
    assert first.difference < 0
    (check,) = gate(now, before).order
    assert (check.better, check.worse, check.verdict.outcome) == ("findings", "control", "pass")


@pytest.mark.parametrize("margin", [0, 0.5, -1])
def test_a_margin_out_of_range_is_refused(make_study, margin):
    study = make_study("a", {"control": (1.0, 1)})
    with pytest.raises(GateError, match="the margin must be between"):
        gate(study, study, margin=margin)


def test_speeds_beside_other_processes_are_not_compared_with_those_alone(make_study, tiny):
    before = make_study("before", {"control": (1.0, 1)})
    beside = tuple(replace(stage, processes=2) for stage in slower(tiny.results, 100)["stages"])
    report = gate(make_study("now", {"control": (1.0, 1)}, stages=beside), before)
    assert report.outcome == "pass"
    for check in report.speed:
        assert check.ratio is None
        assert "processes at a time 1, 2 now, 1 in the baseline" in check.verdict.sentence
