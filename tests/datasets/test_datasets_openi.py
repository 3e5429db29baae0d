"""OpenI: headings of reports, two editions, images under three kinds of name."""

import shutil

import pytest

from cxrbench.datasets import load
from cxrbench.datasets.openi import FINDINGS
from cxrbench.errors import DatasetError

REPORTS, PROJECTIONS = "indiana_reports.csv", "indiana_projections.csv"


def positives(cohort, image):
    row = cohort.table.set_index("image_id").loc[image]
    return {label for label in cohort.labels if row[label] == 1}


def test_a_reports_headings_hold_for_its_frontal_images(fixtures):
    cohort = load("openi", fixtures / "openi")
    assert (cohort.listed, len(cohort), cohort.labels) == (8, 4, tuple(FINDINGS))
    assert dict(cohort.left_out) == {"lateral view": 2, "report without headings": 1, "file missing": 1}
    assert positives(cohort, "9002_IM-0652-1001") == {"Cardiomegaly", "Pleural Effusion"}
    assert positives(cohort, "9003_IM-0700-1001") == {"Pneumothorax"}
    assert positives(cohort, "9001_IM-0001-3001") == set()
    assert cohort.table.loc[0, "path"] == "images/images_normalized/9001_IM-0001-3001.dcm.png"
    assert cohort.missing == ("9006_IM-0950-1001",)


def test_laterals_share_the_report_of_the_frontal(fixtures):
    table = load("openi", fixtures / "openi", laterals=True).table.set_index("image_id")
    assert table["view"].eq("lateral").sum() == 2
    assert (
        table.loc["9001_IM-0001-3001", "patient_id"] == table.loc["9001_IM-0001-4001", "patient_id"] == "9001"
    )
    with pytest.raises(DatasetError, match="laterals must be true or false, not 1"):
        load("openi", fixtures / "openi", laterals=1)


def test_other_headings_can_be_the_labels(fixtures):
    name = "Technical Quality of Image Unsatisfactory"
    cohort = load("openi", fixtures / "openi", labels=[name])
    assert cohort.table[name].sum() == 1
    with pytest.raises(DatasetError, match="no image is labelled 'Cardiomegalia'; did you mean"):
        load("openi", fixtures / "openi", labels=["Cardiomegalia"])


def test_the_xml_reports_do_not_mark_laterals_so_they_must_be_asked_for(fixtures, copied):
    root = fixtures / "other-layouts" / "openi"
    with pytest.raises(DatasetError, match=f"which images are lateral is not known; put {PROJECTIONS} there"):
        load("openi", root)
    assert len(load("openi", root, laterals=True)) == 5
    both = copied("other-layouts/openi")
    shutil.copy(fixtures / "openi" / PROJECTIONS, both)
    assert len(load("openi", both)) == 3


def test_both_editions_say_the_same_of_the_same_images(fixtures):
    kaggle = load("openi", fixtures / "openi", laterals=True).table.set_index("image_id")
    xml = load("openi", fixtures / "other-layouts" / "openi", laterals=True).table.set_index("image_id")
    shared = xml.index
    assert len(shared) == 5
    columns = ["patient_id", *FINDINGS]
    for image in shared:
        assert xml.loc[image, columns].tolist() == kaggle.loc[image, columns].tolist()


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        (PROJECTIONS, "3001.dcm.png,Frontal", "3001.dcm.png,Oblique", r"must be Frontal or Lateral \(row 2"),
        (PROJECTIONS, "9002,", "9902,", r"a report that is not in indiana_reports.csv \(row 4"),
        (PROJECTIONS, "9001_IM-0001-4001", "9001_IM-0001-3001", r"an image appears twice \(row 2, 3"),
        (REPORTS, "9002,", "9001,", r"a report appears twice \(row 2, 3"),
        (REPORTS, "Problems", "Issues", "columns missing: Problems|no openi"),
    ],
)
def test_tables_that_are_wrong_or_do_not_belong_together_are_refused(
    table, old, new, message, copied, edited
):
    root = copied("openi")
    edited(root / table, old, new)
    with pytest.raises(DatasetError, match=message):
        load("openi", root)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<eCitation>", r"9002\.xml: is not an XML report: "),
        ('<?xml version="1.0" encoding="utf-88"?><eCitation/>', r"9002\.xml: is not an XML report: "),
        ("<eCitation/>", r"9002\.xml: has no uId"),
    ],
)
def test_a_file_that_is_no_report_is_named(text, message, copied):
    root = copied("other-layouts/openi")
    (root / "ecgen-radiology" / "9002.xml").write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match=message) as raised:
        load("openi", root, laterals=True)
    assert "\n" not in str(raised.value)


def test_an_image_in_two_reports_is_refused(copied):
    root = copied("other-layouts/openi")
    folder = root / "ecgen-radiology"
    shutil.copy(folder / "9001.xml", folder / "9009.xml")
    with pytest.raises(DatasetError, match="image CXR9001_9001_IM-0001-3001 appears in two reports"):
        load("openi", root, laterals=True)


def test_reports_without_any_image_are_refused(copied):
    root = copied("openi")
    shutil.rmtree(root / "images")
    with pytest.raises(DatasetError, match="no PNG files in it or below it"):
        load("openi", root)
