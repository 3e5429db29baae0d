"""A trained network, found in a study's folder or in the folder of one stage run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch

from cxrbench.errors import CxrbenchError, RecordError
from cxrbench.files import digest, read_file
from cxrbench.records import read_record
from cxrbench.study.finished import FinishedStudy
from cxrbench.study.normalise import Moments, level_table
from cxrbench.study.predictions import PredictionFile, prediction_path
from cxrbench.study.results import RESULTS, SchemeResult, SeedResult, StageResult
from cxrbench.study.temperatures import Temperature, keep_temperature, kept_temperature
from cxrbench.text import complaint, did_you_mean
from cxrbench.training.checkpoints import StageFolder
from cxrbench.training.config import PrecisionChoice
from cxrbench.training.loop import load_network
from cxrbench.training.network import Network
from cxrbench.training.networks import architecture

STAGE = "stage.json"


@dataclass(frozen=True)
class InStudy:
    """Which of a study's networks it is; ``fold`` is None where the target is not cross-validated.

    chosen: by what, where the user did not say; else empty.
    """

    study: FinishedStudy
    scheme: SchemeResult
    seed: SeedResult
    fold: int | None
    chosen: str = ""

    def __str__(self) -> str:
        fold = f", fold {self.fold}" if self.fold else ""
        return f"scheme {self.scheme.name} ({self.scheme.notation}), seed {self.seed.seed}{fold}"


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained network that scores the target's label.

    run: the stage run in the notation. network: its name. outputs: role -> number of labels, of all heads.
    role, label: what is scored. size: of the images, px. precision: that it was trained and tested in.
    initial: what the run starts from, where that is no other run. study: None where only the stage's folder
    is there. moments: by which the images are normalised, None where the network does it alone. crop:
    whether they are cropped to the film. notes: what may make scores differ from the study's.
    """

    folder: StageFolder
    run: str
    network: str
    outputs: Mapping[str, int]
    role: str
    label: str
    size: int
    precision: PrecisionChoice
    study: InStudy | None
    temperature: Temperature | None
    moments: Moments | None = None
    crop: bool = False
    notes: tuple[str, ...] = ()

    @property
    def levels(self) -> npt.NDArray[np.uint8] | None:
        """What each grey value becomes before the network sees it, (256,); None where it stays."""
        if self.moments is None:
            return None
        kind = architecture(self.network)
        return level_table(self.moments, kind.mean, kind.std)

    @property
    def synthetic(self) -> bool | None:
        """Whether it was trained on synthetic radiographs; None where that is not known."""
        return self.study.study.results.synthetic if self.study else None

    @property
    def max_pixels(self) -> int:
        """Of the largest picture that its study decoded; 0 for the reader's own limit."""
        roles = self.study.study.results.settings.get("roles", {}) if self.study else {}
        return int(roles.get(self.role, {}).get("max_pixels", 0))

    def load(self, device: torch.device) -> Network:
        """Return the network on ``device``, its parameters' hash checked.

        Raises
        ------
        TrainingError: its file is missing, damaged or of another network.
        """
        return load_network(self.folder, self.network, self.outputs, device).eval()

    def __str__(self) -> str:
        return str(self.study) if self.study else f"stage {self.run}"


def find_trained(
    path: Path, scheme: str | None = None, seed: int | None = None, fold: int | None = None
) -> TrainedNetwork:
    """Return the network of a study, or of one stage's folder, that ``path`` names.

    Parameters
    ----------
    path: a study's folder or ``results.json``, or the folder of a stage run, or a file in one.
    scheme, seed, fold: which of a study's networks; what is not given is chosen by the validation AUC: the
        scheme with the highest mean, then its highest network. The test part chooses nothing.

    Raises
    ------
    CxrbenchError: there is no such network.
    """
    folder = path if path.is_dir() else path.parent
    if (folder / STAGE).is_file():
        asked = {"--scheme": scheme, "--seed": seed, "--fold": fold}
        given = [option for option, value in asked.items() if value is not None]
        if given:
            raise CxrbenchError(f"{folder} is one stage run: {', '.join(given)} goes with a study's folder")
        return _of_stage(folder, None)
    if not (folder / RESULTS).is_file():
        raise CxrbenchError(
            f"{path} holds no trained network: name a finished study's folder (with {RESULTS}), or the "
            f"folder of one of its stages (with {STAGE})"
        )
    study = FinishedStudy.open(path)
    found, stage = _choose(study, scheme, seed, fold)
    made = _of_stage(study.folder / "stages" / stage.key[:20], found)
    if made.folder.key != stage.key:
        raise CxrbenchError(f"{made.folder.path} is not the stage that the study used; run the study again")
    return made


def _choose(
    study: FinishedStudy, scheme: str | None, seed: int | None, fold: int | None
) -> tuple[InStudy, StageResult]:
    results = study.results
    names = [results.scheme(scheme).name] if scheme is not None else list(results.names)
    stages = {name: study.last_stages(name) for name in names}
    best = max(names, key=lambda name: _mean([stage.validation_auc for stage in stages[name]]))
    candidates = stages[best]
    for what, wanted, known in (
        ("seed", seed, sorted({stage.seed for stage in candidates})),
        ("fold", fold, sorted({stage.fold for stage in candidates if stage.fold})),
    ):
        if wanted is not None and wanted not in known:
            has = ", ".join(map(str, known)) or "none"
            raise CxrbenchError(f"{study.folder}: no {what} {wanted} of scheme {best!r} (there: {has})")
        if wanted is not None:
            candidates = [stage for stage in candidates if getattr(stage, what) == wanted]
    stage = max(candidates, key=lambda stage: stage.validation_auc)
    by = [] if len(names) == 1 else ["scheme"]
    by += ["network"] if len(candidates) > 1 else []
    chosen = f"{' and '.join(by)} of the highest validation AUC" if by else ""
    of_scheme = results.scheme(best)
    of_seed = next(one for one in of_scheme.seeds if one.seed == stage.seed)
    return InStudy(study, of_scheme, of_seed, stage.fold, chosen), stage


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _of_stage(path: Path, study: InStudy | None) -> TrainedNetwork:
    content = _described(path / STAGE)
    folder = StageFolder(path, content["key"])
    try:
        identity, size, role = content["network"], content["size"], content["target"]
        data = {name: parts["train"] for name, parts in content["data"].items()}
        labels = {name: part["labels"] for name, part in data.items()}
        precision, run = cast(PrecisionChoice, content["config"]["precision"]), content["run"]
    except (KeyError, TypeError) as error:
        raise RecordError(f"{path / STAGE} lacks what it should say ({complaint(error)})") from None
    if role not in labels:
        raise CxrbenchError(
            f"{path} is the stage {run!r}, which is not trained on the target {role!r}, so that it has no "
            f"score for it{did_you_mean(role, labels)}; name a stage that ends in {role!r}"
        )
    name = identity.partition(" ")[0]
    notes = []
    if architecture(name).identity != identity:
        notes.append(f"trained as {identity}, and here it is {architecture(name).identity}")
    return TrainedNetwork(
        folder=folder,
        run=run,
        network=name,
        outputs={role: len(names) for role, names in labels.items()},
        role=role,
        label=labels[role][0],
        size=size,
        precision=precision,
        study=study,
        temperature=_temperature(folder, study),
        moments=tuple(data[role]["moments"]) if "moments" in data[role] else None,
        crop=data[role].get("crop", False),
        notes=tuple(notes),
    )


def _temperature(folder: StageFolder, found: InStudy | None) -> Temperature | None:
    if found is None:
        return kept_temperature(folder)
    out = found.study.folder
    validation = prediction_path(found.seed.seed, found.scheme.name, "validation", found.fold)
    try:
        file = read_record((out / validation).with_suffix(".json"), PredictionFile)
    except RecordError:
        return kept_temperature(folder)
    return keep_temperature(folder, out, file)


def _described(path: Path) -> dict[str, Any]:
    """Return what a stage run depends on, as it wrote it down; its key must be that of the rest.

    Raises
    ------
    RecordError: it cannot be read, or was changed.
    """
    try:
        content = json.loads(read_file(path))
        key = content.pop("key")
        intact = digest(content) == key
    except OSError as error:
        raise RecordError(
            f"{path} cannot be read ({error.strerror}); the checkpoints must lie where the study wrote them"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RecordError(f"{path} is damaged: {complaint(error)}") from None
    if not intact:
        raise RecordError(f"{path} was changed after it was written: its key is not that of its content")
    return {**content, "key": key}
