"""Common names of findings: what the data sets spell in different ways and mean alike.

The original names stay the label columns of every cohort. A profile may ask for a label by its own name or by
the common one, so that roles of two archives can be given the same labels. The table is in docs/data.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from cxrbench.datasets.registry import adapter
from cxrbench.errors import DatasetError
from cxrbench.text import did_you_mean

COMMON: dict[str, tuple[str, ...]] = {
    "Atelectasis": (),
    "Cardiomegaly": ("Enlarged heart", "Cardiac enlargement"),
    "Consolidation": (),
    "COVID-19": ("COVID", "SARS-CoV-2"),
    "Edema": ("Oedema", "Pulmonary Edema", "Pulmonary Oedema"),
    "Emphysema": (),
    "Enlarged Cardiomediastinum": ("Mediastinal enlargement",),
    "Fibrosis": ("Pulmonary Fibrosis",),
    "Fracture": ("Fractures",),
    "Hernia": ("Hiatal Hernia", "Hiatus Hernia"),
    "Infiltration": ("Infiltrate", "Infiltrates"),
    "Lung Lesion": (),
    "Lung Opacity": ("Opacity", "Airspace Opacity"),
    "Mass": ("Lung Mass", "Pulmonary Mass"),
    "No Finding": ("Normal", "No findings"),
    "Nodule": ("Lung Nodule", "Pulmonary Nodule"),
    "Pleural Effusion": ("Effusion", "Effusions"),
    "Pleural Thickening": (),
    "Pneumonia": (),
    "Pneumothorax": (),
    "Support Devices": (),
    "Tuberculosis": ("TB",),
}
"""Common name -> other spellings. Letter case, spaces, hyphens and underscores do not count."""


def _folded(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


_BY_SPELLING = {_folded(other): name for name, others in COMMON.items() for other in (name, *others)}


def common_name(label: str, dataset: str | None = None) -> str:
    """Return the common name of a label; the label itself where it has none.

    Parameters
    ----------
    dataset: whose label it is: an adapter may say what its own words mean.
    """
    own = adapter(dataset).findings if dataset else {}
    return own.get(label) or _BY_SPELLING.get(_folded(label), label)


def find_label(asked: str, labels: Sequence[str], dataset: str | None = None) -> str:
    """Return the one of ``labels`` that is called ``asked``, or means the same.

    Raises
    ------
    DatasetError: none does (the message names the nearest), or several.
    """
    if asked in labels:
        return asked
    same = [label for label in labels if common_name(label, dataset) == common_name(asked)]
    if len(same) == 1:
        return same[0]
    if same:
        raise DatasetError(f"label {asked!r} may be {' or '.join(map(repr, same))}: name one of them")
    raise DatasetError(f"has no label {asked!r}{did_you_mean(asked, labels)} (labels: {', '.join(labels)})")
