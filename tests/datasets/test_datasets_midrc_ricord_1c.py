"""RICORD-1c: the retriever's table of series, several readers in an export of MD.ai."""

import json
import shutil

import pytest

from cxrbench.datasets import discover, load
from cxrbench.datasets.siim_covid19 import APPEARANCES
from cxrbench.errors import DatasetError

EXPORT = "1c_mdai_rsna_project_annotations_labelgroup_all.json"


@pytest.fixture
def cohort(fixtures):
    return load("midrc-ricord-1c", fixtures / "midrc-ricord-1c")


def of_study(cohort, digits):
    return cohort.table[cohort.table["study"].str.endswith(digits)]


def test_every_film_of_a_series_is_a_row(cohort):
    assert (cohort.listed, len(cohort), cohort.labels) == (7, 5, ("COVID-19", *APPEARANCES))
    assert dict(cohort.left_out) == {"study without an appearance": 1, "file missing": 1}
    assert len(cohort.missing) == 1
    assert cohort.missing[0].endswith("CHEST 1V-50006/1.000000-AP-50006")
    two = of_study(cohort, "50002")
    assert two["path"].str.endswith(("1-1.dcm", "1-2.dcm")).all()
    assert two["patient_id"].tolist() == ["MIDRC-RICORD-1C-419639-990001"] * 2
    assert set(cohort.table["source"]) == {"site 419639", "site SITE2", "site 440808"}


def test_more_than_half_of_the_readers_decide(cohort):
    assert of_study(cohort, "50001")[list(APPEARANCES)].iloc[0].tolist() == [0, 1, 0, 0]
    assert of_study(cohort, "50002")[list(APPEARANCES)].iloc[1].tolist() == [0, 0, 1, 0]
    assert of_study(cohort, "50004")[list(APPEARANCES)].iloc[0].tolist() == [1, 0, 0, 0]


def test_where_readers_are_divided_what_they_name_is_not_known(cohort):
    divided = of_study(cohort, "50003").iloc[0]
    assert divided["Atypical Appearance"] == 0
    named = ("Negative for Pneumonia", "Typical Appearance", "Indeterminate Appearance")
    assert all(divided[name] not in (0, 1) for name in named)


def test_all_are_of_patients_with_covid_and_that_is_noted(cohort):
    assert (cohort.table["COVID-19"] == 1).all()
    assert "negatives must come from another data set" in cohort.notes[0]


def test_another_collections_manifest_is_not_taken_for_it(copied, tmp_path):
    root = copied("midrc-ricord-1c")
    (root / EXPORT).unlink()
    with pytest.raises(DatasetError, match="no midrc-ricord-1c data"):
        discover(tmp_path, "midrc-ricord-1c")
    with pytest.raises(DatasetError, match=r"no \*annotations\*\.json; download it"):
        load("midrc-ricord-1c", root)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not an export of MD.ai"),
        ("[]", "is not an export of MD.ai"),
        ('{"labelGroups": [], "datasets": [{"annotations": [{"labelId": 1}]}]}', "is not an export of MD.ai"),
        ('{"labelGroups": [], "datasets": []}', "no annotation is one of Negative for Pneumonia, Typical"),
    ],
)
def test_annotations_of_another_form_are_refused_in_one_line(content, message, copied):
    root = copied("midrc-ricord-1c")
    (root / EXPORT).write_text(content, encoding="utf-8")
    with pytest.raises(DatasetError, match=message) as raised:
        load("midrc-ricord-1c", root)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("./MIDRC-RICORD-1C/", "../MIDRC-RICORD-1C/", r"a file location must lie in the folder \(row 2"),
        ("10.474.50002.1", "10.474.50001.1", r"a series appears twice \(row 2, 3; 2 in all\)"),
        ("Subject ID", "Patient", "columns missing: Subject ID"),
    ],
)
def test_a_table_that_is_not_as_published_is_refused_by_row(old, new, message, copied, edited):
    root = copied("midrc-ricord-1c")
    edited(root / "metadata.csv", old, new)
    with pytest.raises(DatasetError, match=message):
        load("midrc-ricord-1c", root)


def test_a_table_without_any_image_is_refused(copied):
    root = copied("midrc-ricord-1c")
    shutil.rmtree(root / "MIDRC-RICORD-1C")
    with pytest.raises(DatasetError, match="no DICOM files in MIDRC-RICORD-1C; fetch the images"):
        load("midrc-ricord-1c", root)


def test_a_reader_who_says_a_thing_twice_counts_once(copied):
    root = copied("midrc-ricord-1c")
    export = json.loads((root / EXPORT).read_text(encoding="utf-8"))
    annotations = export["datasets"][0]["annotations"]
    again = [one for one in annotations if one["StudyInstanceUID"].endswith("50003")][:1]
    export["datasets"][0]["annotations"] += again * 5
    (root / EXPORT).write_text(json.dumps(export), encoding="utf-8")
    divided = of_study(load("midrc-ricord-1c", root), "50003").iloc[0]
    assert divided["Typical Appearance"] not in (0, 1)
