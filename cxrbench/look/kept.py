"""What of a finished study is still there to look at: packed films, their parts, and trained networks.

A study's results need none of it. Where it was deleted, or the study is a baseline, there is nothing to see,
and :class:`Missing` says what.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from cxrbench.cohort.pack import Pack, open_pack
from cxrbench.cohort.split import PARTS, load_split
from cxrbench.datasets import adapter
from cxrbench.errors import CxrbenchError
from cxrbench.schemes import parse
from cxrbench.statistics.operating import youden_threshold
from cxrbench.statistics.predictions import Predictions, read_predictions
from cxrbench.study.evaluate import FOLD
from cxrbench.study.finished import FinishedStudy
from cxrbench.study.predictions import prediction_path
from cxrbench.training.checkpoints import StageFolder
from cxrbench.training.loop import load_network
from cxrbench.training.network import Network

Rows = npt.NDArray[np.int64]


class Missing(CxrbenchError):  # noqa: N818
    """What would have to be there to look at it; the message names it, and no path."""


@dataclass(frozen=True)
class Scored:
    """The test films of a scheme with one seed, in ascending order of their ``rows`` in the pack.

    called: whether a film's score is at least the threshold that was chosen on validation films (Youden's).
    fold: of each film's network, 0 where there are no folds.
    """

    rows: Rows
    labels: npt.NDArray[np.bool_]
    scores: npt.NDArray[np.float64]
    called: npt.NDArray[np.bool_]
    fold: npt.NDArray[np.int64]


def is_public(study: FinishedStudy, name: str) -> bool:
    """Return whether films of a role or further test are anybody's to see; not of a data set unknown here."""
    settings = study.results.settings
    try:
        cohorts = {**settings["roles"], **settings.get("tests", {})}
        return adapter(str(cohorts[name]["dataset"])).public
    except (CxrbenchError, KeyError, TypeError):
        return False


def pack_of(study: FinishedStudy, name: str) -> Pack:
    """Return the packed films of a role or further test.

    Raises
    ------
    Missing: they are not in the study's folder, or were changed.
    """
    pack = open_pack(study.folder / "packs", study.results.cohorts[name].pack_key)
    if pack is None:
        kind = "role" if name in study.results.roles else "further test"
        raise Missing(f"the packed films of {kind} {name} are not in the study's folder")
    return pack


def parts_of(study: FinishedStudy, name: str, pack: Pack) -> dict[str, Rows]:
    """Return part -> its rows of ``pack``; all are ``test`` of a cross-validated role or a further test.

    Raises
    ------
    Missing: the split's file is not in the study's folder.
    """
    everything = {"test": np.arange(len(pack)).astype(np.int64)}
    if name in study.results.tests:
        return everything
    wanted = study.results.roles[name].split_hash
    for path in sorted((study.folder / "splits").glob(f"{name}-*.csv")):
        try:
            split = load_split(path)
        except CxrbenchError:
            # A damaged one: not the one that the results name.
            continue
        if split.hash != wanted:
            continue
        if split.division.folds:
            return everything
        parts = split.parts_of(pack.table)
        return {part: np.flatnonzero(parts == part) for part in PARTS}
    raise Missing(f"the split of role {name} is not in the study's folder")


def scored(study: FinishedStudy, scheme: str, seed: int, pack: Pack) -> Scored:
    """Return the test films of ``scheme`` with their scores and calls.

    Raises
    ------
    Missing: of a cross-validation, the predictions of the validation films are not in the study's folder.
    CxrbenchError: the test predictions are not those of the results, or of other films than the pack's.
    """
    test = study.by_seed(scheme)[seed]
    (scores,) = test.scores.values()
    called = np.zeros(len(scores), dtype=np.bool_)
    fold = _folds(test)
    for number, threshold in _thresholds(study, scheme, seed).items():
        own = fold == number
        called[own] = scores[own] >= threshold
    rows = pack.rows(test.image_ids.tolist())
    order = np.argsort(rows)
    return Scored(rows[order], test.labels[order], scores[order], called[order], fold[order])


def _folds(predictions: Predictions) -> npt.NDArray[np.int64]:
    if FOLD not in predictions.table.columns:
        return np.zeros(len(predictions.labels), dtype=np.int64)
    return np.asarray(predictions.table[FOLD], dtype=np.int64)


def _thresholds(study: FinishedStudy, scheme: str, seed: int) -> dict[int, float]:
    """Return fold -> threshold by Youden's index; fold 0 is all films."""
    (result,) = [found for found in study.results.scheme(scheme).seeds if found.seed == seed]
    single = [p.threshold for p in result.points if p.chosen == "youden" and p.threshold is not None]
    if single:
        return {0: single[0]}
    try:
        validation = read_predictions(study.folder / prediction_path(seed, scheme, "validation"))
    except CxrbenchError:
        raise Missing(f"the validation predictions of {scheme} are not in the study's folder") from None
    (scores,) = validation.scores.values()
    fold = _folds(validation)
    return {
        int(number): youden_threshold(validation.labels[fold == number], scores[fold == number])
        for number in np.unique(fold)
    }


def networks_of(study: FinishedStudy, scheme: str, seed: int) -> Iterator[tuple[int, Network]]:
    """Yield (fold, network) of ``scheme``, on a GPU where the study used one; fold 0 where there are none.

    Raises
    ------
    Missing: a checkpoint is not in the study's folder, or damaged.
    """
    on_gpu = study.results.device.get("type") == "cuda" and torch.cuda.is_available()
    for stage in study.last_stages(scheme):
        if stage.seed != seed:
            continue
        folder = StageFolder(study.folder / "stages" / stage.key[:20], stage.key)
        roles = parse(scheme, stage.run).stages[-1].roles
        heads = {role: len(study.results.roles[role].labels) for role in sorted(roles)}
        try:
            network = load_network(
                folder, study.results.network, heads, torch.device("cuda" if on_gpu else "cpu")
            )
        except CxrbenchError:
            raise Missing(
                f"the checkpoint of {scheme}, seed {seed}, is not in the study's folder, or damaged"
            ) from None
        yield stage.fold or 0, network
