"""What is tolerated between machines is what honest runs were measured to need, and no less."""

from __future__ import annotations

import configparser
import json
from pathlib import Path

import pytest

from cxrbench.trace.tolerances import FLOAT32

ROOT = Path(__file__).parents[2]
EVIDENCE = json.loads((ROOT / "docs" / "trace" / "tolerances.json").read_text(encoding="utf-8"))
ANOTHER_PRECISION = "bfloat16 instead of float32"
HONEST = {
    each["environment"]: each["largest"]
    for each in EVIDENCE["measured"]
    if each["environment"] != ANOTHER_PRECISION
}


def tolerated(what: str, stage: str, step: int | None) -> float | None:
    """Return how far a number may be away; None where it is not judged."""
    first = stage == "first"
    by_step = {
        "loss": FLOAT32.losses if first else FLOAT32.later_losses,
        "gradient norm": FLOAT32.gradients if first else (),
        "learning rate": (1e-12,) * 16,
    }
    if step is not None:
        return by_step[what][step] if step < len(by_step[what]) else None
    if what == "trunk at the start":
        return FLOAT32.start if first else FLOAT32.later_trunk
    if "validation logits" in what:
        return FLOAT32.start if first else FLOAT32.later_logits
    return {
        "heads at the start": FLOAT32.start,
        "reference logits": FLOAT32.reference,
        "mean of inputs": FLOAT32.inputs,
        "SD of inputs": FLOAT32.inputs,
    }[what]


def beyond(largest) -> list[str]:
    return [
        f"{row['what']}, {row['stage']} stage, step {row['step']}: {row['relative']:.1e}"
        for row in largest
        if (most := tolerated(row["what"], row["stage"], row["step"])) is not None and row["relative"] > most
    ]


@pytest.mark.parametrize("environment", HONEST)
def test_an_honest_run_is_within_all_that_is_judged(environment: str) -> None:
    assert beyond(HONEST[environment]) == []


def test_another_precision_is_not() -> None:
    (largest,) = (e["largest"] for e in EVIDENCE["measured"] if e["environment"] == ANOTHER_PRECISION)
    assert beyond(largest)


def test_every_torch_of_tox_was_measured() -> None:
    tox = configparser.ConfigParser()
    tox.read(ROOT / "tox.ini")
    (names,) = (name for name in tox.sections() if name.startswith("testenv:torch{"))
    of_tox = set(names.removeprefix("testenv:torch{").removesuffix("}").split(","))
    described = (EVIDENCE["reference"], *(each["described"] for each in EVIDENCE["measured"]))
    assert of_tox <= {found["torch"].rsplit(".", 1)[0] for found in described}
