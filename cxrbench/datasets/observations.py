"""The fourteen labels of the CheXpert labeller, as CheXpert and MIMIC-CXR-JPG write them down.

A cell is 1.0 (mentioned as present), 0.0 (as absent), -1.0 (with uncertainty), or empty (not mentioned). "No
Finding" is 1.0 or empty: it is empty where the report mentions a finding, one of the other labels or another.
Sources: stanfordmlgroup/chexpert-labeler, stages/aggregate.py; physionet.org/content/mimic-cxr-jpg/2.1.0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from cxrbench.datasets.tables import read_flags

NO_FINDING = "No Finding"
DEVICES = "Support Devices"
OBSERVATIONS = (
    NO_FINDING,
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    DEVICES,
)

UNCERTAIN = -1.0

Unmentioned = Literal["unknown", "negative", "negative-if-no-finding"]
"""What a label is that the report does not mention."""


def read_observations(path: Path, frame: pd.DataFrame, unmentioned: Unmentioned = "unknown") -> pd.DataFrame:
    """Return the fourteen columns as floats: 1, 0, -1 (uncertain) or NaN (not known).

    Parameters
    ----------
    path: the table's file, for messages.
    frame: the table, from :func:`~cxrbench.datasets.tables.read_table`; a column that it lacks is unknown.
    unmentioned: what an empty cell of the thirteen means: ``"unknown"``, ``"negative"``, or negative in those
        images whose report has no finding and unknown in the others (what torchxrayvision does).

    Raises
    ------
    DatasetError: another value in a cell.
    """
    values = pd.DataFrame(np.nan, index=frame.index, columns=list(OBSERVATIONS))
    for label in OBSERVATIONS:
        if label in frame:
            values[label] = read_flags(path, frame[label], unknown=True)
    if NO_FINDING in frame:
        values[NO_FINDING] = values[NO_FINDING].fillna(0.0)
    findings = [label for label in OBSERVATIONS if label in frame and label != NO_FINDING]
    if unmentioned == "negative":
        values[findings] = values[findings].fillna(0.0)
    elif unmentioned == "negative-if-no-finding":
        healthy = values[NO_FINDING] == 1
        among = [label for label in findings if label != DEVICES]
        values.loc[healthy, among] = values.loc[healthy, among].fillna(0.0)
    return values
