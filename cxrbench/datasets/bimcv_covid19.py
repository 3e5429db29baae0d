"""BIMCV-COVID19+ and BIMCV-COVID19-, of the Valencian Region's image bank.

De la Iglesia Vayá et al., "BIMCV COVID-19+: a large annotated dataset of RX and CT images from COVID-19
patients", arXiv:2006.01174. Layout, columns and words as several public repositories read them, the
publisher's own among them. More in docs/datasets/bimcv-covid19.md.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from cxrbench.cohort.table import Cohort
from cxrbench.datasets import padchest
from cxrbench.datasets.folder import Selection, make_cohort, walk_images
from cxrbench.datasets.options import SWITCH, choices
from cxrbench.datasets.projections import keep_views
from cxrbench.datasets.registry import register
from cxrbench.datasets.tables import has_columns, read_ids, read_table, refuse_rows, sexes, views
from cxrbench.datasets.words import Words
from cxrbench.errors import DatasetError
from cxrbench.files import read_file

COVID, DOUBT = "COVID 19", "COVID 19 uncertain"
FINDINGS: dict[str, tuple[str, ...]] = {
    COVID: (),
    **padchest.FINDINGS,
    "pneumonia": (*padchest.FINDINGS["pneumonia"], "viral pneumonia"),
}
"""The labels unless others are named: PadChest's, and COVID-19 as the report says it."""

_NEEDED = ("PatientID", "ReportID", "Labels")
_NAME = r"^(sub-[^_]+)_(ses-[^_]+)_.*\.png$"
_WORD = "['\"]([^'\"]*)['\"]"
_CUT = "(cut)"


def recognises(folder: Path) -> bool:
    """Return whether the folder, or one in it, holds the archive's table of labels."""
    return _table(folder) is not None


@register(
    "bimcv-covid19",
    title="BIMCV-COVID19+ and -",
    marker="derivatives/labels/labels_covid_posi.tsv or the like",
    recognises=recognises,
    licence="BIMCV's terms: research only, no redistribution",
    page="datasets/bimcv-covid19.md",
    check=choices(laterals=SWITCH),
)
def load(root: Path, laterals: bool = False, labels: Sequence[str] | None = None) -> Cohort:
    """Read the table of labels, ``participants.tsv`` and the PNG films below ``root``.

    A session's words hold for each of its films. "COVID 19" is what the report says, and uncertain where it
    says "COVID 19 uncertain"; the tests (PCR) are not read. What an unfinished list or one with "unchanged"
    does not name is unknown. Patient, session, body part and view are in the file's name. Age is the first of
    ``participants.tsv``. CT volumes are not films and not listed. There is no official split.

    Parameters
    ----------
    root: the folder of ``derivatives/`` and of the ``sub-…`` folders, or the one above them.
    laterals: keep lateral views.
    labels: words to use as labels instead of :data:`FINDINGS`.

    Raises
    ------
    DatasetError: no table or no film, a column missing, or a label that no session has.
    """
    path = _table(root)
    if path is None:
        raise DatasetError(f"{root}: no derivatives/labels/*.tsv; unpack the archive's metadata there")
    table = read_table(path, _NEEDED, hint="unpack the archive's metadata there", separator="\t")
    table, id_notes = read_ids(path, table, ("PatientID", "ReportID"))
    of_patients = table.groupby("ReportID")["PatientID"].transform("nunique")
    refuse_rows(path, of_patients > 1, "a session of two patients")
    found = walk_images(root, [""], (".png",)).paths
    names = pd.Series([path.rpartition("/")[2] for path in found], dtype=object)
    pieces = names.str.extract(_NAME)
    films = pieces.index[pieces[0].notna()]
    if films.empty:
        raise DatasetError(f"{root}: no films sub-…/ses-…/mod-rx/sub-…_ses-….png in it or below it")
    paths, names, pieces = pd.Series(found, dtype=object)[films], names[films], pieces.loc[films]
    stated = names.str.extract(r"_vp-([^_.]+)")[0]
    body = names.str.extract(r"_bp-([^_.]+)")[0]
    words = _words(path, table)
    chosen = words.labels(FINDINGS, labels, unsaid=("unchanged", _CUT), uncertain={COVID: DOUBT})
    silent = words.where([not said - {_CUT} for said in words.distinct])
    people = _people(root)
    inverted, unknown = _inverted(root, paths)
    selection = Selection(
        pd.DataFrame(
            {
                "image_id": names.str.removesuffix(".png"),
                "patient_id": pieces[0],
                "view": views(stated),
                "sex": sexes(pieces[0].map(people["gender"])),
                "age": pieces[0].map(people["age"]).astype(np.float64),
                "source": "BIMCV-COVID19-" if "neg" in path.name.lower() else "BIMCV-COVID19+",
                "path": paths,
                "session": pieces[1],
            }
        ).join(chosen.reindex(pieces[1]).set_axis(films))
    )
    selection.leave_out(names.duplicated(), "a film of that name is in another folder too")
    body, stated = body.loc[selection.frame.index], stated.loc[selection.frame.index]
    selection.leave_out(~body.fillna("chest").str.lower().isin(("chest", "thorax")), "not of the chest")
    keep_views(selection, stated, laterals)
    selection.leave_out(selection.frame["path"].isin(inverted), "inverted (MONOCHROME1 in its JSON file)")
    spoken = set(silent.index[~silent])
    selection.leave_out(~selection.frame["session"].isin(spoken), "no label")
    filmless = set(silent.index).difference(pieces[1])
    notes = [*id_notes, f"sessions with labels and no film here: {len(filmless):,}"]
    if unknown:
        notes.append(f"films without a JSON file, which would say whether they are inverted: {unknown:,}")
    return make_cohort(
        dataset="bimcv-covid19",
        root=root,
        selection=selection,
        labels=list(chosen.columns),
        unlisted=sorted(set(found).difference(paths)),
        notes=notes,
    )


def _words(path: Path, table: pd.DataFrame) -> Words:
    """Return the words of each session, by its ReportID; those of several rows together."""
    texts = table["Labels"].mask(table["Labels"] == "nan").fillna("")
    # Some lists of the original stop in the middle.
    unfinished = texts.str.contains("[", regex=False) & ~texts.str.endswith("]")
    # A word that was not finished is none: it may be the beginning of another.
    whole = texts.mask(texts.str.count("['\"]") % 2 == 1, texts.str.replace(r"['\"][^'\"]*$", "", regex=True))
    marked = whole.mask(unfinished, whole + f" '{_CUT}'")
    return Words.read(path, marked.groupby(table["ReportID"], sort=False).agg(" ".join), _WORD)


def _inverted(root: Path, paths: pd.Series) -> tuple[set[str], int]:
    """Return the films whose JSON file says MONOCHROME1, and how many have no JSON file.

    The PNG files hold the stored values, which are not inverted.
    """
    inverted, unknown = set(), 0
    for path in paths:
        beside = (root / path).with_suffix(".json")
        if not os.path.lexists(beside):
            unknown += 1
            continue
        try:
            said = read_file(beside)
        except OSError as error:
            raise DatasetError(f"{beside}: cannot be read: {error.strerror}") from None
        if b"MONOCHROME1" in said:
            inverted.add(path)
    return inverted, unknown


def _table(folder: Path) -> Path | None:
    found = sorted(
        path
        for pattern in ("derivatives/labels/*.tsv", "*/derivatives/labels/*.tsv")
        for path in folder.glob(pattern)
        if has_columns(path, _NEEDED)
    )
    return found[0] if found else None


def _people(root: Path) -> pd.DataFrame:
    """Return sex and age by patient, empty where ``participants.tsv`` is not here."""
    path = next(
        (
            path
            for path in (root / "participants.tsv", *sorted(root.glob("*/participants.tsv")))
            if path.is_file()
        ),
        None,
    )
    if path is None:
        return pd.DataFrame({"gender": [], "age": []}, dtype=object)
    table = read_table(path, ("participant", "gender", "age"), hint="unpack it", separator="\t")
    table = table.dropna(subset="participant").drop_duplicates("participant").set_index("participant")
    years = table["age"].str.extract(r"(\d+(?:\.\d+)?)")[0].astype(np.float64)
    return table[["gender"]].assign(age=years.where(years.between(0, 120)))
