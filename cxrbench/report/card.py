"""The model card of an exported network (Mitchell et al., "Model cards for model reporting", FAT* 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cxrbench.datasets import adapter
from cxrbench.errors import CxrbenchError
from cxrbench.report.content import REAL_BANNER, SYNTHETIC_BANNER, provenance, sample_text
from cxrbench.report.markup import bullets, escaped, table
from cxrbench.report.redact import without_paths
from cxrbench.report.text import decimal, interval, rule

if TYPE_CHECKING:
    from cxrbench.study.results import Results, RoleResult
    from cxrbench.use.export import Preprocessing
    from cxrbench.use.trained import InStudy, TrainedNetwork

FILE = "MODEL_CARD.md"

_NEVER = (
    "It is not a medical device. It must not be used to diagnose, to triage, or to decide anything about a "
    "patient.",
    "Its scores hold for images like those that it was tested on. On images of another hospital, machine, "
    "age group or view they must be tested again first.",
    "A score is no probability of disease in another population: the calibrated one holds for the share of "
    "positives among the validation images.",
)
_SYNTHETIC_NEVER = (
    "It was trained and tested on drawings. It knows nothing of COVID-19, nor of any disease, nor of any "
    "radiograph: a score of it for a film of a patient means nothing."
)

_UNKNOWN = (
    "What it was trained on is not known here: this is one stage without its study. It may be drawings, and "
    "then it knows nothing of any disease."
)


def model_card(trained: TrainedNetwork, facts: Preprocessing, differences: Mapping[str, float]) -> str:
    """Return the card of a network that was exported, as GitHub-flavoured Markdown.

    Parameters
    ----------
    differences: format -> how far its scores lay from the network's.
    """
    found = trained.study
    results = without_paths(found.study.results) if found else None
    title = f"{results.title}: {found.scheme.name}" if results and found else trained.run
    if results is None:
        first, never = _UNKNOWN, [_UNKNOWN, *_NEVER]
    elif results.synthetic:
        first, never = SYNTHETIC_BANNER, [_SYNTHETIC_NEVER, *_NEVER]
    else:
        first, never = "Trained on radiographs, for research alone.", [*_NEVER, REAL_BANNER]
    blocks = [
        f"# {escaped(title)}",
        f"> {escaped(first)}",
        escaped(
            f"{trained.network}, trained as {trained.run}, scores a chest radiograph for {trained.label}."
        ),
        "## What it must not be used for",
        bullets(never),
        "## How well it does",
    ]
    if results is not None and found is not None:
        blocks += [bullets(_performance(results, found)), _points(found), "## Data", _data(results)]
    else:
        blocks.append("Not known here: this is one stage without its study.")
    blocks += ["## Calibration", bullets(_calibration(trained)), "## Input and output", _io(facts)]
    checked = ", ".join(f"{name} {difference:.1e}" for name, difference in differences.items())
    blocks.append(
        escaped(f"Furthest that a score of each file lay from the network's on made-up images: {checked}.")
    )
    rows = [("stage", trained.folder.key), ("trained in", trained.precision)]
    if results is not None:
        rows += provenance(results)
    blocks += ["## Provenance", table(["", ""], ["left", "left"], [list(row) for row in rows])]
    return "\n\n".join(blocks) + "\n"


def _performance(results: Results, found: InStudy) -> list[str]:
    curve, scheme = found.seed.curve, found.scheme
    lines = [
        f"Test part: {sample_text(results)}.",
        f"AUC of this training (seed {found.seed.seed}): {decimal(curve.auc)}, 95% interval for new patients "
        f"{interval(curve.ci_low, curve.ci_high)}.",
    ]
    if found.fold:
        lines.append(
            f"That AUC is of all {results.roles[results.target].folds} networks of the cross-validation, "
            f"each on its own test images; this is the one of fold {found.fold}."
        )
    if len(scheme.seeds) > 1:
        lines.append(
            f"Mean over {len(scheme.seeds)} trainings: {decimal(scheme.auc)}, 95% interval "
            f"{interval(scheme.ci_low, scheme.ci_high)}."
        )
    if found.chosen:
        lines.append(f"It was chosen among the study's networks: the {found.chosen}.")
    return lines


def _points(found: InStudy) -> str:
    rows = [
        [
            rule(point.chosen),
            "of each fold" if point.threshold is None else f"{point.threshold:.6g}",
            f"{decimal(point.sensitivity)} {interval(point.sensitivity_low, point.sensitivity_high)}",
            f"{decimal(point.specificity)} {interval(point.specificity_low, point.specificity_high)}",
        ]
        for point in found.seed.points
    ]
    headers = ["threshold chosen on validation by", "score", "sensitivity", "specificity"]
    return table(headers, ["left"] * 4, rows)


def _data(results: Results) -> str:
    rows = []
    for name, role in results.roles.items():
        parts = [f"{role.parts[part].images:,}" for part in ("train", "validation", "test")]
        rows.append([name, _title(role), *parts, ", ".join(role.labels)])
    return table(["role", "data set", "train", "validation", "test", "labels"], ["left"] * 6, rows)


def _title(role: RoleResult) -> str:
    try:
        return adapter(role.dataset).title
    except CxrbenchError:
        # Of a package that is not installed here.
        return role.dataset


def _calibration(trained: TrainedNetwork) -> list[str]:
    fitted = trained.temperature
    if fitted is None:
        return ["No temperature was fitted: the calibrated score is the score."]
    return [
        f"Temperature {fitted.temperature:.4g}, fitted on {fitted.images:,} validation images, "
        f"{fitted.positive:,} positive (Guo et al., ICML 2017): the logit is divided by it.",
        f"Mean log loss there: {decimal(fitted.loss_before)} before, {decimal(fitted.loss_after)} after. "
        "No order, and so no AUC, changes.",
    ]


def _io(facts: Preprocessing) -> str:
    rows = [
        ("image", f"{facts.crop}, resized to {facts.size} x {facts.size} px, {facts.resize}"),
        ("values", facts.values),
        ("polarity", facts.polarity),
        ("input of model.onnx and model.pt2", facts.input),
        ("their outputs", facts.outputs),
        ("input of model.safetensors", facts.state_dict_input),
        ("mean", ", ".join(f"{value:.6g}" for value in facts.mean)),
        ("std", ", ".join(f"{value:.6g}" for value in facts.std)),
    ]
    return table(["", ""], ["left", "left"], [list(row) for row in rows])
