"""The errors that a user of cxrbench is meant to read.

Every message says what is wrong, where, and what to do. The command line prints them as one line and exits
non-zero; Python callers catch :class:`CxrbenchError` or the narrower class.
"""

from __future__ import annotations

from pathlib import Path

from cxrbench.text import one_line


class CxrbenchError(Exception):
    """Base of every error that cxrbench raises on purpose: one printable line, whatever it quotes."""

    def __str__(self) -> str:
        return one_line(super().__str__())


class RadiographError(CxrbenchError):
    """A radiograph file cannot be read.

    Attributes
    ----------
    path: the file.
    reason: why, in one line, without the path.
    """

    def __init__(self, path: Path | str, reason: str) -> None:
        self.path = Path(path)
        self.reason = reason
        super().__init__(f"{path}: {reason}")

    def __reduce__(self) -> tuple[type[RadiographError], tuple[Path, str]]:
        # So that it comes through from another process.
        return type(self), (self.path, self.reason)


class DatasetError(CxrbenchError):
    """A data set's folder is not as published, or a name is not registered."""


class CohortError(CxrbenchError):
    """A cohort table breaks its contract, or cannot be split or packed."""


class LeakError(CohortError):
    """A patient or an image is on both sides of a split."""


class SchemeError(CxrbenchError):
    """A scheme's notation or name is wrong."""


class TrainingError(CxrbenchError):
    """Training cannot start, go on, or load a checkpoint."""


class StatisticsError(CxrbenchError, ValueError):
    """Labels, scores or prediction files from which no honest number can be computed."""


class ProfileError(CxrbenchError):
    """A profile is missing, malformed or asks for what is not there."""


class RecordError(CxrbenchError):
    """A JSON file that cxrbench wrote is missing, damaged, changed or of another version."""


class GateError(CxrbenchError):
    """A baseline cannot be compared against."""
