"""The profile: a TOML file that pins everything of a study.

[study]     name, title, shows, image_size, network, init, data_seed, seeds, target, label, schemes, …
[roles.X]   which data set plays the role X, with what options, and how it is split
[stages]    training settings: `default`, and by a stage's notation where one differs
[schemes]   a user's own schemes, name = "notation"
[tests.X]   a further test cohort, of other patients: every scheme is scored on it as well
[targets.X] the AUC that scheme X must reach, and where that number comes from
[claims.X]  by how much one scheme beats another, as a calibration found it
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib import resources
from types import MappingProxyType
from typing import Any, Literal

from cxrbench.cohort.split import FEWEST
from cxrbench.cohort.table import UNCERTAIN, VIEWS
from cxrbench.datasets import adapter, check_options
from cxrbench.datasets.fractals import check_numbers
from cxrbench.errors import DatasetError, ProfileError, SchemeError
from cxrbench.files import read_file
from cxrbench.schemes import Registry, Scheme, Stage, claims, parse, scheme_set
from cxrbench.settings import as_table, from_mapping, refuse_unknown
from cxrbench.statistics.verdicts import Margin, Target
from cxrbench.text import complaint, did_you_mean
from cxrbench.training.config import Augmentation, Precision, PrecisionChoice, StageConfig

_FILE_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?")
_SUCH_NAME = (
    "must be up to 64 letters, digits, '.', '_' and '-', and not start with '.' or '-' or end with '.'"
)
_LARGEST_IMAGE = 4096
_LARGEST_INTEGER = 2**63 - 1
_SUCH_STAGE = "of training settings such as epochs = 4"


@dataclass(frozen=True)
class InitSettings:
    """Initial parameters.

    kind: "random"; "imagenet", published; "file" with ``path``; or "formula": a first stage trains them on
        pictures of iterated function systems (:mod:`cxrbench.study.formula`).
    seed: of the formula's stage and pictures, or of one random trunk for all training seeds; without it each
        training seed has its own random trunk.
    classes, each: how many classes of pictures, and how many pictures of each.
    epochs, batch_size, learning_rate, precision: of the formula's stage.
    """

    kind: Literal["random", "imagenet", "file", "formula"]
    path: str = ""
    seed: int | None = None
    classes: int = 60
    each: int = 80
    epochs: int = 2
    batch_size: int = 32
    learning_rate: float = 1e-3
    precision: PrecisionChoice = "auto"

    def __post_init__(self) -> None:
        if self.kind not in ("random", "imagenet", "file", "formula"):
            raise ProfileError(f"kind {self.kind!r} must be 'random', 'imagenet', 'file' or 'formula'")
        if (self.kind == "file") != bool(self.path):
            raise ProfileError("'path' goes with kind = 'file', and only with it")
        if self.seed is not None:
            if self.kind not in ("random", "formula"):
                raise ProfileError("'seed' goes with kind = 'random' or 'formula', and only with them")
            if not _are_seeds([self.seed]):
                raise ProfileError("'seed' must be a whole number of 0 or more, of up to 63 bits")
        if self.kind == "formula":
            try:
                check_numbers(self.classes, self.each)
            except DatasetError as error:
                raise ProfileError(str(error)) from None
            _ = self.config
        elif any(getattr(self, name) != _default(name) for name in _RECIPE):
            raise ProfileError(f"{', '.join(_RECIPE)} go with kind = 'formula', and only with it")

    @property
    def config(self) -> StageConfig:
        """The settings of the formula's stage."""
        return StageConfig(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            precision=self.precision,
            augmentation=FORMULA_AUGMENTATION,
        )

    def __str__(self) -> str:
        return self.kind if self.seed is None else f"{self.kind}, seed {self.seed}"

    @classmethod
    def from_text(cls, text: str) -> InitSettings:
        """Read what a command line says: ``imagenet``, ``formula``, ``random``, ``random:SEED`` or a file.

        Raises
        ------
        ProfileError: it is neither, or the seed is no number.
        """
        kind, colon, seed = text.partition(":")
        if text in ("imagenet", "formula", "random"):
            return cls(text)  # type: ignore[arg-type]
        if kind in ("random", "formula") and colon:
            # A number of more digits has more than 63 bits.
            if not (seed.isascii() and seed.isdecimal() and len(seed) < 20):
                raise ProfileError(f"initial parameters {text!r}: the seed must be a whole number")
            return cls(kind, seed=int(seed))  # type: ignore[arg-type]
        if text.endswith((".safetensors", ".pth")):
            return cls("file", path=text)
        known = ("imagenet", "formula", "random")
        raise ProfileError(
            f"initial parameters {text!r}{did_you_mean(text, known)}: write imagenet, formula, random, "
            "random:SEED, or a file that ends in .safetensors or .pth"
        )


_RECIPE = ("classes", "each", "epochs", "batch_size", "learning_rate", "precision")
"""What only the formula's stage has."""

FORMULA_AUGMENTATION = Augmentation(
    rotation=3.0, translation=0.02, scale=0.04, flip=0.5, brightness=0.04, contrast=0.08
)


def _default(name: str) -> Any:
    return next(f.default for f in fields(InitSettings) if f.name == name)


@dataclass(frozen=True)
class CohortSettings:
    """A data set, and which of its images are meant.

    ``labels`` restricts the cohort's label columns; ``limit`` keeps whole patients up to that many images (0:
    all); ``options`` goes to the data set's adapter; ``links`` allows links that lead out of the folder;
    ``max_pixels`` is the largest picture that is decoded (0: the reader's own limit);
    ``crop`` cuts dark and white borders off;
    ``patients`` names whose patients they are, where two lists of one kind number theirs alike.

    ``views``, ``ages`` (lowest and highest) and ``where`` (column -> value or values) choose images.
    ``uncertain`` says what becomes of uncertain labels: label, or "default", -> a policy of
    :data:`~cxrbench.cohort.table.UNCERTAIN`.
    """

    dataset: str
    labels: tuple[str, ...] = ()
    limit: int = 0
    links: bool = False
    max_pixels: int = 0
    crop: bool = False
    patients: str = ""
    views: tuple[str, ...] = ()
    ages: tuple[float | None, float | None] = (None, None)
    where: Mapping[str, Any] = field(default_factory=dict)
    uncertain: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(self, "views", tuple(self.views))
        for name in ("where", "uncertain", "options"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        object.__setattr__(self, "ages", _ages(self.ages))
        for view in self.views:
            if view not in VIEWS:
                raise ProfileError(f"'views' must be among {', '.join(VIEWS)}, not {view!r}")
        _check_where(self.where)
        for label, policy in self.uncertain.items():
            if not isinstance(policy, str) or policy not in UNCERTAIN:
                raise ProfileError(
                    f"'uncertain': {label} must be one of {', '.join(UNCERTAIN)}, not {policy!r}"
                    f"{did_you_mean(policy, UNCERTAIN)}"
                )
        if self.limit < 0:
            raise ProfileError("'limit' must be 0 (all images) or more")
        if self.max_pixels < 0:
            raise ProfileError("'max_pixels' must be 0 (the reader's own limit) or more")


@dataclass(frozen=True)
class RoleSettings(CohortSettings):
    """The data set that plays a role, and how it is split.

    ``validation`` and ``test`` are fractions of images, met as nearly as whole patients allow; ``folds``,
    instead of them, cross-validates the target; ``split`` names a stored split file to use as it is.
    """

    validation: float = 0.0
    test: float = 0.0
    folds: int = 0
    split: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.folds:
            if type(self.folds) is not int or self.folds < FEWEST:
                raise ProfileError(f"'folds' must be a whole number of {FEWEST} or more")
            if self.validation or self.test or self.split:
                raise ProfileError(
                    "'folds' tests and validates on every image in turn: take out 'validation', 'test' and "
                    "'split', or 'folds'"
                )
        elif not 0 < self.validation < 1 or not 0 <= self.test < 1 or self.validation + self.test >= 1:
            raise ProfileError(
                "'validation' must be above 0, and with 'test' leave images to train on (or give 'folds' to "
                "cross-validate)"
            )

    @property
    def fractions(self) -> tuple[float, float, float]:
        """Shares of train, validation and test."""
        return 1 - self.validation - self.test, self.validation, self.test


def _check_where(where: Mapping[str, Any]) -> None:
    for column, values in where.items():
        if column in ("view", "age"):
            raise ProfileError(f"'where': for {column!r} there is the key '{column}s'")
        wanted = values if isinstance(values, list | tuple) else [values]
        fits = all(isinstance(value, str | int | float) and value == value for value in wanted)
        if not wanted or not fits:
            raise ProfileError(
                f"'where': {column} must be a text, a number, or a list of these, not {values!r}"
            )


def _ages(value: Any) -> tuple[float | None, float | None]:
    """Return the lowest and the highest age that ``[18, 90]`` says."""
    ages = tuple(value) if isinstance(value, list | tuple) else ()
    fits = len(ages) == 2 and all(a is None or (type(a) in (int, float) and 0 <= a < math.inf) for a in ages)
    if not fits or (None not in ages and ages[0] > ages[1]):
        raise ProfileError("'ages' must be the lowest and the highest age in years, such as [18, 90]")
    return ages[0], ages[1]


@dataclass(frozen=True)
class Profile:
    """Everything that a study depends on, besides the code, the data and the machine."""

    name: str
    title: str
    shows: str
    image_size: int
    network: str
    init: InitSettings
    data_seed: int
    seeds: tuple[int, ...]
    target: str
    label: str
    roles: Mapping[str, RoleSettings]
    tests: Mapping[str, CohortSettings]
    stages: Mapping[Stage, StageConfig]
    default_stage: StageConfig
    schemes: Registry
    targets: Mapping[str, Target]
    claims: Mapping[str, Margin]
    on_bad_file: Literal["stop", "leave-out"]
    on_leak: Literal["stop", "drop-train"]
    patient_ids: Literal["hashed", "plain"]
    gate_margin: float
    deterministic: bool
    calibrated: bool
    normalisation: Literal["network", "role"]
    settings: Mapping[str, Any]

    @property
    def synthetic(self) -> bool:
        """Whether any role's images are made by a program: then a result says nothing about patients."""
        return any(adapter(cohort.dataset).synthetic for cohort in self.cohorts.values())

    @property
    def cohorts(self) -> Mapping[str, CohortSettings]:
        """The roles and the further test cohorts, by name."""
        return {**self.roles, **self.tests}

    def stage_config(self, stage: Stage) -> StageConfig:
        """Return the training settings of ``stage``."""
        return self.stages.get(stage, self.default_stage)

    def select(self, chosen: tuple[str, ...]) -> tuple[Scheme, ...]:
        """Return the chosen schemes (name or ``NAME=NOTATION``; all where none), checked against the roles.

        Raises
        ------
        ProfileError: a scheme uses a role that the profile does not fill, or does not end with the target.
        SchemeError: no such scheme.
        """
        schemes = self.schemes.select(chosen)
        for scheme in schemes:
            missing = sorted(scheme.roles - set(self.roles))
            if missing:
                raise ProfileError(
                    f"profile {self.name!r}: scheme {scheme.name!r} needs role {missing[0]!r}, which no "
                    f"[roles.{missing[0]}] fills"
                )
            if self.target not in scheme.stages[-1].roles:
                raise ProfileError(
                    f"profile {self.name!r}: the last stage of scheme {scheme.name!r} must train "
                    f"{self.target!r}, which is what is tested"
                )
        return schemes

    def with_seeds(self, seeds: tuple[int, ...]) -> Profile:
        """Return this profile with other training seeds."""
        if not _are_seeds(seeds):
            raise ProfileError("seeds must be one or more different whole numbers of 0 or more")
        return replace(self, seeds=seeds)

    def with_schemes(self, name: str) -> Profile:
        """Return this profile with a shipped set of schemes and its own, and the targets of those.

        Raises
        ------
        SchemeError: there is no such set, or it has another scheme by the name of one of the profile's.
        """
        registry = scheme_set(name).for_target(self.target)
        for own, notation in self.settings.get("schemes", {}).items():
            registry = registry.add(own, notation)
        targets = {
            scheme: target
            for scheme, target in self.targets.items()
            if registry.get(scheme) == self.schemes[scheme]
        }
        return replace(self, schemes=registry, targets=MappingProxyType(targets))

    def with_network(self, name: str) -> Profile:
        """Return this profile with another network; ``settings`` stay what the file says."""
        return replace(self, network=name)

    def with_init(self, text: str) -> Profile:
        """Return this profile with other initial parameters; ``settings`` stay what the file says.

        Raises
        ------
        ProfileError: as :meth:`InitSettings.from_text`.
        """
        return replace(self, init=InitSettings.from_text(text))

    def with_precision(self, choose: Callable[[PrecisionChoice], Precision]) -> Profile:
        """Return this profile with every stage's precision as ``choose`` gives it."""

        def settled(config: StageConfig) -> StageConfig:
            return config.with_precision(choose(config.precision))

        stages = {stage: settled(config) for stage, config in self.stages.items()}
        init = (
            replace(self.init, precision=choose(self.init.precision))
            if self.init.kind == "formula"
            else self.init
        )
        return replace(
            self, default_stage=settled(self.default_stage), stages=MappingProxyType(stages), init=init
        )


def profile_names() -> list[str]:
    """Return the names of the profiles that come with cxrbench."""
    return sorted(p.name.removesuffix(".toml") for p in _folder().iterdir() if p.name.endswith(".toml"))


def load_profile(name: str) -> Profile:
    """Load a profile by its name, or by the path of a TOML file (anything that ends in ``.toml``).

    Raises
    ------
    ProfileError: there is no such profile, it is not TOML in UTF-8, or a key is unknown, missing, of the
        wrong kind or out of range.
    """
    return parse_profile(profile_text(name), name)


def profile_text(name: str) -> str:
    """Return the TOML of the profile that :func:`load_profile` loads by ``name``.

    Raises
    ------
    ProfileError: there is no such profile, or its file cannot be read or is not UTF-8.
    """
    if name.endswith(".toml"):
        try:
            # Editors of Windows begin with a byte-order mark.
            return read_file(name).decode("utf-8-sig")
        except OSError as error:
            raise ProfileError(f"profile {name} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise ProfileError(
                f"profile {name}: line {line} is not UTF-8, in which TOML is written; save the file as UTF-8"
            ) from None
    if name not in profile_names():
        known = profile_names()
        raise ProfileError(
            f"no profile {name!r}{did_you_mean(name, known)} (known: {', '.join(known)}; or the path of a "
            ".toml file)"
        )
    return (_folder() / f"{name}.toml").read_text(encoding="utf-8")


def parse_profile(text: str, where: str) -> Profile:
    """Return the profile that TOML ``text`` describes; ``where`` begins every error message.

    Raises
    ------
    ProfileError: as :func:`load_profile`.
    """
    try:
        toml = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # A ValueError is also a number of thousands of digits.
        raise ProfileError(f"profile {where}: not TOML: {complaint(error)}") from None
    where = f"profile {where}"
    _refuse_large_numbers(toml, where)
    # No path, name or label has one.
    if "\\u0000" in json.dumps(toml, default=str):
        raise ProfileError(f"{where}: a text in it holds a NUL character; take it out")
    refuse_unknown(toml, ["study", "roles", "tests", "stages", "schemes", "targets", "claims"], where)
    for table in ("study", "roles", "stages"):
        if not isinstance(toml.get(table), dict) or not toml[table]:
            raise ProfileError(f"{where}: the table [{table}] is missing")

    def optional(table: str, such: str) -> Mapping[str, Any]:
        return as_table(toml.get(table, {}), f"{where}: [{table}]", such)

    study = from_mapping(_Study, toml["study"], f"{where}: [study]")
    stages = dict(toml["stages"])
    default = StageConfig.from_mapping(
        as_table(stages.pop("default", {}), f"{where}: [stages.default]", _SUCH_STAGE),
        f"{where}: [stages.default]",
    )
    roles = {
        name: from_mapping(RoleSettings, values, f"{where}: [roles.{name}]")
        for name, values in toml["roles"].items()
    }
    tests = {
        name: from_mapping(
            CohortSettings,
            as_table(values, f"{where}: [tests.{name}]", "such as dataset = 'manifest'"),
            f"{where}: [tests.{name}]",
        )
        for name, values in optional("tests", "for each test cohort, such as [tests.hospital-b]").items()
    }
    for table, names in (("roles", roles), ("tests", tests)):
        for name in names:
            if not _FILE_NAME.fullmatch(name):
                raise ProfileError(f"{where}: [{table}]: {name!r} {_SUCH_NAME}: files are named after it")
    for name in tests:
        if name in roles:
            raise ProfileError(f"{where}: [tests.{name}] is also the name of a role; give it another")
    if study.target not in roles:
        raise ProfileError(
            f"{where}: [study] target {study.target!r} is not a role (roles: {', '.join(roles)})"
        )
    if tests and roles[study.target].folds:
        raise ProfileError(
            f"{where}: [tests] needs one network for each scheme, and [roles.{study.target}] has 'folds', "
            "which trains several; give 'validation' and 'test' instead"
        )
    for table, cohorts in (("roles", roles), ("tests", tests)):
        for name, cohort in cohorts.items():
            try:
                check_options(adapter(cohort.dataset), cohort.options)
            except DatasetError as error:
                raise ProfileError(f"{where}: [{table}.{name}]: {error}") from None
    for name, role in roles.items():
        if role.folds and name != study.target:
            raise ProfileError(
                f"{where}: [roles.{name}]: only the target ({study.target!r}) is tested, so only it can have "
                "'folds'; give 'validation'"
            )
    try:
        registry = scheme_set(study.schemes).for_target(study.target)
    except SchemeError as error:
        raise ProfileError(f"{where}: [study] schemes: {error}") from None
    for name, notation in optional("schemes", "with lines such as mine = 'init > findings > covid'").items():
        if not isinstance(notation, str):
            raise ProfileError(
                f"{where}: [schemes] {name}: write one notation such as 'init > findings > covid', not "
                f"{notation!r}"
            )
        try:
            registry = registry.add(name, notation)
        except SchemeError as error:
            raise ProfileError(f"{where}: [schemes] {name}: {error}") from None
    targets = {
        name: _target(values, f"{where}: [targets.{name}]")
        for name, values in optional("targets", "for each scheme, such as [targets.control]").items()
    }
    refuse_unknown(targets, list(registry), f"{where}: [targets]")
    made = claims(registry.select(()), study.target)
    margins = {
        name: from_mapping(Margin, values, f"{where}: [claims.{name}]")
        for name, values in optional("claims", "such as [claims.findings-beats-control]").items()
    }
    refuse_unknown(margins, [str(claim) for claim in made], f"{where}: [claims]")
    return Profile(
        name=study.name,
        title=study.title,
        shows=study.shows,
        image_size=study.image_size,
        network=study.network,
        init=from_mapping(InitSettings, study.init, f"{where}: [study] init"),
        data_seed=study.data_seed,
        seeds=tuple(study.seeds),
        target=study.target,
        label=study.label,
        roles=MappingProxyType(roles),
        tests=MappingProxyType(tests),
        stages=MappingProxyType(_stages(stages, default, where)),
        default_stage=default,
        schemes=registry,
        targets=MappingProxyType(targets),
        claims=MappingProxyType(margins),
        on_bad_file=study.on_bad_file,
        on_leak=study.on_leak,
        patient_ids=study.patient_ids,
        gate_margin=study.gate_margin,
        deterministic=study.deterministic,
        calibrated=study.calibrated,
        normalisation=study.normalisation,
        settings=MappingProxyType(toml),
    )


def _stages(tables: Mapping[str, Any], default: StageConfig, where: str) -> dict[Stage, StageConfig]:
    """Return the settings of each stage that has a table of its own.

    Raises
    ------
    ProfileError: a table is wrong, or two are of one stage: "a + b" is "b + a".
    """
    configs: dict[Stage, StageConfig] = {}
    named: dict[Stage, str] = {}
    for notation, values in tables.items():
        here = f"{where}: [stages.{notation!r}]"
        stage = _stage(notation, f"{where}: [stages]")
        if stage in named:
            raise ProfileError(f"{here}: [stages.{named[stage]!r}] is of the same stage; keep one of them")
        named[stage] = notation
        table = {**_settings(default), **as_table(values, here, _SUCH_STAGE)}
        configs[stage] = StageConfig.from_mapping(table, here)
    return configs


def _target(values: object, where: str) -> Target:
    target = from_mapping(Target, values, where)
    if target.tolerance is None and target.at_least is None and target.sd is None:
        raise ProfileError(f"{where}: give 'auc' and 'tolerance', or 'auc', 'sd' and 'seeds', or 'at_least'")
    if not target.source.strip():
        raise ProfileError(f"{where}: 'source' must say where the number comes from")
    return target


@dataclass(frozen=True)
class _Study:
    """The table [study], key by key."""

    name: str
    title: str
    image_size: int
    init: Mapping[str, Any]
    data_seed: int
    seeds: list[int]
    target: str
    label: str
    on_bad_file: Literal["stop", "leave-out"] = "stop"
    on_leak: Literal["stop", "drop-train"] = "stop"
    patient_ids: Literal["hashed", "plain"] = "hashed"
    gate_margin: float = 0.05
    deterministic: bool = False
    calibrated: bool = False
    network: str = "densenet121"
    schemes: str = "six"
    shows: str = ""
    normalisation: Literal["network", "role"] = "network"

    def __post_init__(self) -> None:
        rules = (
            (
                not isinstance(self.name, str) or _FILE_NAME.fullmatch(self.name) is not None,
                f"name {_SUCH_NAME}: a folder is called so",
            ),
            (
                isinstance(self.image_size, int) and 32 <= self.image_size <= _LARGEST_IMAGE,
                f"image_size must be from 32 to {_LARGEST_IMAGE}",
            ),
            (
                isinstance(self.seeds, list) and _are_seeds(self.seeds),
                "seeds must be a list of one or more different whole numbers of 0 or more",
            ),
            (not isinstance(self.data_seed, int) or self.data_seed >= 0, "data_seed must be 0 or more"),
            (isinstance(self.init, dict), "init must be a table such as { kind = 'random' }"),
            (self.on_bad_file in ("stop", "leave-out"), "on_bad_file must be 'stop' or 'leave-out'"),
            (self.on_leak in ("stop", "drop-train"), "on_leak must be 'stop' or 'drop-train'"),
            (self.patient_ids in ("hashed", "plain"), "patient_ids must be 'hashed' or 'plain'"),
            (self.normalisation in ("network", "role"), "normalisation must be 'network' or 'role'"),
            (0 < self.gate_margin < 0.5, "gate_margin must be between 0 and 0.5"),
            (isinstance(self.deterministic, bool), "deterministic must be true or false"),
            (isinstance(self.calibrated, bool), "calibrated must be true or false"),
        )
        for holds, message in rules:
            if not holds:
                raise ProfileError(message)


def _are_seeds(seeds: Sequence[object]) -> bool:
    """Whether training can be seeded with each: torch takes no others."""
    numbers = all(type(seed) is int and 0 <= seed <= _LARGEST_INTEGER for seed in seeds)
    return numbers and 0 < len(seeds) == len(set(seeds))


def _refuse_large_numbers(value: object, where: str) -> None:
    """Refuse whole numbers that TOML itself has no room for."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            _refuse_large_numbers(each, where)
    elif isinstance(value, int) and not -_LARGEST_INTEGER <= value <= _LARGEST_INTEGER:
        raise ProfileError(
            f"{where}: the number {str(value)[:20]}... is too large: TOML's whole numbers have 64 bits"
        )


def _settings(config: StageConfig) -> dict[str, Any]:
    values = {key: value for key, value in vars(config).items() if key != "augmentation"}
    return {**values, "augmentation": dict(vars(config.augmentation))}


def _stage(notation: str, where: str) -> Stage:
    try:
        return parse("stage", f"init > {notation}").stages[-1]
    except SchemeError as error:
        raise ProfileError(f"{where}: {notation!r} is not a stage: {error}") from None


def _folder() -> resources.abc.Traversable:
    return resources.files("cxrbench") / "profiles"
