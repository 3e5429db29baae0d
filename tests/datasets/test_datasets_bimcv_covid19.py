"""BIMCV-COVID19: words of sessions, views in names, negatives among the films."""

import shutil

import pytest

from cxrbench.datasets import load
from cxrbench.datasets.bimcv_covid19 import FINDINGS
from cxrbench.errors import DatasetError

LABELS = "covid19_posi/derivatives/labels/labels_covid_posi.tsv"
FIRST = "sub-S90001_ses-E90001_run-1_bp-chest_vp-ap_dx"


@pytest.fixture
def cohort(fixtures):
    return load("bimcv-covid19", fixtures / "bimcv-covid19")


def of_session(cohort, number):
    return cohort.table[cohort.table["session"] == f"ses-E9000{number}"].iloc[0]


def positives(row):
    return {label for label in FINDINGS if row[label] == 1}


def test_what_is_left_out_is_counted_by_reason(cohort):
    assert (cohort.listed, len(cohort), cohort.labels) == (9, 4, tuple(FINDINGS))
    assert dict(cohort.left_out) == {
        "not of the chest": 1,
        "lateral view": 1,
        "view not known": 1,
        "inverted (MONOCHROME1 in its JSON file)": 1,
        "no label": 1,
    }
    assert cohort.notes == (
        "sessions with labels and no film here: 1",
        "films without a JSON file, which would say whether they are inverted: 1",
    )


def test_a_sessions_words_hold_for_its_films(fixtures):
    cohort = load("bimcv-covid19", fixtures / "bimcv-covid19", laterals=True)
    both = cohort.table[cohort.table["session"] == "ses-E90001"]
    assert both["view"].tolist() == ["AP", "lateral"]
    assert [positives(row) for _, row in both.iterrows()] == [{"COVID 19", "pneumonia", "infiltrates"}] * 2


def test_covid_may_be_uncertain_or_not_named(cohort):
    doubtful = of_session(cohort, 2)
    assert doubtful["COVID 19"] not in (0, 1)
    assert positives(doubtful) == {"pleural effusion"}
    assert doubtful["cardiomegaly"] == 0


def test_a_list_that_stops_in_the_middle_says_only_what_it_names(cohort):
    cut = of_session(cohort, 4)
    assert positives(cut) == {"cardiomegaly"}
    assert cut[[label for label in FINDINGS if label != "cardiomegaly"]].isna().all()
    unchanged = of_session(cohort, 5)
    assert positives(unchanged) == {"nodule"}
    assert unchanged[["COVID 19", "pneumonia"]].isna().all()


def test_a_word_that_is_not_finished_is_none(copied, edited):
    root = copied("bimcv-covid19")
    edited(root / LABELS, "'pleural eff", "'nodule")
    assert positives(of_session(load("bimcv-covid19", root), 4)) == {"cardiomegaly"}


def test_people_are_in_the_table_of_participants(cohort, copied):
    assert of_session(cohort, 1)[["sex", "age", "view", "source"]].tolist() == [
        "M",
        58,
        "AP",
        "BIMCV-COVID19+",
    ]
    assert of_session(cohort, 4)[["sex", "age"]].tolist() == ["F", 71]
    assert of_session(cohort, 5)[["sex", "age"]].isna().all()
    root = copied("bimcv-covid19")
    (root / "covid19_posi" / "participants.tsv").unlink()
    assert load("bimcv-covid19", root).table[["sex", "age"]].isna().all().all()


def test_words_separated_by_commas_are_read_too(copied):
    root = copied("bimcv-covid19")
    text = (root / LABELS).read_text(encoding="utf-8")
    (root / LABELS).write_text(text.replace("'\t '", "', '").replace("'\t 'i", "', 'i"), encoding="utf-8")
    assert positives(of_session(load("bimcv-covid19", root), 1)) == {"COVID 19", "pneumonia", "infiltrates"}


def test_the_folder_of_the_archive_itself_can_be_named(fixtures):
    cohort = load("bimcv-covid19", fixtures / "bimcv-covid19" / "covid19_posi")
    assert cohort.table.loc[0, "path"] == f"sub-S90001/ses-E90001/mod-rx/{FIRST}.png"


def test_the_negative_archive_is_recognised_by_its_table(copied):
    root = copied("bimcv-covid19")
    (root / LABELS).rename((root / LABELS).with_name("Labels_covid_NEG_JAN21.tsv"))
    assert set(load("bimcv-covid19", root).table["source"]) == {"BIMCV-COVID19-"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ses-E90002\tsub-S90001", "ses-E90001\tsub-S90009", r"a session of two patients \(row 2, 3"),
        ("sub-S90002", "", r"column 'PatientID' is empty \(row 4"),
        ("ReportID", "Report no", "no derivatives/labels"),
    ],
)
def test_a_table_that_is_not_as_published_is_refused_by_row(old, new, message, copied, edited):
    root = copied("bimcv-covid19")
    edited(root / LABELS, old, new)
    with pytest.raises(DatasetError, match=message):
        load("bimcv-covid19", root)


def test_one_film_in_two_folders_counts_once(copied):
    root = copied("bimcv-covid19")
    film = next(root.rglob(f"{FIRST}.png"))
    (root / "again").mkdir()
    shutil.copy(film, root / "again")
    cohort = load("bimcv-covid19", root)
    assert cohort.left_out["a film of that name is in another folder too"] == 1
    assert (cohort.listed, len(cohort)) == (10, 4)


def test_tables_without_any_film_are_refused(copied):
    root = copied("bimcv-covid19")
    for folder in root.glob("covid19_posi/sub-*"):
        shutil.rmtree(folder)
    with pytest.raises(DatasetError, match="no films sub-"):
        load("bimcv-covid19", root)
