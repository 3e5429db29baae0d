"""A finished study: its folder and its results as one object, through which its prediction files are read.

What a file must be, the results say: each prediction file's name and SHA-256. It is checked at every read, so
that no number is ever computed from a file that the results were not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cxrbench.errors import CxrbenchError
from cxrbench.files import file_sha256
from cxrbench.schemes import StageRun, make_plan, parse
from cxrbench.statistics.predictions import Predictions, join_predictions, read_predictions
from cxrbench.study.results import RESULTS, Results, StageResult, is_plain, load_results
from cxrbench.trace.records import NAME as TRACE
from cxrbench.trace.records import Trace, read_trace


@dataclass(frozen=True)
class FinishedStudy:
    """The results of a study and the folder that its prediction files lie in."""

    folder: Path
    results: Results

    @classmethod
    def open(cls, path: Path) -> FinishedStudy:
        """Return the study whose folder, or whose ``results.json``, ``path`` names.

        Raises
        ------
        CxrbenchError: there are no results, or they cannot be read.
        """
        file = path / RESULTS if path.is_dir() else path
        return cls(file.parent, load_results(file))

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """Name and SHA-256 of each prediction file in the folder."""
        doubt = self.results.doubt
        return (
            *((seed.predictions, seed.sha256) for scheme in self.results.schemes for seed in scheme.seeds),
            *(
                (seed.predictions, seed.sha256)
                for test in self.results.tests.values()
                for scheme in test.schemes.values()
                for seed in scheme.seeds
            ),
            *((seed.predictions, seed.sha256) for own in self.results.own_tests for seed in own.seeds),
            *([(doubt.covariates, doubt.sha256)] if doubt else []),
        )

    def trace(self) -> Trace | None:
        """Return what the study wrote down on the way; None where it has no trace.

        Raises
        ------
        RecordError: the trace was changed, or cannot be read.
        """
        path = self.folder / TRACE
        return read_trace(path) if path.exists() else None

    def check(self) -> None:
        """Make sure that every prediction file is the one that the results were computed from.

        Raises
        ------
        CxrbenchError: one is missing or another.
        """
        for name, sha256 in self.files:
            checked(self.folder, name, sha256)

    def by_seed(self, scheme: str, test: str = "") -> dict[int, Predictions]:
        """Return seed -> the test predictions of ``scheme``, one curve in each.

        ``test``: a further test cohort instead of the study's own test part.

        Raises
        ------
        CxrbenchError: the study did not run the scheme, or a prediction file is missing, damaged or not the
            one that the results were computed from.
        """
        own = self.results.scheme(scheme)
        return {
            seed.seed: read_recorded(self.folder, seed.predictions, seed.sha256)
            for seed in (self.results.tests[test].schemes[scheme] if test else own).seeds
        }

    def predictions(self, scheme: str, name: str = "", test: str = "") -> Predictions:
        """Return the test predictions of all seeds of ``scheme``, joined on the image id; ``test`` as above.

        Curves are called ``SCHEME, seed S``, or ``NAME, seed S`` where a ``name`` is given.

        Raises
        ------
        CxrbenchError: as :meth:`by_seed`, or the seeds have different test images.
        """
        parts = self.by_seed(scheme, test).items()
        return join_curves({f"{name or scheme}, seed {seed}": part for seed, part in parts})

    def last_stages(self, scheme: str) -> list[StageResult]:
        """Return the runs of the last stage of ``scheme``: one per seed, or per seed and fold.

        Raises
        ------
        CxrbenchError: the study did not run the scheme, or its results name no such stage.
        """
        final = _canonical(self.results.scheme(scheme).notation)
        found = [stage for stage in self.results.stages if _canonical(stage.run) == final]
        if not found:
            raise CxrbenchError(f"{self.folder}: its results name no stage of scheme {scheme!r}")
        return found


def _canonical(notation: str) -> str:
    """Return the one way to write a stage run, whatever the order in which it pools."""
    run: StageRun = make_plan([parse("scheme", notation)]).final["scheme"]
    return run.canonical


def read_recorded(folder: Path, name: str, sha256: str) -> Predictions:
    """Read the prediction file that a record calls ``name``, if it is the one with that ``sha256``.

    Raises
    ------
    CxrbenchError: the name leads out of ``folder``, or the file is missing, damaged or another one.
    """
    return read_predictions(checked(folder, name, sha256))


def checked(folder: Path, name: str, sha256: str) -> Path:
    """Return the path of the file that a record calls ``name``, if it is the one with that ``sha256``.

    Raises
    ------
    CxrbenchError: the name leads out of ``folder``, or the file is missing or another one.
    """
    path = inside(folder, name)
    try:
        found = file_sha256(path)
    except OSError as error:
        raise CxrbenchError(
            f"{path}: predictions cannot be read ({error.strerror}); run the study again, or name the folder "
            "that it was run in"
        ) from None
    if found != sha256:
        raise CxrbenchError(
            f"{path} is not the file that the results were computed from (its SHA-256 differs): "
            "it was changed by hand, or by a tool that rewrites line ends, such as git with autocrlf (a "
            ".gitattributes with '* -text' keeps it from that); restore it, or run the study again"
        )
    return path


def inside(folder: Path, name: str) -> Path:
    """Return ``folder / name``.

    Raises
    ------
    CxrbenchError: ``name`` is not a plain relative path of ``/`` and names, so that it could lead elsewhere.
    """
    if not is_plain(name):
        raise CxrbenchError(f"{folder}: the name {name!r} in its results leads out of the folder, or is none")
    return folder / name


def join_curves(parts: Mapping[str, Predictions]) -> Predictions:
    """Join predictions of one curve each on the image id; each curve is called as its part is.

    Raises
    ------
    StatisticsError: the parts are not of the same test images.
    """
    renamed = {}
    for name, part in parts.items():
        (scores,) = part.scores.values()
        renamed[name] = replace(part, scores={name: scores})
    return join_predictions(renamed)
