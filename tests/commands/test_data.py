"""``cxrbench data check``, as a user meets it: counts, one line a problem, and the exit code."""

import io
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from cxrbench.commands.data import command

FIXTURES = Path(__file__).parents[2] / "fixtures"


def check(*arguments):
    return CliRunner().invoke(command, ["check", *map(str, arguments)])


@pytest.fixture
def copied(tmp_path):
    def copy(name):
        return Path(shutil.copytree(FIXTURES / name, tmp_path / Path(name).name))

    return copy


def words(text):
    return [" ".join(line.split()) for line in text.splitlines()]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "chestxray14",
            [
                "listed 16",
                "Pneumonia 2 14 0 0",
                "view: AP (7); PA (9)",
                "official test: 6 images",
                "read whole: 16 of 16 files",
            ],
        ),
        # The views stand in the DICOM headers alone.
        (
            "rsna-pneumonia",
            [
                "Lung Opacity 3 5 0 0",
                "view: AP (4); PA (4)",
                "class: Lung Opacity (3); No Lung Opacity / Not Normal (3); Normal (2)",
            ],
        ),
        (
            "kermany",
            [
                "Pneumonia 7 7 0 0",
                "source: test (4); train (8); val (2)",
                "cause: bacteria (5); virus (2); unknown (7)",
            ],
        ),
        ("manifest", ["COVID-19 2 2 0 1", "note: labels: COVID-19, Effusion; carried along: ward, days"]),
    ],
)
def test_a_whole_folder_is_counted_and_exits_with_0(name, lines):
    result = check(name, FIXTURES / name)
    assert result.exit_code == 0, result.output
    assert set(lines) <= set(words(result.stdout))
    assert result.stderr == ""


def test_the_first_line_says_how_many_images_and_patients():
    result = check("chestxray14", FIXTURES / "chestxray14")
    assert words(result.stdout)[0] == f"chestxray14 in {FIXTURES / 'chestxray14'}: 16 images of 10 patients"


def test_rows_are_counted_down_from_what_is_listed_to_what_is_used():
    result = check("covid-image-collection", FIXTURES / "covid-image-collection", "--allow-missing")
    assert result.exit_code == 0
    lines = words(result.stdout)
    start = lines.index("listed 18")
    assert lines[start : start + 7] == [
        "listed 18",
        "not an X-ray 1 17",
        "lateral view 1 16",
        "view not known 1 15",
        "file missing 1 14",
        "no label (todo, unknown or empty) 2 12",
        "same file listed again 1 11",
    ]


def test_missing_files_are_one_line_and_exit_with_1():
    result = check("chestxray14", FIXTURES / "other-layouts" / "chestxray14")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: listed images that are not here: 2 (00090011_000.png, 00090012_000.png); "
        "complete the folder, or pass --allow-missing where it is meant to be incomplete\n"
    )
    assert "listed 6" in words(result.stdout)


def test_a_broken_file_is_one_line_with_the_reason_and_exits_with_1(copied):
    root = copied("chestxray14")
    (root / "images/00090002_000.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (root / "images/00090004_000.png").write_bytes(b"")
    result = check("chestxray14", root)
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("Error: images/00090002_000.png: cannot be decoded as PNG: ")
    assert lines[1] == "Error: images/00090004_000.png: is empty (0 bytes)"
    assert "read whole: 14 of 16 files" in result.stdout


def test_broken_files_are_not_seen_without_reading(copied):
    root = copied("chestxray14")
    (root / "images/00090002_000.png").write_bytes(b"")
    result = check("chestxray14", root, "--no-read")
    assert result.exit_code == 0
    assert "files were not read" in result.stdout


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Hernia|Emphysema", "Hernia|Covid", "unknown finding 'Covid'"),
        ("View Position", "View", "columns missing: View Position"),
    ],
)
def test_labels_that_cannot_be_understood_are_one_line_and_exit_with_2(old, new, message, copied):
    root = copied("chestxray14")
    path = root / "Data_Entry_2017_v2020.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    result = check("chestxray14", root)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_an_empty_folder_is_one_line_and_exits_with_2(tmp_path):
    result = check("kermany", tmp_path)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: no kermany data")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [("kermani", FIXTURES), ("kermany", "/nowhere/at/all"), ("phantom", FIXTURES)]
)
def test_a_wrong_name_or_place_is_one_line_and_exits_with_2(arguments):
    result = check(*arguments)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1


def test_the_folder_is_found_in_a_folder_of_data_sets():
    result = check("rsna-pneumonia", FIXTURES)
    assert result.exit_code == 0
    assert f"rsna-pneumonia in {FIXTURES / 'rsna-pneumonia'}: 8 images of 8 patients" in result.stdout


def test_files_in_no_list_are_said_and_do_no_harm(copied):
    root = copied("chestxray14")
    shutil.copy(root / "images/00090001_000.png", root / "images/extra.png")
    result = check("chestxray14", root)
    assert result.exit_code == 0
    assert "here but in no list: 1 image (extra.png)" in result.stdout


def test_json_gives_all_counts():
    result = check("covid-image-collection", FIXTURES / "covid-image-collection", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found == {
        "dataset": "covid-image-collection",
        "listed": 18,
        "left_out": {
            "not an X-ray": 1,
            "lateral view": 1,
            "view not known": 1,
            "file missing": 1,
            "no label (todo, unknown or empty)": 2,
            "same file listed again": 1,
        },
        "images": 11,
        "patients": 8,
        "labels": {"COVID-19": {"positive": 5, "negative": 6, "uncertain": 0, "unknown": 0}},
        "views": {"AP": 3, "AP supine": 1, "PA": 7},
        "sexes": {"F": 6, "M": 4, "unknown": 1},
        "others": {"source": found["others"]["source"]},
        "official_test": 0,
        "missing": ["images/gone.png"],
        "unlisted": [],
        "notes": ["patient ids that share a file with an earlier one, taken as the same patient: 1"],
        "read": 11,
        "broken": [],
        "odd_pictures": [],
        "problems": [result.stderr.removeprefix("Error: ").rstrip("\n")],
    }
    assert found["others"]["source"] == {
        "Ghent, Belgium": 2,
        "Lyon, France": 1,
        "Oslo, Norway": 2,
        "Taipei": 1,
        "Turin, Italy": 3,
        "unknown": 2,
    }


def test_what_differs_from_image_to_image_is_not_counted_and_numbers_stand_in_their_order(tmp_path):
    rows = [f"{n}.png,{n},{n % 2},{(9, 30, 5)[n % 3]},stay-{n},{('b', 'a', '')[n % 3]}" for n in range(12)]
    (tmp_path / "manifest.csv").write_text("\n".join(["path,patient_id,Edema,days,stay,ward", *rows]))
    for n in range(12):
        Image.fromarray(np.full((8, 8), n, dtype=np.uint8)).save(tmp_path / f"{n}.png")
    lines = words(check("manifest", tmp_path, "--no-read").stdout)
    assert "days: 5 (4); 9 (4); 30 (4)" in lines
    assert "ward: a (4); b (4); unknown (4)" in lines
    assert not [line for line in lines if line.startswith("stay:")]


@pytest.mark.parametrize("written", ["laterals", "laterals=yes", "lateral=true"])
def test_an_option_that_cannot_be_is_refused(written):
    result = check("openi", FIXTURES / "other-layouts" / "openi", "--option", written)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_an_option_has_the_value_that_it_has_in_a_profile():
    folder = FIXTURES / "other-layouts" / "openi"
    assert "the option laterals = true" in check("openi", folder).stderr
    result = check("openi", folder, "--option", "laterals=true")
    assert result.exit_code == 0, result.output


def test_the_largest_picture_that_is_decoded_can_be_set(copied):
    folder = copied("kermany")
    assert check("kermany", folder, "--max-pixels", 10**6).exit_code == 0
    result = check("kermany", folder, "--max-pixels", 10)
    assert result.exit_code == 1
    assert "more than 10 pixels" in result.stderr


def test_json_names_broken_files_and_says_where_nothing_was_read(copied):
    root = copied("manifest")
    (root / "films/p01-a.dcm").write_bytes(b"")
    found = json.loads(check("manifest", root, "--json").stdout)
    assert found["broken"] == [{"path": "films/p01-a.dcm", "reason": "is empty (0 bytes)"}]
    assert found["read"] == 4
    assert json.loads(check("manifest", root, "--json", "--no-read").stdout)["read"] is None


def test_label_columns_and_the_list_of_a_manifest_are_chosen(copied):
    root = copied("manifest")
    (root / "manifest.csv").rename(root / "films.csv")
    result = check("manifest", root, "--option", "file=films.csv", "--option", "labels=['Effusion']")
    assert result.exit_code == 0
    assert "Effusion 2 2 0 1" in words(result.stdout)
    assert "COVID-19 2 2 0 1" not in words(result.stdout)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_progress_bar_is_drawn_on_a_terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    command.commands["check"].callback(
        name="kermany",
        root=FIXTURES / "kermany",
        read_files=True,
        allow_missing=False,
        options={},
        links=False,
        max_pixels=10**6,
        as_json=False,
    )
    assert "reading" in terminal.getvalue()
    assert "100%" in terminal.getvalue()


def test_options_of_a_manifest_are_refused_elsewhere():
    result = check("kermany", FIXTURES / "kermany", "--option", "labels=['Pneumonia']")
    assert result.exit_code == 2
    assert "data set 'kermany' has no option 'labels'" in result.stderr


def test_pictures_that_may_be_no_radiographs_are_listed_with_their_path_and_labels_counted(tmp_path):
    random = np.random.default_rng(0)
    film = random.integers(0, 255, (32, 32), dtype=np.uint8)
    black = np.where(film > 250, film, film % 20).astype(np.uint8)
    pictures = {
        "film": film,
        "black": black,
        "white": 255 - black,
        "flat": film * 0 + 90,
        "few": film // 60 * 60,
    }
    lines = ["path,patient_id,Edema"]
    for number, (name, picture) in enumerate(pictures.items()):
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
        lines.append(f"{name}.png,{number},{(1, -1, 0, -1, '')[number]}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines))
    done = check("manifest", tmp_path)
    assert done.exit_code == 0
    listed = done.stdout.split("pictures that may not be radiographs: 4\n")[1].splitlines()
    assert [line.strip() for line in listed] == [
        "black.png: almost black",
        "white.png: almost white",
        "flat.png: constant",
        "few.png: fewer than 16 grey levels",
    ]
    content = json.loads(check("manifest", tmp_path, "--json").stdout)
    assert [odd["path"] for odd in content["odd_pictures"]] == [f"{name}.png" for name in list(pictures)[1:]]
    assert content["labels"]["Edema"] == {"positive": 1, "negative": 1, "uncertain": 2, "unknown": 1}
