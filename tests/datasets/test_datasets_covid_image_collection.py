"""The COVID-19 Image Data Collection: what stays, what is left out and why, how findings are spelled."""

import shutil

import pytest

from cxrbench.datasets import discover, load
from cxrbench.errors import DatasetError

NAME = "covid-image-collection"


def labels_by_image(cohort):
    return dict(zip(cohort.table["image_id"], cohort.table["COVID-19"], strict=True))


def test_frontal_labelled_x_rays_stay_and_every_other_row_is_counted(fixtures):
    cohort = load(NAME, fixtures / NAME)
    assert (cohort.listed, len(cohort)) == (18, 11)
    assert list(cohort.left_out.items()) == [
        ("not an X-ray", 1),
        ("lateral view", 1),
        ("view not known", 1),
        ("file missing", 1),
        ("no label (todo, unknown or empty)", 2),
        ("same file listed again", 1),
    ]
    assert cohort.missing == ("images/gone.png",)
    assert cohort.unlisted == ()


def test_covid_is_distinguished_from_every_other_finding(fixtures):
    assert labels_by_image(load(NAME, fixtures / NAME)) == {
        "a-day0.jpeg": 1.0,
        "a-day6.jpeg": 1.0,
        "b-color.png": 1.0,
        "c-alpha.png": 1.0,
        "d-palette.png": 0.0,
        "e-sixteen.png": 0.0,
        "f.jpg": 0.0,
        "g-before.png": 0.0,
        "g-after.png": 1.0,
        "l-day30.jpg": 0.0,
        "l-day90.jpg": 0.0,
    }


def test_views_sexes_ages_and_places_are_in_the_contracts_words(fixtures):
    table = load(NAME, fixtures / NAME).table.set_index("image_id")
    assert table["view"].to_dict()["c-alpha.png"] == "AP supine"
    assert table["view"].to_dict()["d-palette.png"] == "AP"
    assert table.loc["a-day0.jpeg", ["sex", "age", "source", "finding", "offset"]].tolist() == [
        "M",
        57.0,
        "Oslo, Norway",
        "Pneumonia/Viral/COVID-19",
        "0",
    ]
    assert table.loc["c-alpha.png", ["sex", "age"]].isna().all()
    assert table.loc["c-alpha.png", "source"] == "unknown"


def test_a_case_entered_twice_is_one_patient_and_its_file_one_image(fixtures):
    cohort = load(NAME, fixtures / NAME)
    patients = cohort.table.set_index("image_id")["patient_id"]
    assert patients["l-day30.jpg"] == patients["l-day90.jpg"] == "915"
    assert cohort.table["patient_id"].nunique() == 8
    assert cohort.notes == (
        "patient ids that share a file with an earlier one, taken as the same patient: 1",
    )


def test_patient_ids_are_joined_through_a_chain_of_files(copied):
    root = copied(NAME)
    rows = (root / "metadata.csv").read_text(encoding="utf-8").splitlines()
    header, model = rows[0], next(row for row in rows if "f.jpg" in row)
    chain = [
        ("1", "a-day0.jpeg"),
        ("2", "a-day0.jpeg"),
        ("2", "f.jpg"),
        ("3", "f.jpg"),
        ("3", "h.png"),
        ("4", "i.png"),
    ]
    lines = [model.replace("908", patient, 1).replace("f.jpg", name) for patient, name in chain]
    (root / "metadata.csv").write_text("\n".join([header, *lines]), encoding="utf-8")
    cohort = load(NAME, root)
    assert cohort.table["patient_id"].tolist() == ["1", "1", "1", "4"]
    assert cohort.left_out["same file listed again"] == 2


def test_every_form_of_file_is_read(fixtures):
    cohort = load(NAME, fixtures / NAME)
    for row in range(len(cohort)):
        square = cohort.pixels.read(row, 24)
        assert square.shape == (24, 24)
        assert square.std() > 5


@pytest.mark.parametrize(
    ("finding", "label"),
    [
        ("COVID-19", 1.0),
        ("covid-19", 1.0),
        ("COVID 19", 1.0),
        ("COVID19", 1.0),
        ("Pneumonia/Viral/COVID-19", 1.0),
        ("Pneumonia / Viral / COVID-19", 1.0),
        ("ARDS, COVID-19", 1.0),
        ("SARS", 0.0),
        ("Pneumonia/Viral/MERS-CoV", 0.0),
        ("No Finding", 0.0),
        ("Anything else", 0.0),
        ("todo", None),
        ("TODO", None),
        (" Unknown ", None),
        ("", None),
    ],
)
def test_findings_as_they_are_spelled(finding, label, copied, edited):
    root = copied(NAME)
    edited(root / "metadata.csv", ",No Finding,,PA", f',"{finding}",,PA')
    assert labels_by_image(load(NAME, root)).get("f.jpg") == label


@pytest.mark.parametrize("finding", ["suspected COVID-19", "COVID-19?!x", "COVID", "SARS-CoV-2", "2019-nCoV"])
def test_a_finding_that_may_mean_covid_is_an_unknown_label(finding, copied, edited):
    root = copied(NAME)
    edited(root / "metadata.csv", ",No Finding,,PA", f",{finding},,PA")
    with pytest.raises(DatasetError, match=r"unknown label: .* looks like it \(row 8; 1 in all\)"):
        load(NAME, root)


def test_a_file_listed_with_and_without_covid_is_refused(copied, edited):
    root = copied(NAME)
    edited(root / "metadata.csv", "f.jpg", "a-day0.jpeg")
    with pytest.raises(
        DatasetError, match=r"the same file is listed with and without COVID-19 \(row 2, 8; 2 in"
    ):
        load(NAME, root)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("finding", "diagnosis", "columns missing: finding"),
        ("images,f.jpg", "images,", r"column 'filename' is empty \(row 8"),
        ("908,,M", ",,M", r"column 'patientid' is empty \(row 8"),
    ],
)
def test_metadata_that_is_not_as_published_is_refused(old, new, message, copied, edited):
    root = copied(NAME)
    edited(root / "metadata.csv", old, new)
    with pytest.raises(DatasetError, match=message):
        load(NAME, root)


def test_metadata_without_any_image_is_refused(copied):
    root = copied(NAME)
    shutil.rmtree(root / "images")
    with pytest.raises(DatasetError, match=r"no images in images, volumes/; get the folders"):
        load(NAME, root)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00metadata", b"patient,image\n", b""])
def test_a_metadata_file_of_something_else_is_not_taken_for_the_collection(content, tmp_path):
    (tmp_path / "metadata.csv").write_bytes(content)
    with pytest.raises(DatasetError, match="no covid-image-collection data"):
        discover(tmp_path, NAME)


def test_a_missing_metadata_file_is_named(copied):
    root = copied(NAME)
    (root / "metadata.csv").unlink()
    with pytest.raises(DatasetError, match=r"metadata.csv: no such file; clone the collection"):
        load(NAME, root)
