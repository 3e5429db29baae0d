"""How difficult is ``phantom-gpu``, and how long does its training take? Without a study around it.

    python benchmarks/gpu_difficulty.py --out docs/gpu/difficulty.csv      # on a GPU, some four minutes
    python benchmarks/gpu_difficulty.py --out tried.csv --cpu              # in small: does it run?

Films are drawn on the device, the profile's stages are trained on them, each once, and the target's test
films are scored. The control is trained at three severities; between them lies the one at which its AUC is
the paper's. There the other paths follow, the most important first, as long as there is time. Every stage is
a row, written as it comes: seconds in all and of the training steps, images, the validation AUC, and of a
target's stage the test AUC.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import logit
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupShuffleSplit

from cxrbench.calibration.knobs import with_knobs
from cxrbench.cohort.table import Cohort
from cxrbench.datasets.fractals import fractals
from cxrbench.schemes.notation import Stage
from cxrbench.study.cohorts import role_cohort
from cxrbench.study.formula import HELD_OUT, PICTURES
from cxrbench.study.profile import Profile, load_profile
from cxrbench.training.checkpoints import StageFolder
from cxrbench.training.config import StageConfig
from cxrbench.training.data import LabelledImages
from cxrbench.training.loop import Job, hand_on_trunk, load_network, train_stage
from cxrbench.training.network import Network
from cxrbench.training.predict import predict_logits
from cxrbench.training.selection import BestValidationAuc

PAPER = 0.757
"""The control's AUC: Fricks et al. 2021, abstract."""

TARGET, INIT = "covid", "init"

Parts = dict[str, LabelledImages]


class Silent:
    """A progress that shows nothing."""

    def start(self, title: str, images: int) -> None: ...
    def step(self, images: int, loss: float) -> None: ...
    def stop(self) -> None: ...


@dataclass
class Tries:
    """Stages that are trained one from another.

    size: of the images, px. end: no stage is begun after this moment of ``time.monotonic``.
    """

    profile: Profile
    device: torch.device
    size: int
    out: Path
    end: float

    def __post_init__(self) -> None:
        self.store = tempfile.TemporaryDirectory()
        self.rows: list[dict[str, Any]] = []
        self.sets: dict[str, tuple[float, Parts]] = {}

    def images(self, role: str, severity: float = 0.0) -> Parts:
        """Return the images of ``role`` by part; the target's with films of a median ``severity``."""
        if role not in self.sets or self.sets[role][0] != severity:
            made = with_knobs(self.profile, {"covid.severity_median": severity}) if severity else self.profile
            cohort = role_cohort(made, role, None, str(self.device))
            tested = cohort.table["image_id"].isin(cohort.official_test).to_numpy()
            rest = np.flatnonzero(~tested)
            # Whole patients, but not in strata: of 112,120 images that takes longer than the training.
            split = GroupShuffleSplit(1, test_size=made.roles[role].fractions[1], random_state=0)
            ((train, validation),) = split.split(rest, groups=cohort.table["patient_id"].to_numpy()[rest])
            rows = {"train": rest[train], "validation": rest[validation], "test": np.flatnonzero(tested)}
            self.sets[role] = severity, {p: self.read(cohort, r) for p, r in rows.items() if len(r)}
        return self.sets[role][1]

    def read(self, cohort: Cohort, rows: Any) -> LabelledImages:
        """Return ``rows`` of ``cohort`` in memory."""
        labels = cohort.table.iloc[rows][list(cohort.labels)].to_numpy(np.float32)
        return LabelledImages(cohort.pixels.read_batch(rows, self.size), labels)

    def train(
        self, path: str, parent: StageFolder | None, parts: dict[str, Parts], config: StageConfig, seed: int
    ) -> StageFolder:
        """Train the stage at the end of ``path``, role -> part -> images, and write its row."""
        folder = StageFolder(Path(self.store.name) / str(len(self.rows)), "tried")
        heads = {role: images["train"].labels.shape[1] for role, images in parts.items()}

        def start() -> Network:
            network = Network(self.profile.network, heads, seed)
            if parent is not None:
                hand_on_trunk(parent, network)
            return network

        train, validation = ({r: p[name] for r, p in parts.items()} for name in ("train", "validation"))
        chosen = BestValidationAuc(TARGET if TARGET in parts else next(iter(parts)))
        began = time.monotonic()
        job = Job(path, train, validation, config, chosen, seed)
        done = train_stage(job, start, folder, self.device, Silent())
        row = {"path": path, "seed": seed, "severity": "", "auc": "", "refused": done.record.refused}
        row |= {"learning_rate": config.learning_rate, "epochs": config.epochs}
        row |= {"seconds": round(time.monotonic() - began, 1)}
        row |= {"training_seconds": round(sum(epoch.train_seconds for epoch in done.history), 1)}
        row |= {"images": sum(epoch.images for epoch in done.history)}
        self.rows.append(row | {"validation_auc": round(done.history[-1].validation_auc, 4)})
        self.write()
        return folder

    def config(self, *roles: str) -> StageConfig:
        """Return the profile's settings of a stage of ``roles``."""
        return self.profile.stage_config(Stage(frozenset(roles)))

    def supplement(self, path: str, parent: StageFolder, *roles: str, seed: int = 0) -> StageFolder:
        """Train a stage of supplemental images."""
        return self.train(path, parent, {r: self.images(r) for r in roles}, self.config(*roles), seed)

    def score(self, path: str, parent: StageFolder, severity: float, seed: int = 0) -> float:
        """Train the target behind ``parent`` and return its test AUC."""
        parts = self.images(TARGET, severity)
        config = self.config(TARGET)
        folder = self.train(path, parent, {TARGET: parts}, config, seed)
        network = load_network(folder, self.profile.network, {TARGET: 1}, self.device)
        pixels = torch.from_numpy(parts["test"].pixels).unsqueeze(1).to(self.device)
        scores = predict_logits(network, pixels, [TARGET], config.precision)[:, 0]
        auc = float(roc_auc_score(parts["test"].labels[:, 0], scores))
        self.rows[-1] |= {"severity": severity, "auc": round(auc, 4)}
        self.write()
        return auc

    def write(self) -> None:
        """Write all rows; print the last."""
        with self.out.open("w", newline="") as file:
            table = csv.DictWriter(file, list(self.rows[0]))
            table.writeheader()
            table.writerows(self.rows)
        print(self.rows[-1], flush=True)


def initial(tries: Tries) -> StageFolder:
    """Train the profile's first stage, on pictures of a formula."""
    init = tries.profile.init
    pictures = fractals(init.classes, init.each + HELD_OUT, init.seed or 0)
    first = init.classes * init.each
    parts = {"train": np.arange(first), "validation": np.arange(first, len(pictures))}
    images = {PICTURES: {name: tries.read(pictures, rows) for name, rows in parts.items()}}
    return tries.train(INIT, None, images, init.config, init.seed or 0)


def tried(tries: Tries, severities: tuple[float, ...]) -> None:
    """Train and score, the most important first."""
    init = initial(tries)
    controls = [tries.score(f"{INIT} > {TARGET}", init, severity) for severity in severities]
    slope, height = np.polyfit(severities, logit(controls), 1)
    fitted = float(np.clip(round((logit(PAPER) - height) / slope, 2), 0.02, 0.98))
    findings = tries.supplement(f"{INIT} > findings", init, "findings")
    both = tries.supplement(f"{INIT} > findings > pneumonia", findings, "pneumonia")
    for seed in range(3):
        for path, parent in ((INIT, init), (f"{INIT} > findings > pneumonia", both)):
            if time.monotonic() < tries.end:
                tries.score(f"{path} > {TARGET}", parent, fitted, seed)
    if time.monotonic() < tries.end:
        tries.score(f"{INIT} > findings > {TARGET}", findings, fitted)
    for roles in (("pneumonia",), ("findings", "pneumonia")):
        if time.monotonic() < tries.end:
            path = f"{INIT} > {' + '.join(roles)}"
            tries.score(f"{path} > {TARGET}", tries.supplement(path, init, *roles), fitted)


def main() -> int:
    """Try everything that there is time for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the CSV file to write")
    parser.add_argument("--minutes", type=float, default=9.0, help="no stage is begun after these")
    parser.add_argument("--cpu", action="store_true", help="everything in small, on the CPU")
    options = parser.parse_args()
    profile = load_profile("phantom-gpu")
    device, size = torch.device("cuda"), profile.image_size
    if options.cpu:
        device, size = torch.device("cpu"), 32
        short = replace(profile.default_stage, epochs=1, batch_size=8)
        init = replace(profile.init, classes=3, each=8)
        profile = replace(profile, init=init, default_stage=short, stages={})
        for role, images in (("findings", 400), ("pneumonia", 400), ("covid", 200)):
            profile = with_knobs(profile, {f"{role}.n_images": images})
        profile = with_knobs(profile, {"covid.n_test_images": 80})
    end = time.monotonic() + 60 * options.minutes
    tried(Tries(profile, device, size, options.out, end), (0.4, 0.6, 0.8))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
