"""The files of a calibration."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cxrbench.calibration.figure import draw
from cxrbench.calibration.markdown import summary
from cxrbench.calibration.records import Calibration, Row
from cxrbench.calibration.rewrite import calibrated_profile, stated
from cxrbench.errors import CxrbenchError
from cxrbench.files import write_bytes_atomic, write_text_atomic
from cxrbench.report.figures.figure import render

FORMAT = 1
FILES = (
    "evidence.csv",
    "calibration.json",
    "profile.toml",
    "calibration.md",
    "calibration.svg",
    "calibration.png",
)


def write(calibration: Calibration) -> tuple[Path, ...]:
    """Write :data:`FILES` into the calibration's folder and return their paths.

    The same calibration gives the same bytes, and no path of this machine is among them.

    Raises
    ------
    CxrbenchError: a file cannot be written.
    """
    request = calibration.request
    figure = draw(calibration)
    contents: tuple[str | bytes, ...] = (
        evidence(calibration),
        json.dumps(_content(calibration), indent=2, allow_nan=False) + "\n",
        calibrated_profile(request.text, calibration.knobs, calibration.targets, calibration.added),
        summary(calibration),
        render(figure, "svg"),
        render(figure, "png"),
    )
    paths = tuple(request.out / name for name in FILES)
    for path, content in zip(paths, contents, strict=True):
        try:
            if isinstance(content, str):
                write_text_atomic(path, content)
            else:
                write_bytes_atomic(path, content)
        except OSError as error:
            raise CxrbenchError(f"{path} cannot be written: {error.strerror or error}") from None
    return paths


def evidence(calibration: Calibration) -> str:
    """Return one CSV row per stage, setting of the knobs, seed and scheme; numbers at full precision."""
    knobs = list(calibration.request.sweep)
    rows = [_flat(row) for row in calibration.rows]
    buffer = io.StringIO()
    head = ["stage", *knobs, "seed", "scheme", "auc", "se_image", "se_clustered", "sample"]
    tail = ["cxrbench", "torch", "torchvision", "threads", "device"]
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
        "statements": [asdict(statement) for statement in calibration.statements],
        "rows": [asdict(row) for row in calibration.rows],
    }
