"""Damage users' prediction files and profiles at random, use them, and count what comes of it.

python fuzz_texts.py SEED COUNT FOLDER

Prints one line of JSON: outcomes by kind of file, the slowest in seconds, the largest memory in MiB, and what
was neither used nor refused in one line.
"""

from __future__ import annotations

import io
import json
import random
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tiny_study
from mutations import damaged_bytes, damaged_csv
from tally import Tally, outcome

from cxrbench.files import canonical_json
from cxrbench.schemes import make_plan
from cxrbench.statistics import auc, compare_all
from cxrbench.statistics.predictions import read_all, read_predictions
from cxrbench.study.cohorts import role_cohort
from cxrbench.study.profile import load_profile, profile_names, profile_text

VALUES = [
    *("true", "false", "0", "-1", "1", "2", "3", "32", "33", "4096", "100000", "0x10", "1_0", "1e400", "nan"),
    *(
        "inf",
        "-inf",
        "-0.0",
        "0.5",
        "1.5",
        "1e-9",
        "1e300",
        "99999999999999999999999",
        "''",
        "'x'",
        "'../../x'",
    ),
    *("[]", "[[]]", "['a']", "[1, 1]", "[1.5]", "[true]", "[nan]", "[0, 1, 2]", "{}", "{ a = 1 }", "'5'"),
    *("{ kind = 'file' }", "{ kind = 3 }", "{ kind = 'file', path = 3 }", '"\\u0000"', '"a\\nb"', '"a/b"'),
    *(
        "1979-05-27",
        "07:32:00",
        "'init > covid'",
        "['init > covid']",
        "'init > covid > covid'",
        "['COVID-19']",
    ),
    *("{ rotation = 'x' }", "{ rotation = nan }", "{ rotation = -5 }", "{ scale = 2 }", "{ flip = 7 }"),
]
KEYS = [
    *("seeds", "labels", "limit", "options", "folds", "split", "test", "validation", "epochs", "batch_size"),
    *(
        "warmup",
        "precision",
        "augmentation",
        "weight_decay",
        "learning_rate",
        "on_leak",
        "gate_margin",
        "views",
    ),
    *(
        "patient_ids",
        "calibrated",
        "auc",
        "sd",
        "tolerance",
        "at_least",
        "uncertain",
        "where",
        "ages",
        "links",
    ),
    *("patients", "max_pixels", "image_size", "data_seed", "network", "init", "target", "label", "n_images"),
]
HEADS = [
    *("[roles.'../x']", "[roles.init]", "[roles.'']", "[roles.x.y]", "[[roles.covid]]", "[stages.'a + a']"),
    *("[stages.init]", "[stages.'']", "[targets.nope]", "[schemes.x]", "[schemes]", "[study.x]", "[zz]"),
]


def damaged_toml(text: str, rng: random.Random) -> bytes:
    """Return a profile with a value, a line or a table's name changed; one time in eight its bytes."""
    if rng.random() < 0.12:
        return damaged_bytes(text.encode(), rng)
    lines = text.splitlines()
    for _ in range(rng.choice((1, 1, 1, 2))):
        at = rng.choice([i for i, line in enumerate(lines) if "=" in line and not line.startswith("#")])
        match rng.randrange(10):
            case 0 | 1 | 2 | 3 | 4 | 5 | 6:
                lines[at] = f"{lines[at].split('=')[0].strip()} = {rng.choice(VALUES)}"
            case 7:
                del lines[at]
            case 8:
                lines.insert(at, f"{rng.choice(KEYS)} = {rng.choice(VALUES)}")
            case 9:
                heads = [i for i, line in enumerate(lines) if line.startswith("[")]
                lines[rng.choice(heads)] = rng.choice(HEADS)
    return ("\n".join(lines) + "\n").encode()


def predictions() -> bytes:
    rng = np.random.default_rng(5)
    rows = [f"i{i:02},p{i // 2},{int(i % 4 == 0)},{rng.random()!r}" for i in range(24)]
    return "\n".join(["image_id,patient_id,label,score", *rows, ""]).encode()


def parquet(content: bytes, rng: random.Random) -> bytes:
    """Return prediction rows as Parquet, with a column of another type or with damaged bytes."""
    table = pd.read_csv(io.BytesIO(content))
    column, n = rng.choice(list(table.columns)), len(table)
    strange: list[Any] = [
        *([i % 2 == 0 for i in range(n)], [[1, 2]] * n, [b"\xff\x00"] * n, [{"a": 1}] * n, [None] * n),
        *([pd.Timestamp("2020-01-01")] * n, ["1+2j"] * n, pd.array([1, None] * (n // 2), dtype="Int64")),
        *(table[column].astype(str).astype("category"), np.arange(n).astype("int8"), [[[None]]] * n),
        np.linspace(0, 1, n).astype("float16"),
    ]
    out = io.BytesIO()
    if rng.random() < 0.4:
        table[column] = rng.choice(strange)
        table.to_parquet(out)
        return out.getvalue()
    table.to_parquet(out, compression=rng.choice((None, "snappy", "gzip")))
    return damaged_bytes(out.getvalue(), rng)


def score(path: Path) -> None:
    found = read_predictions(path)
    curve = auc(found.labels, next(iter(found.scores.values())), found.patients)
    assert 0 <= curve.auc <= 1
    both = read_all([path, path])
    compare_all(both.labels, both.scores, both.patients)


def plan(path: Path) -> None:
    profile = load_profile(str(path))
    # The tiny profile has the roles of these two schemes only.
    chosen = profile.select(("control", "findings"))
    for run in make_plan(chosen).runs:
        canonical_json(asdict(profile.stage_config(run.stage)))
    # Sets of real films are not here.
    images = [settings.options.get("n_images") for settings in profile.roles.values()]
    if all(isinstance(number, int) and number < 1000 for number in images):
        for role in sorted({role for scheme in chosen for role in scheme.roles}):
            role_cohort(profile, role, path.parent)


def run(seed: int, count: int, folder: Path) -> dict[str, Any]:
    """Damage ``count`` files and return what came of it."""
    rng = random.Random(seed)
    rows = predictions()
    changes = {"stages.covid": {"epochs": 2}, "schemes.mine": "init > covid", "study.gate_margin": 0.02}
    profiles = [
        tiny_study.profile_text(),
        tiny_study.profile_text(changes),
        *map(profile_text, profile_names()),
    ]
    tally = Tally("used", "refused")
    for number in range(count):
        kind = rng.choice(("csv", "csv", "parquet", "toml", "toml", "toml"))
        path = folder / f"damaged.{kind}"
        if kind == "toml":
            path.write_bytes(damaged_toml(rng.choice(profiles), rng))
        else:
            path.write_bytes(damaged_csv(rows, rng) if kind == "csv" else parquet(rows, rng))
        use = partial(plan if kind == "toml" else score, path)
        tally.add(f"{number} {kind}", kind, partial(outcome, use, "used"))
    return tally.result()


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))))
