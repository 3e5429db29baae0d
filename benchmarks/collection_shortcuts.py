"""What tells a collection's labels apart without any network: view, age, sex, source, size and brightness.

    python benchmarks/collection_shortcuts.py --profile public-small --data-root DIR --out docs/real/covid.csv

Of the images that the profile tests. Nothing is trained.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from real_doubt import write

from cxrbench.statistics.predictions import Predictions
from cxrbench.study.doubt import doubt, read_covariates, write_covariates
from cxrbench.study.prepare import prepare
from cxrbench.study.profile import load_profile
from cxrbench.study.progress import Lines
from cxrbench.study.results import Doubt


def measure(profile_name: str, data_root: Path) -> Doubt:
    """Return what tells the labels of the target's test images apart."""
    profile = load_profile(profile_name)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        turns = prepare(profile, frozenset({profile.target}), folder, data_root, Lines())
        data = [turn.roles[profile.target] for turn in turns]
        sha256 = write_covariates(data, folder)
        covariates = read_covariates(folder, sha256)
        rows = np.unique(np.concatenate([turn.rows("test") for turn in data]))
        table = data[0].pack.table.loc[rows]
    blind = Predictions(
        image_ids=table["image_id"].to_numpy(dtype=object),
        labels=table[profile.label].to_numpy() == 1,
        scores={"blind": np.zeros(len(table))},
        patients=table["patient_id"].to_numpy(dtype=object),
        table=pd.DataFrame(),
    )
    return doubt({"blind": blind}, covariates, sha256, None)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", required=True)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    found = measure(asked.profile, asked.data_root)
    rows = [
        (s.name, f"{s.auc:.4f}", f"{s.ci_low:.4f}", f"{s.ci_high:.4f}", s.unknown, "")
        for s in found.shortcuts
    ]
    rows += [(kind, "", "", "", "", why) for kind, why in found.left_out.items()]
    write(asked.out, ("known_of_a_film", "auc", "ci_low", "ci_high", "unknown", "left_out"), rows)
    print(asked.out.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
