"""What a calibration is asked for, what it measures and what it says."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from cxrbench.errors import ProfileError
from cxrbench.statistics.verdicts import Margin, Target
from cxrbench.study.asked import write_seeds
from cxrbench.study.where import Where

Knobs = Mapping[str, float]
"""ROLE.OPTION -> value, such as ``{"covid.severity_median": 0.75}``."""
Stage = Literal["sweep", "confirm"]


@dataclass(frozen=True)
class Request:
    """What to calibrate, and how.

    Parameters
    ----------
    profile: the name that the profile is called by, for messages and for the source of its targets.
    text: the profile's TOML.
    sweep: ROLE.OPTION -> the values to try; empty where the profile's knobs are kept.
    sweep_seeds, seeds: training seeds of the sweep and of the confirmation.
    aims: scheme -> the AUC aimed at.
    schemes: the schemes to confirm, names or NAME=NOTATION; all of the profile's where empty.
    out: folder of everything that is written.
    where: of every study; ``out`` is its store where it names none. Each device runs one seed at a time, in a
        process of its own where there are several. A cluster is not used.
    minutes: after how long no further seed is begun; None for no end.

    Raises
    ------
    ProfileError: a number of seeds, jobs or values with which there is nothing to calibrate.
    """

    profile: str
    text: str
    sweep: Mapping[str, tuple[float, ...]]
    sweep_seeds: tuple[int, ...]
    seeds: tuple[int, ...]
    aims: Mapping[str, float]
    schemes: tuple[str, ...]
    out: Path
    where: Where
    minutes: float | None = None

    def __post_init__(self) -> None:
        for name, seeds, least in (("seeds", self.seeds, 2), ("sweep seeds", self.sweep_seeds, 1)):
            if len(set(seeds)) != len(seeds) or len(seeds) < least:
                raise ProfileError(
                    f"{name} must be {least} or more different whole numbers: the spread between seeds is "
                    "what a target's tolerance comes from"
                )
        for knob, values in self.sweep.items():
            if len(set(values)) != len(values) or len(values) < 2:
                raise ProfileError(f"sweep of {knob}: give two or more different values")
        for scheme, aim in self.aims.items():
            if not 0 < aim < 1:
                raise ProfileError(f"aim of {scheme}: {aim:g} must be an AUC between 0 and 1")
        if not self.devices:
            raise ProfileError("there is nothing to run seeds on: jobs must be 1 or more")

    @property
    def devices(self) -> Sequence[torch.device]:
        """Where seeds run, one at a time on each; the CPU where nothing else is named."""
        return (torch.device("cpu"),) if self.where.devices is None else self.where.devices

    @property
    def command(self) -> str:
        """The command that repeats this calibration, without what is this machine's alone."""
        parts = [f"cxrbench calibrate {Path(self.profile).name}"]
        for knob, values in self.sweep.items():
            parts.append(f"--sweep {knob}={','.join(f'{value:g}' for value in values)}")
        if self.sweep:
            parts.append(f"--sweep-seeds {write_seeds(self.sweep_seeds)}")
        parts.append(f"--seeds {write_seeds(self.seeds)}")
        parts += [f"--aim {scheme}={aim:g}" for scheme, aim in self.aims.items()]
        parts += [f"--scheme {shlex.quote(scheme)}" for scheme in self.schemes]
        parts += ["--data-root DIR"] if self.where.data_root else []
        return " ".join([*parts, *(["--gpu"] if self.devices[0].type == "cuda" else [])])


@dataclass(frozen=True)
class Row:
    """One scheme trained with one seed at one setting of the knobs, on the test part.

    ``se_image`` is DeLong's standard error, which takes images as independent; ``se_clustered`` allows for
    several images of a patient. ``sample`` identifies the test images.
    ``precision`` is that of the stage that trains the target.
    """

    stage: Stage
    knobs: Knobs
    seed: int
    scheme: str
    auc: float
    se_image: float
    se_clustered: float
    sample: str
    cxrbench: str
    torch: str
    torchvision: str
    threads: int | None
    device: str
    precision: str = "float32"


@dataclass(frozen=True)
class Fit:
    """The knobs' values that bring the aimed-at schemes nearest to their aims.

    Parameters
    ----------
    knobs: the values, rounded.
    expected: scheme -> the AUC that the fitted model gives there.
    residual: scheme -> root mean square distance, in AUC, of the sweep's points from the model.
    at_the_end: the knobs whose value is an end of the swept range, so that a better one may lie beyond.
    """

    knobs: Knobs
    expected: Mapping[str, float]
    residual: Mapping[str, float]
    at_the_end: tuple[str, ...]


@dataclass(frozen=True)
class SchemeSummary:
    """One scheme over the seeds of the confirmation.

    ``aucs`` goes by the order of the seeds; ``sd`` has n - 1 in the denominator; the standard errors are the
    test sample's, mean over seeds. ``sample`` identifies that sample: it is the same for every seed.
    """

    scheme: str
    aucs: tuple[float, ...]
    mean: float
    sd: float
    se_image: float
    se_clustered: float
    sample: str


@dataclass(frozen=True)
class Statement:
    """A claim about the confirmation, whether it holds, and the numbers that say so."""

    claim: str
    holds: bool
    numbers: str


@dataclass(frozen=True)
class Calibration:
    """A finished calibration.

    ``knobs`` are those of the confirmation, ``fit`` is None without a sweep, ``added`` gives the notation of
    each scheme that was chosen as NAME=NOTATION.
    """

    request: Request
    synthetic: bool
    fit: Fit | None
    knobs: Knobs
    added: Mapping[str, str]
    rows: tuple[Row, ...]
    schemes: tuple[SchemeSummary, ...]
    targets: Mapping[str, Target]
    claims: Mapping[str, Margin]
    statements: tuple[Statement, ...]

    def rows_of(self, stage: Stage) -> Iterator[Row]:
        """Yield the rows of one stage."""
        return (row for row in self.rows if row.stage == stage)
