"""Tables of docs/scale.md."""

from __future__ import annotations

import csv
import json

from evidence import DOCS, markdown

FOLDER = DOCS / "scale"


def simulated() -> str:
    """Hours of each cell, with and without shared stages."""
    with (FOLDER / "simulated.csv").open(encoding="utf-8") as file:
        cells = list(csv.DictReader(file))
    head = (
        "schemes",
        "GPUs",
        "stage runs",
        "distinct",
        "hours",
        "hours, nothing shared",
        "longest chain, h",
        "busy",
    )
    rows = [
        (
            f"{int(cell['schemes']):,}",
            cell["gpus"],
            f"{int(cell['runs']):,}",
            f"{int(cell['distinct']):,}",
            f"{float(cell['hours']):.2f}",
            f"{float(cell['alone_hours']):.2f}",
            f"{float(cell['chain_hours']):.2f}",
            f"{float(cell['busy']):.0%}",
        )
        for cell in cells
    ]
    return markdown(head, rows)


def times() -> str:
    """What the simulation is made from."""
    found = json.loads((FOLDER / "times.json").read_text(encoding="utf-8"))
    sizes = ", ".join(f"{name} {images:,}" for name, images in found["supplements"].items())
    rows = [
        ("device, image size", f"{found['device']}, {found['image_size']} px"),
        (
            "training, prediction",
            f"{found['train_images_per_second']:,} and {found['predict_images_per_second']:,} images/s",
        ),
        (
            "to start a stage, to hand over a task",
            f"{found['stage_seconds']:g} s and {found['task_seconds']:g} s",
        ),
        (
            "target",
            f"{found['target']:,} images x {found['target_epochs']}, {found['predicted_images']:,} predicted",
        ),
        ("supplements", f"{sizes}; each x {found['epochs']}"),
        ("source", found["source"]),
    ]
    return markdown(("what", "value"), rows)
