"""What a calibration measured, row by row as CSV, and all of it as JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cxrbench.calibration.records import Calibration, Row
from cxrbench.calibration.rewrite import stated

FORMAT = 1


def as_json(calibration: Calibration) -> str:
    """Return all of a calibration as JSON."""
    return json.dumps(_content(calibration), indent=2, allow_nan=False) + "\n"


def evidence(calibration: Calibration) -> str:
    """Return one CSV row per stage, setting of the knobs, seed and scheme; numbers at full precision."""
    knobs = list(calibration.request.sweep)
    rows = [_flat(row) for row in calibration.rows]
    buffer = io.StringIO()
    head = ["stage", *knobs, "seed", "scheme", "auc", "se_image", "se_clustered", "sample"]
    tail = ["cxrbench", "torch", "torchvision", "threads", "device", "precision"]
    writer = csv.DictWriter(buffer, [*head, *tail], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def _flat(row: Row) -> dict[str, Any]:
    values = asdict(row)
    return {**values.pop("knobs"), **values}


def _content(calibration: Calibration) -> Mapping[str, Any]:
    request = calibration.request
    return {
        "format": FORMAT,
        "command": request.command,
        "profile": Path(request.profile).name,
        "synthetic": calibration.synthetic,
        "sweep": {knob: list(values) for knob, values in request.sweep.items()},
        "sweep_seeds": list(request.sweep_seeds) if request.sweep else [],
        "seeds": list(request.seeds),
        "aims": dict(request.aims),
        "knobs": dict(calibration.knobs),
        "fit": asdict(calibration.fit) if calibration.fit else None,
        "added": dict(calibration.added),
        "schemes": [asdict(scheme) for scheme in calibration.schemes],
        "targets": {name: stated(target) for name, target in calibration.targets.items()},
        "claims": {name: asdict(margin) for name, margin in calibration.claims.items()},
        "statements": [asdict(statement) for statement in calibration.statements],
        "rows": [asdict(row) for row in calibration.rows],
    }
