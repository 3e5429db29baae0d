"""No path of a user's machine is left."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbench.report.redact import file_name, without_paths, without_private_settings
from cxrbench.statistics.records import Omnibus


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("/home/jane/weights.safetensors", "weights.safetensors"),
        ("/home/Doe, Jane (study)/weights.safetensors", "weights.safetensors"),
        ("~/weights.safetensors", "weights.safetensors"),
        ("~jane/weights.safetensors", "weights.safetensors"),
        ("C:\\Users\\Jane Doe\\split.csv", "split.csv"),
        ("D:/data/split.csv", "split.csv"),
        ("\\\\server\\share\\jane\\split.csv", "split.csv"),
        ("file:///home/jane/a.csv", "a.csv"),
        ("calibrated on /home/jane/runs/7.json, see there", "calibrated on 7.json, see there"),
        ("see /mnt/jane doe/runs/7.json", "see 7.json"),
        ("see 'C:\\Users\\jane\\7.json'.", "see '7.json'."),
        ("from:/srv/jane/7.json", "from:7.json"),
        ("see file:///srv/jane/7.json now", "see 7.json now"),
    ],
)
def test_absolute_paths_are_cut_to_the_file_name(text: str, cleaned: str) -> None:
    assert without_paths(text) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "init > findings + pneumonia > covid",
        "predictions/seed-0/test/control.csv",
        "https://doi.org/10.1117/1.JMI.8.6.064501",
        "doi:10.1117/1.JMI.8.6.064501",
        "AP/PA, and/or lateral, 1/2",
        "0.857 ± 0.030 (Fricks et al. 2021, abstract)",
        "<b>bold</b>",
        "a / b",
        "2.11.0+cu128",
        "",
    ],
)
def test_what_is_no_path_of_a_machine_stays(text: str) -> None:
    assert without_paths(text) == text


_NAMES = st.text("abcdefghijABCDE0123456789_-", min_size=4, max_size=9)


@given(
    st.lists(_NAMES, min_size=1, max_size=5),
    st.sampled_from(["/", "~/", "C:\\", "\\\\", "file:///"]),
    st.sampled_from(["", "see ", "(", "x: '", "label="]),
)
def test_of_a_path_in_a_sentence_only_the_file_is_left(folders: list[str], root: str, before: str) -> None:
    separator = "\\" if "\\" in root else "/"
    path = root + separator.join([*folders, "file.csv"])
    assert without_paths(f"{before}{path}, and more") == f"{before}file.csv, and more"


def test_records_mappings_and_sequences_are_cleaned_throughout() -> None:
    record = Omnibus(1.5, 2, 0.4, note="see /srv/jane/x.csv")
    assert without_paths(record) == Omnibus(1.5, 2, 0.4, note="see x.csv")
    assert without_paths({"a": ["/srv/x", 1, None], "b": ("/srv/y",)}) == {"a": ["x", 1, None], "b": ("y",)}


def test_reasons_that_differ_only_in_a_path_stay_apart() -> None:
    reasons = {"/srv/a/x.dcm": 3, "/srv/b/x.dcm": 4, "broken": 5}
    assert without_paths(reasons) == {"x.dcm": 3, "x.dcm (2)": 4, "broken": 5}


def test_settings_keep_file_names_only_and_are_not_changed_in_place() -> None:
    settings: dict[str, Any] = {
        "study": {"init": {"kind": "file", "path": "../jane/weights.safetensors"}, "title": "AP/PA"},
        "roles": {
            "covid": {
                "dataset": "manifest",
                "split": "jane/split.csv",
                "options": {"file": "jane\\list.csv", "labels": ["Opacity/Effusion"]},
            },
            "findings": {"dataset": "chestxray14"},
        },
        "tests": {"hospital-b": {"dataset": "manifest", "options": {"file": "jane/b.csv"}}},
    }
    assert without_private_settings(settings) == {
        "study": {"init": {"kind": "file", "path": "weights.safetensors"}, "title": "AP/PA"},
        "roles": {
            "covid": {
                "dataset": "manifest",
                "split": "split.csv",
                "options": {"file": "list.csv", "labels": ["Opacity/Effusion"]},
            },
            "findings": {"dataset": "chestxray14"},
        },
        "tests": {"hospital-b": {"dataset": "manifest", "options": {"file": "b.csv"}}},
    }
    assert settings["roles"]["covid"]["split"] == "jane/split.csv"
    assert without_private_settings({}) == {}


def test_file_name_knows_both_separators() -> None:
    assert file_name("a/b\\c.csv") == "c.csv"
    assert file_name("a/b/") == "b"
    assert file_name("") == ""
