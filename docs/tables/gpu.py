"""Tables of docs/devices.md, from what ``benchmarks/gpu_check.sh`` wrote."""

from __future__ import annotations

import csv
import json
from typing import Any

from evidence import DOCS, markdown

FOLDER = DOCS / "gpu"


def _rows(part: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{part}.json").read_text(encoding="utf-8"))["rows"]
    return found


def training() -> str:
    """Images a second in training, and what they are of the plain loop's."""
    rows = {f"{name}, batch 64": row for name, row in _rows("training-speed").items()}
    rows |= {f"recorded, {name}": row for name, row in _rows("batch-speed").items() if name != "batch 64"}
    (plain,) = (row["images_per_second"] for name, row in rows.items() if name.startswith("plain"))
    cells = [
        (
            name,
            f"{row['images_per_second']:,.0f}",
            "{:,.0f} to {:,.0f}".format(*row["images_per_second_quartiles"]),
            f"{row['images_per_second'] / plain:.2f}",
            f"{row['first_call_seconds']:.1f}" if "first_call_seconds" in row else "",
            f"{row['memory_gib']:.1f}" if "memory_gib" in row else "",
        )
        for name, row in rows.items()
    ]
    head = ("training step", "images/s", "quartiles", "of the plain loop", "first 20 steps, s", "memory, GiB")
    return markdown(head, cells)


def prediction() -> str:
    """Images a second in prediction, and the time of a batch."""
    cells = [
        (name, f"{row['images_per_second']:,.0f}", f"{1000 * row['seconds']:.2f}")
        for name, row in _rows("inference-speed").items()
    ]
    return markdown(("prediction", "images/s", "ms"), cells)


def kernels() -> str:
    """Relative distances from float64, of maps and of gradients."""
    cells = [
        (
            name,
            *(
                f"{row[f'{how}, {what}']:.1e}"
                for what in ("maps", "gradients")
                for how in ("torchvision", "ours")
            ),
        )
        for name, row in _rows("kernels").items()
    ]
    head = ("block", "maps, torchvision", "maps, ours", "gradients, torchvision", "gradients, ours")
    return markdown(head, cells)


def difficulty() -> str:
    """The stages of phantom-gpu, what they take and how well they do."""
    with (FOLDER / "difficulty.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = ("path", "severity", "seed", "learning_rate", "epochs", "auc", "validation_auc")
    cells = [
        (
            *(row[column] for column in columns),
            f"{int(row['images']):,}",
            row["seconds"],
            row["training_seconds"],
        )
        for row in rows
    ]
    head = ("path", "severity", "seed", "rate", "epochs", "AUC", "validation AUC", "images", "s", "s, steps")
    return markdown(head, cells)
