"""What else than the disease could tell a study's labels apart, over the seeds of a calibration.

    python benchmarks/real_doubt.py OUT/runs/as-in-the-profile/seed-* \\
        --profile paediatric-small --data-root DIR --out docs/real

Reads the prediction files of finished studies that differ in their seed alone, and the target films once more
for what is known of them besides the film. Nothing is trained. Writes shortcuts.csv and subgroups.csv.
"""

from __future__ import annotations

import argparse
import csv
import io
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from cxrbench.files import write_text_atomic
from cxrbench.schemes import parse
from cxrbench.study.doubt import doubt, read_covariates, write_covariates
from cxrbench.study.evaluate import reference_scheme
from cxrbench.study.finished import FinishedStudy, join_curves
from cxrbench.study.prepare import prepare
from cxrbench.study.profile import load_profile
from cxrbench.study.progress import Lines
from cxrbench.study.results import Doubt


def measure(studies: Sequence[FinishedStudy], profile_name: str, data_root: Path) -> Doubt:
    """Return what speaks for a shortcut, over the seeds of all ``studies``."""
    profile = load_profile(profile_name)
    schemes = [parse(scheme.name, scheme.notation) for scheme in studies[0].results.schemes]
    curves = {
        scheme.name: join_curves(
            {
                f"{scheme.name}, seed {seed}": part
                for study in studies
                for seed, part in study.by_seed(scheme.name).items()
            }
        )
        for scheme in schemes
    }
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        turns = prepare(profile, frozenset({profile.target}), folder, data_root, Lines())
        sha256 = write_covariates([turn.roles[profile.target] for turn in turns], folder)
        covariates = read_covariates(folder, sha256)
    return doubt(curves, covariates, sha256, reference_scheme(schemes, profile.target))


def write(path: Path, headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(headers)
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomic(path, text.getvalue())


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="+", type=Path)
    parser.add_argument("--profile", required=True)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    studies = [FinishedStudy.open(path) for path in asked.studies]
    found = measure(studies, asked.profile, asked.data_root)
    names = studies[0].results.names
    seeds = ",".join(str(seed) for study in studies for seed in study.results.seeds)
    shortcuts = [
        (
            shortcut.name,
            f"{shortcut.auc:.4f}",
            f"{shortcut.ci_low:.4f}",
            f"{shortcut.ci_high:.4f}",
            *(f"{shortcut.within[name].auc:.4f}" if name in shortcut.within else "" for name in names),
            seeds,
        )
        for shortcut in found.shortcuts
    ]
    left_out = [(kind, "", "", "", *([""] * len(names)), why) for kind, why in found.left_out.items()]
    headers = ("known_of_a_film", "auc", "ci_low", "ci_high", *names, "seeds")
    write(asked.out / "shortcuts.csv", headers, [*shortcuts, *left_out])
    subgroups = [
        (
            *(pair.by, pair.value, pair.images, pair.positive, pair.a, pair.b),
            *(f"{number:.4f}" for number in (pair.difference, pair.ci_low, pair.ci_high)),
            *(f"{p:.3g}" for p in (pair.p_value, pair.p_adjusted)),
        )
        for pair in found.subgroups
    ]
    headers = (
        "by",
        "value",
        "images",
        "positive",
        "a",
        "b",
        "difference",
        "ci_low",
        "ci_high",
        "p",
        "p_holm",
    )
    write(asked.out / "subgroups.csv", headers, subgroups)


if __name__ == "__main__":
    main()
