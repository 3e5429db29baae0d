from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from cxrbench.errors import RecordError
from cxrbench.records import read_record, record, write_record


@record
class Epoch:
    loss: float
    images: Annotated[int, Field(gt=0)]


@record
class Stage:
    name: str
    auc: Annotated[float, Field(ge=0, le=1)]
    epochs: tuple[Epoch, ...]
    labels: dict[str, int]
    note: str | None = None


STAGE = Stage("control", 0.757, (Epoch(0.1, 3), Epoch(1 / 3, 3)), {"COVID-19": 801})


def written(folder: Path) -> Path:
    path = folder / "stage.json"
    write_record(path, STAGE, format=2)
    return path


def test_what_is_written_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    assert read_record(written(tmp_path), Stage, format=2) == STAGE


def test_the_file_can_be_read_by_a_person_and_ends_with_a_newline(tmp_path: Path) -> None:
    text = written(tmp_path).read_text()
    content = json.loads(text)
    assert text.endswith("}\n")
    assert (content["record"], content["format"], content["auc"]) == ("Stage", 2, 0.757)


def test_other_line_ends_and_spaces_change_nothing(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_bytes(json.dumps(json.loads(path.read_text()), indent=7).replace("\n", "\r\n").encode())
    assert read_record(path, Stage, format=2) == STAGE


def every_value(content: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the place of every single value in ``content``."""
    items = content.items() if isinstance(content, dict) else enumerate(content)
    places = []
    for key, value in items:
        nested = isinstance(value, dict | list)
        places += every_value(value, (*place, key)) if nested else [(*place, key)]
    return places


PLACES = [
    ("record",),
    ("format",),
    ("name",),
    ("auc",),
    ("epochs", 0, "loss"),
    ("epochs", 1, "images"),
    ("labels", "COVID-19"),
    ("note",),
    ("seal",),
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("value", [None, True, 0, 4, 0.7571, "x", [], {}, float("nan"), "../x"])
def test_no_single_value_can_be_changed_unseen(place: tuple[Any, ...], value: Any, tmp_path: Path) -> None:
    path = written(tmp_path)
    content = json.loads(path.read_text())
    inside = content
    for key in place[:-1]:
        inside = inside[key]
    if inside[place[-1]] == value and type(inside[place[-1]]) is type(value):
        return
    inside[place[-1]] = value
    path.write_text(json.dumps(content))
    with pytest.raises(RecordError, match=r"stage\.json"):
        read_record(path, Stage, format=2)


def test_the_places_above_are_all_there_are(tmp_path: Path) -> None:
    places = set(every_value(json.loads(written(tmp_path).read_text())))
    assert places == {*PLACES, ("epochs", 0, "images"), ("epochs", 1, "loss")}


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_in_one_line(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "stage.json"
    path.write_bytes(content)
    with pytest.raises(RecordError) as raised:
        read_record(path, Stage)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b'{"record": ' + b"1" * 5000 + b"}", b"\xff", b"", b"{}"]
)
def test_what_is_no_record_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "stage.json").write_bytes(content)
    with pytest.raises(RecordError):
        read_record(tmp_path / "stage.json", Stage)


@pytest.mark.parametrize(
    ("kind", "format", "message"),
    [(Epoch, 2, "is not a Epoch record"), (Stage, 3, "has format 2; this version reads 3")],
)
def test_another_record_or_format_is_named(
    kind: type[Any], format: int, message: str, tmp_path: Path
) -> None:
    with pytest.raises(RecordError, match=message):
        read_record(written(tmp_path), kind, format=format)


def test_a_seal_does_not_make_nonsense_sense(tmp_path: Path) -> None:
    # Someone who writes the digest anew still cannot give an AUC of 2.
    @record
    class Other:
        name: str
        auc: float
        epochs: tuple[Epoch, ...]
        labels: dict[str, int]
        note: str | None = None

    Other.__name__ = "Stage"
    write_record(tmp_path / "stage.json", Other("control", 2.0, (), {}))
    with pytest.raises(RecordError, match=r"auc: Input should be less than or equal to 1"):
        read_record(tmp_path / "stage.json", Stage)


@pytest.mark.parametrize("arguments", [(float("nan"), 3), (0.1, 0), ("0.1", 3), (0.1, 3.0), (0.1, True)])
def test_a_record_cannot_be_made_of_nonsense(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ValidationError):
        Epoch(*arguments)


def test_what_is_not_a_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, message in (("none", "does not exist"), ("pipe", "is not a file"), (".", "is not a file")):
        with pytest.raises(RecordError, match=message):
            read_record(tmp_path / name, Stage)


@record
class Clash:
    seal: str


@pytest.mark.parametrize("value", [Clash("x"), "text", 3])
def test_what_is_no_record_or_clashes_with_the_file_s_own_names_is_not_written(
    value: object, tmp_path: Path
) -> None:
    with pytest.raises(TypeError):
        write_record(tmp_path / "clash.json", value)
    assert not (tmp_path / "clash.json").exists()


def test_a_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    """Another program may read the first of the two values, and this one the last."""
    path = written(tmp_path)
    path.write_text(path.read_text().replace('"auc"', '"auc": 0.9,\n  "auc"', 1))
    with pytest.raises(RecordError, match="a name is there twice in one object"):
        read_record(path, Stage, format=2)
