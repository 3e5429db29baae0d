"""The tuberculosis sets of the National Library of Medicine: Montgomery County and Shenzhen.

Jaeger et al., "Two public chest X-ray datasets for computer-aided screening of pulmonary diseases",
Quantitative Imaging in Medicine and Surgery 2014; 138 and 662 PA images. Layout as
torchxrayvision's ``NLMTB_Dataset`` and other public code read it. More in docs/datasets/nlm-tuberculosis.md.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from cxrbench.cohort.table import Cohort
from cxrbench.datasets.folder import Selection, list_images, make_cohort, shortened
from cxrbench.datasets.registry import register
from cxrbench.errors import DatasetError
from cxrbench.files import read_file

LABEL = "Tuberculosis"
SETS = {"MCUCXR": "Montgomery", "CHNCXR": "Shenzhen"}
"""How a file name begins -> the set."""

_PREFIXES = ("", "MontgomerySet/", "NLM-MontgomeryCXRSet/MontgomerySet/", "ChinaSet_AllFiles/")
_NAME = re.compile(r"(MCUCXR|CHNCXR)_(\d+)_([01])")
_SEX = re.compile(r"\b(?:(m|male)|(f|femal|female))\b", re.IGNORECASE)
_AGE = re.compile(r"(?<!\d)(\d{1,3})\s*(y|m|d)?(?!\d)", re.IGNORECASE)
_YEARS = {"y": 1.0, "m": 12.0, "d": 365.25}


def recognises(folder: Path) -> bool:
    """Return whether the folder, or a set's own folder in it, holds images of one of the sets."""
    return any(_images(folder / prefix / "CXR_png") for prefix in _PREFIXES)


@register(
    "nlm-tuberculosis",
    title="NLM tuberculosis: Shenzhen and Montgomery",
    marker="MontgomerySet/CXR_png or ChinaSet_AllFiles/CXR_png",
    recognises=recognises,
    public=True,
    licence="as the National Library of Medicine states it",
    page="datasets/nlm-tuberculosis.md",
)
def load(root: Path) -> Cohort:
    """Read ``CXR_png/`` and ``ClinicalReadings/`` of one set or of both.

    The label is the last figure of a file's name: 1 is tuberculosis. ``source`` is Montgomery or Shenzhen.
    Sex, age and the column ``reading`` come from the reading's text where it is there. All images are PA. An
    image counts as a patient. There is no official split.

    Raises
    ------
    DatasetError: no image, or a name that is not as published.
    """
    paths = list_images(root, [f"{prefix}CXR_png" for prefix in _PREFIXES], (".png",)).paths
    if not paths:
        raise DatasetError(
            f"{root}: no PNG files in CXR_png/; unpack MontgomerySet or ChinaSet_AllFiles there"
        )
    names = [path.rpartition("/")[2][: -len(".png")] for path in paths]
    matches = [_NAME.fullmatch(name) for name in names]
    odd = [path for path, match in zip(paths, matches, strict=True) if match is None]
    if odd:
        raise DatasetError(
            f"{root}: {len(odd):,} file names are not as published, such as {shortened(odd)}; expected "
            "MCUCXR_0001_0.png or CHNCXR_0001_0.png"
        )
    texts = [_reading(root / path) for path in paths]
    labels = [float(name[-1]) for name in names]
    readings = [_understand(text) for text in texts]
    frame = pd.DataFrame(
        {
            "image_id": names,
            "patient_id": [name[:-2] for name in names],
            "view": "PA",
            "sex": [sex for sex, _, _ in readings],
            "age": [age for _, age, _ in readings],
            "source": [SETS[name[:6]] for name in names],
            "path": paths,
            LABEL: labels,
            "reading": pd.Series([text for *_, text in readings], dtype=object),
        }
    )
    contrary = (frame["reading"].str.lower() == "normal") & (frame[LABEL] == 1)
    unread = sum(text is None for text in texts)
    notes = []
    if unread:
        notes.append(f"images without a reading, so without sex and age: {unread:,}")
    if contrary.any():
        notes.append(f"images named as tuberculosis whose reading is 'normal': {int(contrary.sum()):,}")
    return make_cohort(
        dataset="nlm-tuberculosis", root=root, selection=Selection(frame), labels=(LABEL,), notes=notes
    )


def _images(folder: Path) -> list[Path]:
    return [path for start in SETS for path in folder.glob(f"{start}_*.png")]


def _reading(image: Path) -> str | None:
    path = image.parents[1] / "ClinicalReadings" / f"{image.stem}.txt"
    try:
        return read_file(path).decode("utf-8-sig", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from None


def _understand(text: str | None) -> tuple[str | None, float, str | None]:
    """Return sex, age in years and the finding of a reading.

    Montgomery: ``Patient's Sex: F``, ``Patient's Age: 027Y``, the finding. Shenzhen: ``male 45yrs``, the
    finding; also ``femal 32yrs``, ``Female, 28yrs``, ``male 16month``.
    """
    lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
    described = 2 if lines and lines[0].startswith("Patient") else 1
    person = " ".join(line.partition(":")[2] or line for line in lines[:described])
    sex, age = _SEX.search(person), _AGE.search(person)
    unit = (age[2] or "y").lower() if age else "y"
    years = int(age[1]) / _YEARS[unit] if age else float("nan")
    finding = " ".join(lines[described:])
    return (
        None if sex is None else "M" if sex[1] else "F",
        years if 0 <= years <= 120 else float("nan"),
        finding or None,
    )
