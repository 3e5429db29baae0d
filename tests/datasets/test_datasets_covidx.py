"""COVIDx: text lists of several versions, and what leaks between them."""

import shutil

import pytest

from cxrbench.datasets import discover, load
from cxrbench.errors import DatasetError

TRAIN, TEST = "train_COVIDx9B.txt", "test_COVIDx9B.txt"


def test_lines_are_patient_file_class_and_source(fixtures):
    cohort = load("covidx", fixtures / "covidx")
    assert (cohort.listed, len(cohort), cohort.labels) == (10, 9, ("COVID-19",))
    assert cohort.missing == ("train/COVID(901).png",)
    table = cohort.table.set_index("image_id")
    negative = table.loc["train/d-palette.png"]
    assert negative[["patient_id", "source", "path", "COVID-19", "class"]].tolist() == [
        "cohen-906",
        "cohen",
        "train/d-palette.png",
        0,
        "negative",
    ]
    counts = {"cohen": 3, "rsna": 3, "bimcv": 1, "ricord": 1, "sirm": 1}
    assert table["source"].value_counts().to_dict() == counts
    assert cohort.official_test == set(table.index[table["path"].str.startswith("test/")])


def test_a_patient_may_have_a_blank_in_the_name(fixtures):
    table = load("covidx", fixtures / "covidx").table.set_index("image_id")
    assert table.loc["train/COVID(902).png", "patient_id"] == "sirm-COVID 902"


def test_sources_with_one_label_only_are_counted(fixtures):
    cohort = load("covidx", fixtures / "covidx")
    assert cohort.notes == ("images of sources that have only one label: 6 of 9",)


def test_a_patient_on_both_sides_takes_the_official_test_away(copied):
    root = copied("covidx")
    with (root / TRAIN).open("a", encoding="utf-8") as file:
        file.write("419639-990001 later.png positive ricord\n")
    shutil.copy(root / "train" / "a-day0.jpeg", root / "train" / "later.png")
    cohort = load("covidx", root)
    assert cohort.official_test == frozenset()
    assert cohort.notes[-1] == (
        "the test list is not the official test: it shares 1 patient with another list (ricord-419639-990001)"
    )


def test_the_same_number_in_two_sources_is_two_patients(copied):
    root = copied("covidx")
    with (root / TEST).open("a", encoding="utf-8") as file:
        file.write("902 other.png negative fig1\n")
    shutil.copy(root / "train" / "a-day0.jpeg", root / "test" / "other.png")
    cohort = load("covidx", root)
    assert {"cohen-902", "fig1-902"} <= set(cohort.table["patient_id"])
    assert "test/other.png" in cohort.official_test


def test_a_file_name_in_two_parts_is_noted(copied):
    root = copied("covidx")
    with (root / TEST).open("a", encoding="utf-8") as file:
        file.write("950 a-day0.jpeg positive cohen\n")
    shutil.copy(root / "train" / "a-day0.jpeg", root / "test")
    cohort = load("covidx", root)
    assert "file names that appear in two parts: 1" in cohort.notes


def test_a_file_that_is_listed_twice_alike_counts_once(copied, edited):
    root = copied("covidx")
    edited(root / TRAIN, "a-day6.jpeg", "a-day0.jpeg")
    cohort = load("covidx", root)
    assert cohort.left_out == {"same file listed again": 1, "file missing": 1}
    assert (cohort.listed, len(cohort)) == (10, 8)


def test_one_of_several_versions_must_be_named(copied):
    root = copied("covidx")
    text = (root / TRAIN).read_text(encoding="utf-8")
    three = text.replace(" positive ", " COVID-19 ").replace(" negative ", " pneumonia ")
    (root / "train_COVIDx_CXR-3A.txt").write_text(three, encoding="utf-8")
    message = r"lists of several versions: train_COVIDx9B.txt, train_COVIDx_CXR-3A.txt; name one"
    with pytest.raises(DatasetError, match=message):
        load("covidx", root)
    cohort = load("covidx", root, version="CXR-3A")
    assert set(cohort.table["class"]) == {"COVID-19", "pneumonia"}
    assert len(load("covidx", root, version="9B")) == 9
    with pytest.raises(DatasetError, match="no list of version 7A"):
        load("covidx", root, version="7A")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_does_not_hide_the_first_line(encoding, copied):
    root = copied("covidx")
    for name in (TRAIN, TEST):
        text = (root / name).read_text(encoding="utf-8")
        (root / name).write_bytes(text.replace("\n", "\r\n").encode(encoding))
    assert load("covidx", root).table.equals(load("covidx", copied_again(root)).table)


def copied_again(root):
    """Return the same tree with plain lists."""
    plain = root.with_name("plain")
    shutil.copytree(root, plain)
    for name in (TRAIN, TEST):
        content = (root / name).read_bytes()
        encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
        (plain / name).write_text(content.decode(encoding).replace("\r\n", "\n"), encoding="utf-8")
    return plain


def test_lists_named_without_a_version_and_without_sources_are_read(copied):
    root = copied("covidx")
    for part, name in (("train", TRAIN), ("test", TEST)):
        lines = (root / name).read_text(encoding="utf-8").splitlines()
        text = "\n".join(line.rpartition(" ")[0] for line in lines)
        (root / f"{part}.txt").write_text(text, encoding="utf-8")
        (root / name).unlink()
    cohort = load("covidx", discover(root.parent, "covidx"))
    assert (len(cohort), set(cohort.table["source"])) == (9, {"unknown"})
    assert "unknown-COVID 902" in set(cohort.table["patient_id"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "a-day0.jpeg positive",
            "a-day0.jpeg suspect",
            r"unknown class; the classes are .* \(row 1; 1 in all\)",
        ),
        ("902 a-day6.jpeg positive cohen", "902", r"a line must be patient, file, class .* \(row 2"),
        (
            "a-day6.jpeg positive",
            "a-day0.jpeg negative",
            r"a file appears twice, with two classes \(row 1, 2; 2",
        ),
        ("a-day6.jpeg", "../test/a-day6.jpeg", r"a file must be a name without a folder \(row 2"),
    ],
)
def test_a_line_that_is_not_as_published_is_refused(old, new, message, copied, edited):
    root = copied("covidx")
    edited(root / TRAIN, old, new)
    with pytest.raises(DatasetError, match=message):
        load("covidx", root)


def test_lists_without_any_image_or_without_a_line_are_refused(copied):
    root = copied("covidx")
    for part in ("train", "test"):
        shutil.rmtree(root / part)
    with pytest.raises(DatasetError, match="no images in train/, val/ or test/"):
        load("covidx", root)
    (root / TRAIN).write_text("\n\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="lists nothing"):
        load("covidx", root)
