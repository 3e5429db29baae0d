"""New images: found in folders, tables and single files, with labels and patients where they are known."""

from __future__ import annotations

import pytest

from cxrbench.errors import DatasetError
from cxrbench.use.images import new_images

LABEL = "COVID-19"


@pytest.fixture
def folder(tmp_path):
    """Return a folder of files with the names and first bytes of images, and others."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "IM0001").write_bytes(b"\0" * 128 + b"DICM")
    for name in ("b.PNG", "deep/a.jpeg", ".hidden.png", "notes.txt", "empty"):
        (tmp_path / name).write_bytes(b"x" if name != "empty" else b"")
    return tmp_path


def test_images_are_found_by_name_or_by_dicoms_magic_word(folder):
    found = new_images(folder, LABEL)
    assert found.cohort.table["path"].tolist() == ["IM0001", "b.PNG", "deep/a.jpeg"]
    assert found.others == ("empty", "notes.txt")
    assert not found.patients
    assert found.cohort.table[LABEL].isna().all()


def test_one_file_is_one_image(folder):
    assert new_images(folder / "notes.txt", LABEL).cohort.table["image_id"].tolist() == ["notes.txt"]


def listed(folder, *lines):
    path = folder / "list.csv"
    path.write_text("\n".join(lines))
    return path


def test_a_table_may_name_ids_patients_and_labels(folder):
    rows = ("b.PNG,one,p,1", "deep//a.jpeg,two,p,", "gone.png,three,q,0")
    path = listed(folder, f"path,image_id,patient_id,{LABEL}", *rows)
    found = new_images(path, LABEL)
    assert found.patients
    assert found.cohort.table["path"].tolist() == ["b.PNG", "deep/a.jpeg", "gone.png"]
    assert found.cohort.table["image_id"].tolist() == ["one", "two", "three"]
    labels = found.cohort.table[LABEL]
    assert (labels[0], labels[2]) == (1, 0)
    assert labels.isna().tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["file", "b.PNG"], "path"),
        (["path", "../b.PNG"], "must be relative"),
        (["path,image_id", "b.PNG,one", "deep/a.jpeg,one"], "image_id appears twice"),
        (["path,patient_id", "b.PNG,"], "'patient_id' is empty"),
        ([f"path,{LABEL}", "b.PNG,yes"], "must be 1, 0 or empty"),
    ],
)
def test_a_faulty_table_is_refused(folder, lines, message):
    with pytest.raises(DatasetError, match=message):
        new_images(listed(folder, *lines), LABEL)


def test_a_link_out_of_the_folder_needs_leave(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "c.png"
    other.write_bytes(b"x")
    (folder / "c.png").symlink_to(other)
    with pytest.raises(DatasetError, match="link out of the folder"):
        new_images(folder, LABEL)
    assert "c.png" in set(new_images(folder, LABEL, links=True).cohort.table["path"])


def test_a_folder_without_images_and_a_path_to_nothing_are_said(tmp_path):
    with pytest.raises(DatasetError, match="no image files"):
        new_images(tmp_path, LABEL)
    with pytest.raises(DatasetError, match="no such file"):
        new_images(tmp_path / "none", LABEL)
