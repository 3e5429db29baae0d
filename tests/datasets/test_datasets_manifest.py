"""A user's own list: which columns are labels, what is carried along, and every slip named with its row."""

import os

import numpy as np
import pytest
from PIL import Image

from cxrbench.datasets import discover, load
from cxrbench.errors import DatasetError


@pytest.fixture
def listed(tmp_path):
    """Return a function that writes a manifest and an image for each path in its first column."""

    def write(text, *, images=True, name="manifest.csv", encoding="utf-8"):
        (tmp_path / name).write_text(text, encoding=encoding)
        for line in text.splitlines()[1:] if images else ():
            path = tmp_path / line.split(",")[0].strip().replace("\\", "/")
            if path.suffix:
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.full((4, 4), 9, np.uint8)).save(path)
        return tmp_path

    return write


def test_images_of_several_kinds_with_labels_that_may_be_unknown(fixtures):
    cohort = load("manifest", fixtures / "manifest")
    table = cohort.table
    assert cohort.labels == ("COVID-19", "Effusion")
    assert table["COVID-19"].fillna(-1).tolist() == [1, 1, 0, 0, -1]
    assert table["Effusion"].fillna(-1).tolist() == [0, 1, -1, 1, 0]
    assert table["image_id"].tolist() == table["path"].tolist()
    assert table["patient_id"].tolist() == ["P01", "P01", "P02", "P03", "P04"]
    assert table["view"].tolist() == ["AP", "AP supine", "PA", None, "PA"]
    assert table["sex"].tolist() == ["F", "F", "M", None, "M"]
    assert table["age"].fillna(-1).tolist() == [61, 61, 47, -1, 8.5]
    assert table["source"].tolist() == ["north", "north", "north", "south", "south"]
    assert [cohort.pixels.read(row, 8).shape for row in range(5)] == [(8, 8)] * 5


def test_every_other_column_is_carried_along_and_said_so(fixtures):
    cohort = load("manifest", fixtures / "manifest")
    assert cohort.table.columns[-2:].tolist() == ["ward", "days"]
    assert cohort.table["days"].tolist() == ["3", "9", "0", "12", "1"]
    assert cohort.notes == ("labels: COVID-19, Effusion; carried along: ward, days",)


def test_path_patient_and_a_label_are_enough(listed):
    cohort = load("manifest", listed("path,patient_id,COVID-19\na.png,007,1\nb/c.png,08,0\n"))
    assert cohort.table["patient_id"].tolist() == ["007", "08"]
    assert cohort.table["source"].tolist() == ["manifest"] * 2
    assert cohort.table[["view", "sex", "age"]].isna().all().all()


def test_labels_that_are_named_are_the_labels(fixtures):
    cohort = load("manifest", fixtures / "manifest", labels=["Effusion"])
    assert cohort.labels == ("Effusion",)
    assert cohort.table["COVID-19"].fillna("").tolist() == ["1", "1", "0", "0", ""]


def test_another_file_name(listed):
    root = listed("path,patient_id,COVID-19\na.png,1,1\n", name="films.csv")
    assert len(load("manifest", root, file="films.csv")) == 1


@pytest.mark.parametrize(
    ("cells", "is_label"),
    [
        (["1", "0", ""], True),
        (["1.0", "0.0", " 1 "], True),
        (["0", "0", "0"], True),
        (["", "", ""], False),
        (["2", "0", "3"], False),
        (["yes", "no", "no"], False),
        (["0.5", "0.25", "1"], False),
    ],
)
def test_a_column_of_ones_and_zeros_is_a_label(cells, is_label, listed):
    lines = [f"{row}.png,{row},1,{cell}" for row, cell in enumerate(cells)]
    cohort = load("manifest", listed("\n".join(["path,patient_id,known,tried", *lines])))
    assert cohort.labels == (("known", "tried") if is_label else ("known",))


@pytest.mark.parametrize("slip", ["yes", "11", "O", "0.5"])
def test_a_column_that_is_mostly_ones_and_zeros_is_refused_with_the_row_of_the_slip(slip, listed):
    root = listed(f"path,patient_id,covid\na.png,1,1\nb.png,2,{slip}\nc.png,3,0\n")
    with pytest.raises(
        DatasetError, match=r"column 'covid' is mostly 1 and 0 .* name the label columns \(row 3; 1 in"
    ):
        load("manifest", root)


def test_rows_are_counted_as_a_spreadsheet_counts_them(listed):
    root = listed("path,patient_id,covid\na.png,1,1\n\n\nb.png,2,0\nc.png,3,maybe\n")
    with pytest.raises(DatasetError, match=r"\(row 6; 1 in all\)"):
        load("manifest", root)


def test_a_named_label_with_a_slip_is_refused_with_its_row(listed):
    root = listed("path,patient_id,covid\na.png,1,1\nb.png,2,positive\n")
    with pytest.raises(
        DatasetError, match=r"label 'covid' must be 1, 0, -1 \(uncertain\) or empty \(row 3; 1 in all\)"
    ):
        load("manifest", root, labels=["covid"])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["covid-19"], "no label column 'covid-19'; there are covid"),
        (["age"], "no label column 'age'"),
        ([], "labels must be a list of column names"),
        ("covid", "labels must be a list of column names"),
    ],
)
def test_labels_that_are_named_wrongly_are_refused(labels, message, listed):
    root = listed("path,patient_id,age,covid\na.png,1,1,1\n")
    with pytest.raises(DatasetError, match=message):
        load("manifest", root, labels=labels)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,patient_id,note\na.png,1,x\n", "no label column; write one with"),
        ("file,patient_id,covid\na.png,1,1\n", "columns missing: path; it has file, patient_id, covid"),
        (
            "path;patient_id;covid\na.png;1;1\n",
            r"its columns are separated by semicolons; save it as CSV",
        ),
        ("path,patient_id,covid\n,1,1\n", r"column 'path' is empty \(row 2"),
        ("path,patient_id,covid\na.png,,1\n", r"column 'patient_id' is empty \(row 2"),
        ("path,patient_id,covid\na.png,1,1\na.png,2,0\n", r"a path appears twice \(row 2, 3; 2 in all\)"),
        ("path,patient_id,covid\na.png,1,1\n./a.png,2,0\n", "a path appears twice"),
        (
            "path,patient_id,image_id,covid\na.png,1,x,1\nb.png,2,x,0\n",
            r"an image_id appears twice \(row 2, 3",
        ),
        ("path,patient_id,image_id,covid\na.png,1,,1\n", r"column 'image_id' is empty \(row 2"),
        (
            "path,patient_id,covid\n/etc/a.png,1,1\n",
            r"a path must be relative to the manifest's folder, inside it",
        ),
        ("path,patient_id,covid\nC:\\films\\a.png,1,1\n", "a path must be relative"),
        ("path,patient_id,covid\n../a.png,1,1\n", "a path must be relative"),
        (
            "path,patient_id,view,covid\na.png,1,oblique,1\n",
            r"column 'view' must be PA, AP, .* or empty \(row 2",
        ),
        ("path,patient_id,sex,covid\na.png,1,W,1\n", r"column 'sex' must be M, F or empty \(row 2"),
        ("path,patient_id,age,covid\na.png,1,old,1\n", r"column 'age' must be years from 0 to 120"),
        ("path,patient_id,age,covid\na.png,1,414,1\n", r"column 'age' must be years from 0 to 120"),
        ("path,patient_id,covid\na.png,1,1,7\n", "rows have more cells than the header has names"),
        ("path,patient_id, path,covid\na.png,1,b.png,1\n", "column 'path' appears twice"),
        ("path,patient_id,covid\n", "lists no images, only a header"),
        ("", "is empty; write one with"),
        ('path,patient_id,covid\n"a.png,1,1\n', "is not a CSV table: "),
        (f"path,patient_id,covid\n{'a' * 300}/a.png,1,1\n", "cannot be listed: .*File name too long"),
    ],
)
def test_a_manifest_that_cannot_be_is_refused_in_one_line(text, message, listed):
    root = listed(text, images=False)
    with pytest.raises(DatasetError, match=message) as raised:
        load("manifest", root)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("word", ["unknown", "n/a", "NaN", "?", " "])
def test_words_for_unknown_are_missing(word, listed):
    cohort = load("manifest", listed(f"path,patient_id,view,sex,age,covid\na.png,1,{word},{word},{word},1\n"))
    assert cohort.table[["view", "sex", "age"]].isna().all().all()


def test_spaces_around_a_cell_do_not_make_another_patient(listed):
    cohort = load("manifest", listed("path, patient_id ,covid\na.png,P1,1\nb.png, P1 ,0\n"))
    assert cohort.table["patient_id"].tolist() == ["P1", "P1"]


def test_a_patient_called_na_is_a_patient(listed):
    assert load("manifest", listed("path,patient_id,covid\na.png,NA,1\n")).table.loc[0, "patient_id"] == "NA"


def test_backslashes_and_a_byte_order_mark_of_windows(listed):
    root = listed("path,patient_id,covid\nfilms\\a.png,1,1\n", encoding="utf-8-sig")
    assert load("manifest", root).table.loc[0, "path"] == "films/a.png"


def test_a_manifest_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "manifest.csv").write_bytes("path,patient_id,covid\nMüller.png,1,1\n".encode("latin-1"))
    with pytest.raises(DatasetError, match="is not UTF-8 text; save it as CSV UTF-8"):
        load("manifest", tmp_path)


def test_files_that_are_missing_and_files_in_no_list_are_named(listed):
    root = listed("path,patient_id,covid\na.png,1,1\nb.png,2,0\nsub/c.png,3,0\n")
    (root / "a.png").rename(root / "z.png")
    cohort = load("manifest", root)
    assert (cohort.listed, len(cohort), dict(cohort.left_out)) == (3, 2, {"file missing": 1})
    assert cohort.missing == ("a.png",)
    assert cohort.unlisted == ("z.png",)


def test_a_manifest_of_which_nothing_is_here_is_refused(listed):
    root = listed("path,patient_id,covid\na.png,1,1\n", images=False)
    with pytest.raises(DatasetError, match="none of the 1 images listed can be used: 1 file missing"):
        load("manifest", root)


@pytest.mark.parametrize("other", ["sub//a.png", "sub/./a.png", "./sub/a.png", "sub\\a.png", ".//sub/a.png"])
def test_one_file_under_two_spellings_of_its_path_is_refused(other, listed):
    with pytest.raises(DatasetError, match=r"a path appears twice \(row 2, 3"):
        load("manifest", listed(f"path,patient_id,covid\nsub/a.png,1,1\n{other},2,0\n"))


def test_a_link_to_a_listed_file_is_the_same_file(listed, tmp_path):
    listed("path,patient_id,covid\na.png,1,1\n")
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    listed("path,patient_id,covid\na.png,1,1\nlink.png,2,0\n", images=False)
    with pytest.raises(DatasetError, match=r"link\.png is the same file as a\.png; list it once"):
        load("manifest", tmp_path)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_link_out_of_the_folder_is_followed_only_where_that_is_allowed(what, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "b.png").touch()
    inside = tmp_path / "inside"
    inside.mkdir()
    if what == "file":
        (inside / "sub").mkdir()
        (inside / "sub" / "b.png").symlink_to(outside / "b.png")
    else:
        (inside / "sub").symlink_to(outside)
    (inside / "manifest.csv").write_text("path,patient_id,covid\nsub/b.png,1,1\n")
    with pytest.raises(DatasetError, match=r"sub/b\.png is a link out of the folder; allow it with"):
        load("manifest", inside)
    assert len(load("manifest", inside, links=True)) == 1
    # The root itself may be a link.
    (tmp_path / "again").symlink_to(outside)
    (outside / "manifest.csv").write_text("path,patient_id,covid\nb.png,1,1\n")
    assert len(load("manifest", tmp_path / "again")) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"file": []}, "file must be the name of the list"),
        ({"file": ""}, "file must be the name of the list"),
        ({"labels": 3}, "labels must be a list of column names, not 3"),
        ({"labels": [3]}, "labels must be a list of column names"),
        ({"labels": "covid"}, "labels must be a list of column names"),
    ],
)
def test_an_option_of_another_kind_is_refused_before_anything_is_read(tmp_path, options, says):
    for find in (discover, lambda folder, name, **given: load(name, folder, **given)):
        with pytest.raises(DatasetError, match=says):
            find(tmp_path, "manifest", **options)


def test_a_pipe_in_place_of_a_film_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "manifest.csv").write_text("path,patient_id,covid\na.png,1,1\n")
    with pytest.raises(DatasetError, match=r"a\.png is not a regular file"):
        load("manifest", tmp_path)


def test_a_file_name_that_is_not_utf_8_is_refused_in_one_line(tmp_path):
    with open(os.fsencode(tmp_path) + b"/M\xfcller.png", "wb"):  # noqa: PTH123
        pass
    (tmp_path / "manifest.csv").write_text("path,patient_id,covid\na.png,1,1\n")
    with pytest.raises(DatasetError, match=r"1 file names are not UTF-8, such as 'M\\udcfcller\.png'"):
        load("manifest", tmp_path)


def test_a_cell_of_minus_one_is_uncertain(listed):
    cohort = load(
        "manifest",
        listed("path,patient_id,Edema,Mass\na.png,1,1.0,1\nb.png,2,-1.0,0\nc.png,3,0.0,\nd.png,4,-1,1\n"),
    )
    assert cohort.labels == ("Edema", "Mass")
    assert cohort.uncertain["Edema"].tolist() == [False, True, False, True]
    assert "Mass" not in cohort.uncertain
    assert cohort.table["Edema"].isna().tolist() == [False, True, False, True]


def test_a_column_of_codes_with_leading_zeros_is_no_label(listed):
    cohort = load("manifest", listed("path,patient_id,site,pneumonia\na.png,p1,00,1\nb.png,p2,01,0\n"))
    assert cohort.labels == ("pneumonia",)
    assert cohort.table["site"].tolist() == ["00", "01"]
