"""The results of a study as frozen records, and ``results.json``.

Everything in them comes from prediction files and from what the training wrote down, so results can be read,
compared and reported where there is no model and no GPU. What a reader needs to know of the profile is in
fields of its own; ``settings`` are the profile's tables as they were written, for display only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from cxrbench.errors import CxrbenchError, RecordError
from cxrbench.records import read_record, record, write_record
from cxrbench.schemes import parse
from cxrbench.statistics.records import Curve, Omnibus, Pair
from cxrbench.statistics.verdicts import Margin, Target, Verdict
from cxrbench.text import one_line

FORMAT = 3
RESULTS = "results.json"


def is_plain(name: str) -> bool:
    """Return whether ``name`` is a relative path of names and ``/`` that cannot lead out of a folder."""
    parts = PurePosixPath(name).parts
    return (
        bool(parts)
        and not name.startswith("/")
        and all(part != ".." and part.isprintable() and not set(part) & set('\\:*?"<>|') for part in parts)
    )


def _plain_path(name: str) -> str:
    if not is_plain(name):
        raise ValueError(f"the name {name!r} leads out of the study's folder, or is none")
    return name


def _notation(text: str) -> str:
    try:
        parse("scheme", text)
    except CxrbenchError as error:
        raise ValueError(one_line(str(error))) from None
    return text


def _sound_curve(curve: Curve) -> Curve:
    if not 0 <= curve.ci_low <= curve.auc <= curve.ci_high <= 1 or curve.se < 0:
        raise ValueError("an AUC lies within its interval, and both within 0 to 1")
    return curve


def _sound_pair(pair: Pair) -> Pair:
    if not _is_difference(pair.ci_low, pair.difference, pair.ci_high) or pair.se < 0:
        raise ValueError("a difference of AUCs lies within its interval, and both within -1 to 1")
    if not 0 <= pair.p_value <= pair.p_adjusted <= 1:
        raise ValueError("a p-value lies within 0 to 1, and the adjusted one is no smaller")
    return pair


def _is_difference(low: float, difference: float, high: float) -> bool:
    # An interval may reach further than any difference can.
    return low <= difference <= high and abs(difference) <= 1


Proportion = Annotated[float, Field(ge=0, le=1)]
# Of what can be measured, so that a ratio of two is a number.
Seconds = Annotated[float, Field(ge=1e-9, le=1e12)]
Count = Annotated[int, Field(ge=0, le=10**12)]
Several = Annotated[int, Field(ge=1, le=10**12)]
Name = Annotated[str, Field(min_length=1)]
SchemeName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
Notation = Annotated[str, AfterValidator(_notation)]
RelativePath = Annotated[str, AfterValidator(_plain_path)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@record
class Timing:
    """So many images in so many seconds."""

    images: Several
    seconds: Seconds

    @property
    def images_per_second(self) -> float:
        """The speed."""
        return self.images / self.seconds


@record
class FormulaResult:
    """The stage that made the initial parameters of a study from formula-driven pictures.

    ``key`` is of all that they depend on. It is trained once for every seed and scheme, and its ``seconds``
    are in no scheme's.
    """

    key: Name
    images: Several
    seconds: Seconds
    validation_auc: Proportion


@record
class StageResult:
    """One trained stage run: how long it took and which epoch was kept.

    ``seconds`` are those of training and validation, ``epochs`` those of training alone, epoch by epoch.
    ``best_epoch`` is counted from 0. ``fold`` is the fold of a cross-validation, counted from 1; None where
    the run depends on none. ``processes``: how many stages were trained at a time. ``parts``: in how many
    parts each batch went through the network, each normalised by its own statistics, since memory was too
    small for all of it. ``compile_seconds``: what compiling the trunk took, part of the seconds.
    """

    run: Notation
    seed: int
    key: Name
    best_epoch: Count
    seconds: Seconds
    epochs: Annotated[tuple[Timing, ...], Field(min_length=1)]
    losses: tuple[float, ...]
    validation_aucs: tuple[Proportion, ...]
    fold: Several | None = None
    processes: Several = 1
    parts: Several = 1
    compile_seconds: Annotated[float, Field(ge=0, le=1e12)] = 0.0

    def __post_init__(self) -> None:
        if not len(self.epochs) == len(self.losses) == len(self.validation_aucs) > self.best_epoch:
            raise ValueError("each epoch has a time, a loss and a validation AUC, and one of them was kept")

    @property
    def validation_auc(self) -> float:
        """That of the epoch that was kept."""
        return self.validation_aucs[self.best_epoch]

    @property
    def images_per_second(self) -> float:
        """Training images per second, validation not counted."""
        return sum(epoch.images for epoch in self.epochs) / sum(epoch.seconds for epoch in self.epochs)


@record
class Point:
    """Sensitivity and specificity on the test part, with Wilson intervals, at a threshold from validation.

    ``threshold`` is None where each fold of a cross-validation has its own.
    """

    chosen: Name
    threshold: float | None
    sensitivity: Proportion
    sensitivity_low: Proportion
    sensitivity_high: Proportion
    specificity: Proportion
    specificity_low: Proportion
    specificity_high: Proportion


@record
class SeedResult:
    """One scheme trained with one seed, on the test part.

    ``curve`` has the patient-clustered standard error where a patient has several images; ``image_se`` is
    DeLong's, which takes images as independent. ``predicting``: what predicting took, test and validation
    part. ``processes``: how many worked while these were predicted.
    """

    seed: int
    curve: Annotated[Curve, AfterValidator(_sound_curve)]
    image_se: Annotated[float, Field(ge=0)]
    points: tuple[Point, ...]
    predictions: RelativePath
    sha256: Sha256
    predicting: Annotated[tuple[Timing, ...], Field(min_length=1)]
    processes: Several = 1


@record
class SchemeResult:
    """One scheme over all seeds.

    ``auc`` is the mean over seeds; the interval is that of the one seed, or of the mean as an estimate for
    new seeds and new patients. ``target`` is that of the profile as it holds on these test images, and
    ``decided_by`` what decided: the ends of the interval above, which was held against it, or where the
    target carries a calibration's spread, the AUCs that pass. ``train_seconds`` is the whole chain, as if no
    other scheme shared it, over all folds, mean over seeds.
    """

    name: SchemeName
    notation: Notation
    auc: Proportion
    se: Annotated[float, Field(ge=0)]
    ci_low: Proportion
    ci_high: Proportion
    sd_between_seeds: Annotated[float, Field(ge=0)] | None
    target: Target | None
    decided_by: tuple[Proportion, Proportion] | None
    verdict: Verdict
    train_seconds: Seconds
    seeds: Annotated[tuple[SeedResult, ...], Field(min_length=1)]

    def __post_init__(self) -> None:
        if not self.ci_low <= self.auc <= self.ci_high:
            raise ValueError("an AUC lies within its interval")
        settles = self.target is not None and self.target.band is not None
        if settles != (self.decided_by is not None):
            raise ValueError("a target that is calibrated is decided by an interval, and no other is")
        mean = sum(seed.curve.auc for seed in self.seeds) / len(self.seeds)
        if abs(mean - self.auc) > 1e-9:
            raise ValueError("the AUC of a scheme is the mean of its seeds'")

    @property
    def spread_decides(self) -> bool:
        """Whether the spread of a calibration's seeds decides the verdict, and not the test sample."""
        return self.decided_by is not None and self.target is not None and self.target.sd is not None


@record
class SchemePair:
    """The mean AUC over seeds of scheme a minus that of b, on the same test images.

    With one seed the interval holds the chance of the test sample; with several, that of the seeds too.
    ``p_adjusted`` is Holm's, over all pairs of the study.
    """

    a: SchemeName
    b: SchemeName
    difference: float
    se: Annotated[float, Field(ge=0)]
    ci_low: float
    ci_high: float
    p_value: Proportion
    p_adjusted: Proportion

    def __post_init__(self) -> None:
        if not _is_difference(self.ci_low, self.difference, self.ci_high):
            raise ValueError("a difference of AUCs lies within its interval, and within -1 to 1")
        if self.p_adjusted < self.p_value:
            raise ValueError("an adjusted p-value is no smaller than the p-value")

    def reversed(self) -> SchemePair:
        """Return b minus a."""
        return replace(
            self,
            a=self.b,
            b=self.a,
            difference=-self.difference,
            ci_low=-self.ci_high,
            ci_high=-self.ci_low,
        )


@record
class SeedComparison:
    """All pairs of schemes of one seed, adjusted together, and the test that all are equal."""

    seed: int
    pairs: tuple[Annotated[Pair, AfterValidator(_sound_pair)], ...]
    omnibus: Omnibus | None


@record
class WithinStrata:
    """A scheme's AUC among images of one stratum, over the ``strata`` that have both classes."""

    auc: Proportion
    ci_low: Proportion
    ci_high: Proportion
    strata: Several
    images: Several


@record
class Shortcut:
    """The AUC of one thing that is known of a film besides the film, such as its view.

    ``unknown``: images for which it is not known. ``within``: scheme -> its AUC among images alike in it.
    """

    name: Name
    auc: Proportion
    ci_low: Proportion
    ci_high: Proportion
    unknown: Count
    within: dict[SchemeName, WithinStrata]


@record
class SubgroupDifference:
    """The mean AUC of scheme a minus that of b in one subgroup; ``p_adjusted``: Holm's, over all of them."""

    by: Name
    value: str
    a: SchemeName
    b: SchemeName
    images: Several
    positive: Several
    difference: float
    ci_low: float
    ci_high: float
    p_value: Proportion
    p_adjusted: Proportion


@record
class Doubt:
    """What speaks for a shortcut. ``left_out``: what told nothing apart -> why."""

    covariates: RelativePath
    sha256: Sha256
    shortcuts: tuple[Shortcut, ...]
    subgroups: tuple[SubgroupDifference, ...]
    left_out: dict[str, str]


@record
class PartResult:
    """What a part of a role holds; ``positive``: label -> images."""

    images: Count
    patients: Count
    positive: dict[str, Count]


@record
class UncertainResult:
    """The policy for a label's uncertain images, and how many they are."""

    policy: Name
    images: Count


@record
class RoleResult:
    """What a role's cohort held, how it was split, and what was left out and why.

    ``bad_files``: reason -> number. ``folds``: of the cross-validation, 0 where there is none; a part then
    counts what is in it in any fold, and ``split_hash`` is that of the folds. ``duplicates_dropped`` counts
    what is left out in any fold. ``odd_pictures``: what makes a picture unlikely to be a radiograph ->
    number. ``names``: label -> what the data set calls it, where that is another name. ``uncertain``: label
    -> what became of its uncertain ones. ``moments``: mean and standard deviation, 0 to 255, that its images
    were normalised by, one pair, or one per fold; none where the network's own normalisation is used.
    """

    dataset: Name
    listed: Count
    images: Several
    patients: Count
    labels: tuple[str, ...]
    left_out: dict[str, Count]
    bad_files: dict[str, Count]
    duplicates_dropped: Count
    split_hash: Name
    pack_key: Name
    parts: dict[str, PartResult]
    folds: Count = 0
    odd_pictures: dict[str, Count] = Field(default_factory=dict)
    names: dict[str, str] = Field(default_factory=dict)
    uncertain: dict[str, UncertainResult] = Field(default_factory=dict)
    moments: tuple[tuple[float, float], ...] = ()


@record
class FurtherSeed:
    """One scheme trained with one seed, on a further test cohort."""

    seed: int
    curve: Annotated[Curve, AfterValidator(_sound_curve)]
    predictions: RelativePath
    sha256: Sha256


@record
class FurtherScheme:
    """One scheme on a further test cohort, over all seeds.

    ``difference``: the AUC on the study's own test part minus the one here, on other images, with its
    interval and p-value.
    """

    auc: Proportion
    se: Annotated[float, Field(ge=0)]
    ci_low: Proportion
    ci_high: Proportion
    difference: float
    difference_low: float
    difference_high: float
    p_value: Proportion
    seeds: Annotated[tuple[FurtherSeed, ...], Field(min_length=1)]


@record
class FurtherTest:
    """A further test cohort: what it holds, and every scheme on it. ``pairs``: of schemes, Holm-adjusted."""

    cohort: RoleResult
    sample: Name
    n_images: Several
    n_positive: Several
    n_patients: Count
    schemes: dict[SchemeName, FurtherScheme]
    pairs: tuple[SchemePair, ...]


@record
class OwnTest:
    """A label of a supplemental role's first stage on the role's own test part, over all seeds.

    ``published``: the lowest and the highest AUC that others got, where we know of any.
    """

    role: Name
    label: Name
    images: Several
    positive: Several
    auc: Proportion
    ci_low: Proportion
    ci_high: Proportion
    published: tuple[Proportion, Proportion] | None
    seeds: Annotated[tuple[FurtherSeed, ...], Field(min_length=1)]

    @property
    def far_below(self) -> bool:
        """Whether the whole interval lies below what others got: is something wrong?"""
        return self.published is not None and self.ci_high < self.published[0]


@record
class Results:
    """A whole study.

    ``training``: stage -> its settings, resolved. ``gate_margin``: the loss of AUC that the gate tolerates.
    ``calibrated``: whether the profile was made to show the paper's claims. ``sample`` identifies the test
    images: a digest of their ids and labels. ``code``: a digest of what trained. ``pairs``: all pairs of
    schemes over the seeds; ``comparisons``: the same seed by seed. ``seconds`` are those of the
    run that changed anything last.
    """

    profile: Name
    title: str
    synthetic: bool
    settings: dict[str, Any]
    network: Name
    init: Name
    image_size: Several
    training: dict[str, dict[str, str | bool | int | float]]
    gate_margin: Annotated[float, Field(gt=0, lt=0.5)]
    calibrated: bool
    seeds: Annotated[tuple[int, ...], Field(min_length=1)]
    roles: dict[str, RoleResult]
    target: Name
    schemes: Annotated[tuple[SchemeResult, ...], Field(min_length=1)]
    pairs: tuple[SchemePair, ...]
    comparisons: tuple[SeedComparison, ...]
    stages: Annotated[tuple[StageResult, ...], Field(min_length=1)]
    sample: Name
    n_images: Several
    n_positive: Several
    n_patients: Count
    device: dict[str, str | int]
    code: str
    versions: dict[str, str]
    seconds: dict[str, Annotated[float, Field(ge=0)]]
    doubt: Doubt | None = None
    tests: dict[str, FurtherTest] = Field(default_factory=dict)
    own_tests: tuple[OwnTest, ...] = ()
    formula: FormulaResult | None = None
    claims: dict[str, Margin] = Field(default_factory=dict)

    def __post_init__(self) -> None:
        wrong = next((said for holds, said in self._rules() if not holds), None)
        if wrong:
            raise ValueError(wrong)

    def _rules(self) -> Iterable[tuple[bool, str]]:
        """Yield what must hold between fields, and what to say where it does not."""
        yield self.target in self.roles, f"the target {self.target!r} is not one of the roles"
        yield self.n_positive < self.n_images, "an AUC needs positive and negative test images"
        yield self.n_patients <= self.n_images, "there are no more patients than images"
        yield len(set(self.names)) == len(self.names), "a scheme is listed twice"
        yield (
            all(tuple(seed.seed for seed in scheme.seeds) == self.seeds for scheme in self.schemes),
            f"each scheme has the seeds {', '.join(map(str, self.seeds))}",
        )
        wanted = [{a, b} for i, a in enumerate(self.names) for b in self.names[i + 1 :]]
        for found in (
            [{pair.a, pair.b} for pair in self.pairs],
            *([{pair.a, pair.b} for pair in comparison.pairs] for comparison in self.comparisons),
        ):
            yield len(found) == len(wanted) and all(pair in found for pair in wanted), "a pair is missing"
        yield (
            not wanted or tuple(c.seed for c in self.comparisons) == self.seeds,
            "the schemes are compared seed by seed",
        )
        yield (
            all(set(test.schemes) == set(self.names) for test in self.tests.values()),
            "each scheme is scored on each further test",
        )
        yield all(stage.seed in self.seeds for stage in self.stages), "a stage has a seed of its own"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the schemes, in the order of the study."""
        return tuple(scheme.name for scheme in self.schemes)

    @property
    def cohorts(self) -> dict[str, RoleResult]:
        """The roles and the further tests by their names; no further test is called as a role is."""
        return self.roles | {name: test.cohort for name, test in self.tests.items()}

    @property
    def precision(self) -> dict[str, str]:
        """Stage -> the precision that it was trained with."""
        return {stage: str(settings["precision"]) for stage, settings in self.training.items()}

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

    def difference(self, a: str, b: str) -> SchemePair:
        """Return the comparison over all seeds, a minus b.

        Raises
        ------
        CxrbenchError: the study did not run one of the two, or they are one.
        """
        self.scheme(a)
        self.scheme(b)
        for pair in self.pairs:
            if (pair.a, pair.b) == (a, b):
                return pair
            if (pair.a, pair.b) == (b, a):
                return pair.reversed()
        raise CxrbenchError(f"{a!r} cannot be compared with itself")

    def by_seed(self, a: str, b: str) -> tuple[Pair, ...]:
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
                    found.append(_reversed(pair))
        return tuple(found)


def _reversed(pair: Pair) -> Pair:
    """Return ``pair`` as b minus a; what was tested of a margin is not turned."""
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
    """Write ``results`` as JSON at full precision, all or nothing.

    Raises
    ------
    CxrbenchError: the file cannot be written.
    """
    try:
        write_record(path, results, FORMAT)
    except OSError as error:
        raise CxrbenchError(f"{path} cannot be written: {error.strerror or error}") from None


def load_results(path: Path) -> Results:
    """Read what :func:`save_results` wrote.

    Raises
    ------
    RecordError: there is no such file, it is damaged, was changed, or is one of another version.
    """
    if not path.exists():
        raise RecordError(f"{path} does not exist; run a study first")
    try:
        return read_record(path, Results, FORMAT)
    except RecordError as error:
        raise RecordError(f"{error}; run the study again") from None
