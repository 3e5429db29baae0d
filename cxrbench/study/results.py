"""The results of a study as frozen records, and ``results.json``.

Everything in them comes from prediction files and from what the training wrote down, so results can be read,
compared and reported where there is no model and no GPU.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cxrbench.errors import CxrbenchError
from cxrbench.files import write_text_atomic
from cxrbench.statistics.records import Curve, MarginTest, Omnibus, Pair
from cxrbench.statistics.verdicts import Verdict

FORMAT = 1


@dataclass(frozen=True)
class StageResult:
    """One trained stage run: how long it took and which epoch was kept.

    ``fold`` is the fold of a cross-validation, counted from 1; None where the run depends on none.
    ``processes``: how many stages were trained at a time.
    """

    run: str
    seed: int
    key: str
    epochs: int
    best_epoch: int
    validation_auc: float
    seconds: float
    images_per_second: float
    losses: tuple[float, ...]
    validation_aucs: tuple[float, ...]
    fold: int | None = None
    processes: int = 1


@dataclass(frozen=True)
class Point:
    """Sensitivity and specificity on the test part, with Wilson intervals, at a threshold from validation."""

    chosen: str
    threshold: float
    sensitivity: float
    sensitivity_low: float
    sensitivity_high: float
    specificity: float
    specificity_low: float
    specificity_high: float


@dataclass(frozen=True)
class SeedResult:
    """One scheme trained with one seed, on the test part.

    ``curve`` has the patient-clustered standard error where a patient has several images; ``image_se`` is
    DeLong's, which takes images for independent. ``processes``: how many worked while these were predicted.
    """

    seed: int
    curve: Curve
    image_se: float
    points: tuple[Point, ...]
    predictions: str
    sha256: str
    inference_seconds: float
    processes: int = 1


@dataclass(frozen=True)
class SchemeResult:
    """One scheme over all seeds.

    ``auc`` is the mean over seeds; the interval is that of the one seed, or of the mean as an estimate for
    new seeds and new patients. ``train_seconds`` is the whole chain, as if no other scheme shared it, over
    all folds, mean over seeds.
    """

    name: str
    notation: str
    auc: float
    se: float
    ci_low: float
    ci_high: float
    sd_between_seeds: float | None
    target: str | None
    verdict: Verdict
    train_seconds: float
    seeds: tuple[SeedResult, ...]


@dataclass(frozen=True)
class SeedComparison:
    """All pairs of schemes of one seed, adjusted together, and the test that all are equal."""

    seed: int
    pairs: tuple[Pair, ...]
    omnibus: Omnibus | None


@dataclass(frozen=True)
class RoleResult:
    """What a role's cohort held, how it was split, and what was left out and why.

    ``parts``: part -> images, patients, and positives of each label. ``bad_files``: reason -> number.
    ``folds``: of the cross-validation, 0 where there is none; a part then counts what is in it in any fold,
    and ``split_hash`` is that of the folds. ``duplicates_dropped`` counts what is left out in any fold.
    """

    dataset: str
    listed: int
    images: int
    patients: int
    labels: tuple[str, ...]
    left_out: Mapping[str, int]
    bad_files: Mapping[str, int]
    duplicates_dropped: int
    split_hash: str
    pack_key: str
    parts: Mapping[str, Mapping[str, Any]]
    folds: int = 0


@dataclass(frozen=True)
class Results:
    """A whole study.

    ``sample`` tells the test images from others: a digest of their ids and labels. Results of older versions
    have none.
    """

    profile: str
    title: str
    synthetic: bool
    settings: Mapping[str, Any]
    seeds: tuple[int, ...]
    roles: Mapping[str, RoleResult]
    target: str
    schemes: tuple[SchemeResult, ...]
    comparisons: tuple[SeedComparison, ...]
    stages: tuple[StageResult, ...]
    n_images: int
    n_positive: int
    n_patients: int
    device: Mapping[str, str | int]
    versions: Mapping[str, str]
    seconds: Mapping[str, float]
    sample: str = ""
    format: int = FORMAT

    def scheme(self, name: str) -> SchemeResult:
        """Return the scheme called ``name``.

        Raises
        ------
        CxrbenchError: the study did not run it.
        """
        for scheme in self.schemes:
            if scheme.name == name:
                return scheme
        raise CxrbenchError(f"this study has no scheme {name!r}; it ran {', '.join(self.names)}")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the schemes, in the order of the study."""
        return tuple(scheme.name for scheme in self.schemes)

    def pair(self, a: str, b: str) -> tuple[Pair, ...]:
        """Return the comparison a minus b of each seed, whichever way round it was computed.

        Raises
        ------
        CxrbenchError: the study did not run one of the two.
        """
        self.scheme(a)
        self.scheme(b)
        found = []
        for comparison in self.comparisons:
            for pair in comparison.pairs:
                if (pair.a, pair.b) == (a, b):
                    found.append(pair)
                elif (pair.a, pair.b) == (b, a):
                    found.append(turned(pair))
        return tuple(found)


def turned(pair: Pair) -> Pair:
    """Return ``pair`` as b minus a."""
    return Pair(
        a=pair.b,
        b=pair.a,
        difference=-pair.difference,
        se=pair.se,
        ci_low=-pair.ci_high,
        ci_high=-pair.ci_low,
        z=None if pair.z is None else -pair.z,
        p_value=pair.p_value,
        p_adjusted=pair.p_adjusted,
        note=pair.note,
    )


def save_results(results: Results, path: Path) -> None:
    """Write ``results`` as JSON at full precision, all or nothing."""
    write_text_atomic(path, json.dumps(asdict(results), indent=2, allow_nan=False, default=_plain))


def load_results(path: Path) -> Results:
    """Read what :func:`save_results` wrote.

    Raises
    ------
    CxrbenchError: there is no such file, or it is not a results file of this version.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise CxrbenchError(f"{path} has format {content['format']}; this version reads {FORMAT}")
        return _results(content)
    except FileNotFoundError:
        raise CxrbenchError(f"{path} does not exist; run a study first") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CxrbenchError(f"{path} is not a results file of cxrbench: {error!r}") from None


def _results(content: dict[str, Any]) -> Results:
    return Results(
        **{
            **content,
            "seeds": tuple(content["seeds"]),
            "roles": {
                name: RoleResult(**{**role, "labels": tuple(role["labels"])})
                for name, role in content["roles"].items()
            },
            "schemes": tuple(_scheme(scheme) for scheme in content["schemes"]),
            "comparisons": tuple(
                SeedComparison(
                    seed=c["seed"],
                    pairs=tuple(_pair(pair) for pair in c["pairs"]),
                    omnibus=Omnibus(**c["omnibus"]) if c["omnibus"] else None,
                )
                for c in content["comparisons"]
            ),
            "stages": tuple(
                StageResult(
                    **{
                        **stage,
                        "losses": tuple(stage["losses"]),
                        "validation_aucs": tuple(stage["validation_aucs"]),
                    }
                )
                for stage in content["stages"]
            ),
        }
    )


def _scheme(content: dict[str, Any]) -> SchemeResult:
    seeds = tuple(
        SeedResult(
            **{
                **seed,
                "curve": Curve(**seed["curve"]),
                "points": tuple(Point(**point) for point in seed["points"]),
            }
        )
        for seed in content["seeds"]
    )
    return SchemeResult(**{**content, "verdict": Verdict(**content["verdict"]), "seeds": seeds})


def _pair(content: dict[str, Any]) -> Pair:
    margins = {
        name: MarginTest(**content[name]) if content[name] else None
        for name in ("noninferiority", "superiority")
    }
    return Pair(**{**content, **margins})


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"no JSON text for a {type(value).__name__}")
