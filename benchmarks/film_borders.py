"""How many films of real folders have a dark or white border, and how much of the picture it takes.

    python benchmarks/film_borders.py --data-root DIR --out docs/real/borders.csv

Of each data set that is there, so many files are read, drawn at random with a fixed seed.
"""

from __future__ import annotations

import argparse
import csv
import io
import random
from pathlib import Path

import numpy as np

from cxrbench.datasets import discover, load
from cxrbench.errors import DatasetError
from cxrbench.files import write_text_atomic
from cxrbench.radiograph import film_box, read_shown

DATASETS = ("chestxray14", "rsna-pneumonia", "covid-image-collection", "kermany")
COLUMNS = ("dataset", "films", "cropped", "median_share_cut", "largest_share_cut")


def share_cut(path: Path) -> float:
    """Return the share of the picture that cropping to the film takes away."""
    values = read_shown(path)
    top, bottom, left, right = film_box(values)
    return 1 - (bottom - top) * (right - left) / values.size


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--films", type=int, default=300, help="read of each data set")
    asked = parser.parse_args()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name in DATASETS:
        try:
            root = discover(asked.data_root, name)
        except DatasetError as error:
            print(error)
            continue
        paths = sorted(load(name, root).table["path"].tolist())
        chosen = random.Random(0).sample(paths, min(asked.films, len(paths)))
        shares = np.array([share_cut(root / path) for path in chosen])
        cut = shares[shares > 0]
        row = [f"{np.median(cut):.3f}", f"{cut.max():.3f}"] if cut.size else ["", ""]
        writer.writerow([name, len(shares), cut.size, *row])
    write_text_atomic(asked.out, text.getvalue())
    print(text.getvalue())


if __name__ == "__main__":
    main()
