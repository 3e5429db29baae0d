"""Labels from lists of words: the findings that a report's index, or a physician, names for a film."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxrbench.errors import DatasetError
from cxrbench.text import did_you_mean

Findings = Mapping[str, Sequence[str]]
"""Label -> narrower words that make it positive too, besides the label itself."""


@dataclass(frozen=True)
class Words:
    """Which words each row of a table names.

    Few rows differ from all others, so each distinct list is looked at once.

    Attributes
    ----------
    path: the table's file, for messages.
    index: of the rows.
    codes: (n,) int, each row's place in ``distinct``.
    distinct: the distinct sets of words.
    """

    path: Path
    index: pd.Index
    codes: npt.NDArray[np.intp]
    distinct: tuple[frozenset[str], ...]

    @classmethod
    def read(cls, path: Path, texts: pd.Series, pattern: str) -> Words:
        """Find the words of each text, stripped, without empty ones.

        Parameters
        ----------
        pattern: a regular expression whose matches (or first groups) are the words.
        """
        codes, distinct = pd.factorize(texts.fillna(""))
        found = pd.Series(distinct, dtype=object).str.findall(pattern)
        sets = tuple(frozenset(word.strip() for word in words) - {""} for words in found)
        return cls(path, texts.index, codes, sets)

    def where(self, chosen: Sequence[bool]) -> pd.Series:
        """Return for each row what was decided for each distinct set."""
        return pd.Series(np.array(chosen, dtype=bool)[self.codes], self.index)

    def none(self) -> pd.Series:
        """Return which rows name no word."""
        return self.where([not words for words in self.distinct])

    def named(self, word: str) -> pd.Series:
        """Return which rows name the word."""
        return self.where([word in words for words in self.distinct])

    def labels(
        self,
        findings: Findings,
        asked: Sequence[str] | None,
        *,
        unsaid: Sequence[str] = (),
        uncertain: Mapping[str, str] | None = None,
    ) -> pd.DataFrame:
        """Return one column per label: 1 where it or a narrower word is named, else 0.

        Parameters
        ----------
        findings: the labels unless others are asked for, and their narrower words.
        asked: any other words to use as labels.
        unsaid: words after which the others are unknown (NaN) where they are not named.
        uncertain: label -> the word that makes it uncertain (-1).

        Raises
        ------
        DatasetError: a label that no row has.
        """
        chosen = {
            label: frozenset((label, *findings.get(label, ()))) for label in self._asked(findings, asked)
        }
        silent, doubt = frozenset(unsaid), uncertain or {}
        rows = [
            [_value(words, label, any_of, silent, doubt) for label, any_of in chosen.items()]
            for words in self.distinct
        ]
        return pd.DataFrame(np.array(rows)[self.codes], index=self.index, columns=list(chosen))

    def _asked(self, findings: Findings, asked: Sequence[str] | None) -> Sequence[str]:
        if asked is None:
            return tuple(findings)
        if isinstance(asked, str) or not asked:
            raise DatasetError(f"{self.path}: labels must be a list of words, not {asked!r}")
        known = frozenset[str]().union(*self.distinct)
        for label in asked:
            if label not in known and label not in findings:
                hint = did_you_mean(label, sorted(known))
                raise DatasetError(f"{self.path}: no image is labelled {label!r}{hint}")
        return asked


def _value(
    words: frozenset[str],
    label: str,
    any_of: frozenset[str],
    silent: frozenset[str],
    doubt: Mapping[str, str],
) -> float:
    if any_of & words:
        return 1.0
    if doubt.get(label) in words:
        return -1.0
    return np.nan if silent & words else 0.0
