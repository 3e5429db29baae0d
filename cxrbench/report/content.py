"""What the terminal, the Markdown summary and the page all say, worded once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cxrbench.report.text import count, decimal, interval, p_value, seconds
from cxrbench.text import first_of, one_line, plural

if TYPE_CHECKING:
    from cxrbench.statistics.records import Omnibus
    from cxrbench.study.results import Results, RoleResult, SchemeResult

CONTROL = "control"
LEVEL = 0.05
"""A pair is said to differ where its adjusted p is below this."""
SYNTHETIC = "synthetic radiographs: says nothing about COVID-19"
SYNTHETIC_BANNER = (
    "Synthetic radiographs. These images were drawn by a program, to find regressions in code. "
    "A result on them says nothing about COVID-19, nor about any patient."
)
REAL_BANNER = (
    "Labels go with source and view. In collected radiographs the positive and the negative images tend to "
    "come from different hospitals, machines and projections, and a network can rank by these alone. "
    "A score is no clinical evidence."
)


def banner(results: Results) -> str:
    """Return what a reader must know before any number."""
    return SYNTHETIC_BANNER if results.synthetic else REAL_BANNER


def answer(results: Results) -> str:
    """Return which scheme is best, and whether that is sure, in one sentence."""
    best = max(results.schemes, key=lambda scheme: scheme.auc)
    mean = "mean AUC" if len(results.seeds) > 1 else "AUC"
    number = f"{decimal(best.auc)} {interval(best.ci_low, best.ci_high)}"
    others = [name for name in results.names if name != best.name]
    if not others:
        return (
            f"Only {best.name} was run ({mean} {number}), so nothing says whether another scheme is better."
        )
    p_values = {name: results.difference(best.name, name).p_adjusted for name in others}
    tied = [name for name, p in p_values.items() if p >= LEVEL]
    beaten = [name for name in others if name not in tied]
    said = f"{best.name} has the highest {mean}, {number}"
    if not tied:
        how = f"largest Holm-adjusted p: {p_value(max(p_values.values()))}"
        against = f"each of the {len(others)} others" if len(others) > 1 else others[0]
        if len(results.seeds) > 1:
            return f"{said}, and that is sure: it is better than {against} ({how})."
        return (
            f"{said}, and of these trained networks that is sure: it is better than {against} ({how}); what "
            "another training seed would give, one seed cannot say."
        )
    better = f"it is better than {first_of(beaten)}, and" if beaten else "it"
    against = "any other scheme" if not beaten and len(others) > 1 else first_of(tied, " or ")
    least = p_value(min(p_values[name] for name in tied))
    more = " or more" if len(tied) > 1 and least != p_value(1.0) else ""
    return (
        f"{said}, but whether it is best is not sure: {better} cannot be told from {against} "
        f"(Holm-adjusted p {least}{more})."
    )


def clustered(results: Results) -> bool:
    """Return whether the test part has several images of a patient, which standard errors then allow for."""
    return 0 < results.n_patients < results.n_images


def seeds_text(results: Results) -> str:
    """Return ``seed 0`` or ``seeds 0, 1, 2``."""
    word = "seed" if len(results.seeds) == 1 else "seeds"
    return f"{word} {', '.join(str(seed) for seed in results.seeds)}"


def folds(results: Results) -> int:
    """Return the number of folds that the target is cross-validated in, 0 where it is not."""
    return results.roles[results.target].folds


def sample_text(results: Results) -> str:
    """Return the size of the test part in words, and that it is cross-validated where it is."""
    patients = plural(results.n_patients, "patient") if results.n_patients else "patients not known"
    how = f"; {folds(results)}-fold cross-validation, patients grouped" if folds(results) else ""
    return f"{plural(results.n_images, 'image')}, {count(results.n_positive)} positive, {patients}{how}"


def cohorts(results: Results) -> list[tuple[str, RoleResult]]:
    """Return every role and every further test, named as in the tables of the data."""
    roles = [
        (f"{name} (tested)" if name == results.target else name, role) for name, role in results.roles.items()
    ]
    return roles + [(f"{name} (further test)", test.cohort) for name, test in results.tests.items()]


def device_text(results: Results) -> str:
    """Return the device in words: ``cpu (x86_64 AVX2; threads 2)``."""
    others = "; ".join(
        str(value) if key == "name" else f"{key} {value}"
        for key, value in results.device.items()
        if key != "type"
    )
    kind = str(results.device.get("type", "device"))
    return one_line(f"{kind} ({others})" if others else kind)


def short_target(scheme: SchemeResult) -> str:
    """Return the target without its source; a star marks one that is not yet calibrated."""
    if scheme.target is None:
        return "none"
    return str(replace(scheme.target, source="")) + ("" if scheme.target.calibrated else "*")


def has_uncalibrated(results: Results) -> bool:
    """Return whether a target is not yet calibrated, so that the star needs its explanation."""
    return any(scheme.target is not None and not scheme.target.calibrated for scheme in results.schemes)


def reaches_text(results: Results) -> str:
    """Return each scheme that a spread decides, with how far from its target it passes: ``control ± 0.034``.

    "" for none.
    """
    found = [
        (scheme.name, scheme.target.reach(len(scheme.seeds)))
        for scheme in results.schemes
        if scheme.spread_decides and scheme.target is not None
    ]
    return ", ".join(f"{name} ± {decimal(half)}" for name, half in found if half is not None)


def has_control(results: Results) -> bool:
    """Return whether there is a control and something to compare with it."""
    return CONTROL in results.names and len(results.schemes) > 1


def p_against_control(results: Results, scheme: SchemeResult) -> str:
    """Return the adjusted p-value against the control, over all seeds."""
    if not has_control(results) or scheme.name == CONTROL:
        return ""
    return p_value(results.difference(scheme.name, CONTROL).p_adjusted)


def column_notes(results: Results) -> tuple[str, ...]:
    """Return how the columns of the scheme table were made, one sentence each."""
    several = len(results.seeds) > 1
    by = "clustered by patient" if clustered(results) else "images taken as independent"
    if several:
        interval = "95% interval of that mean for new seeds and new patients"
        notes = [f"AUC: mean of {seeds_text(results)}; {interval}, {by}"]
    else:
        notes = [f"AUC: {seeds_text(results)}; 95% interval for new patients, {by}"]
    if folds(results):
        notes.append(
            "cross-validation: each image is scored once, by the network of its fold, which saw neither it "
            f"nor its patient; the scores of the {folds(results)} networks are ranked together"
        )
    if has_control(results):
        pairs = plural(len(results.pairs), "pair")
        tested = (
            "difference of the mean AUCs, for new seeds and new patients" if several else "paired DeLong test"
        )
        notes.append(f"p: {tested}, against the control, {by}, Holm-adjusted over {pairs}")
    reaches = reaches_text(results)
    if reaches:
        notes.append(
            "verdict: where the target is a calibration's mean and spread, the AUC passes where 95% of runs "
            f"of unchanged code lie ({reaches}) and fails outside of where 99.9% lie"
        )
    if has_uncalibrated(results):
        notes.append("*: the target is not yet calibrated, so no interval settles it")
    mean = ", mean over seeds" if several else ""
    over = f", over all {folds(results)} folds" if folds(results) else ""
    most = max(stage.processes for stage in results.stages)
    parallel = f"; up to {most} stages at a time" if most > 1 else ""
    notes.append(
        f"seconds: training of the scheme's whole chain, as if no stage were shared{over}{mean}{parallel}"
    )
    return tuple(notes)


def network_notes(results: Results) -> tuple[str, ...]:
    """Return what the statistics note of networks: a note that holds for all of them once."""
    noted: dict[str, list[str]] = {}
    networks = [(scheme.name, seed) for scheme in results.schemes for seed in scheme.seeds]
    for name, seed in networks:
        if seed.curve.note:
            noted.setdefault(seed.curve.note, []).append(f"{name}, seed {seed.seed}")
    return tuple(
        f"{'All networks' if len(names) == len(networks) else '; '.join(names)}: {note}"
        for note, names in noted.items()
    )


def omnibus_text(omnibus: Omnibus) -> str:
    """Return the test that all AUCs are equal, in words."""
    if omnibus.chi2 is None or omnibus.p_value is None:
        tested = "not testable"
    else:
        tested = f"chi-square {decimal(omnibus.chi2, 2)}, {omnibus.df} df, p {p_value(omnibus.p_value)}"
    return f"{tested} ({omnibus.note})" if omnibus.note else tested


def _initial(results: Results) -> str:
    formula = results.formula
    if formula is None:
        return results.init
    return f"{results.init} ({seconds(formula.seconds)} s, in no scheme's seconds; key {formula.key[:12]})"


def provenance(results: Results) -> tuple[tuple[str, str], ...]:
    """Return what a number of this study is traced by, as (what, value)."""
    return (
        ("profile", results.profile),
        ("network", results.network),
        ("initial parameters", _initial(results)),
        ("seeds", ", ".join(str(seed) for seed in results.seeds)),
        ("device", device_text(results)),
        ("split of the test role", results.roles[results.target].split_hash),
        *((f"version of {name}", str(version)) for name, version in results.versions.items()),
    )
