"""Pictures that may not be radiographs are said and counted before they are trained on."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_study
from PIL import Image

from cxrbench.radiograph import picture_faults
from cxrbench.study.evaluate import role_result
from cxrbench.study.prepare import prepare


@pytest.fixture
def films(tmp_path):
    """A folder of 24 films, of which two are black."""
    random = np.random.default_rng(0)
    folder = tmp_path / "films"
    folder.mkdir()
    lines = ["path,patient_id,COVID-19"]
    for number in range(24):
        film = random.integers(0, 255, (48, 48), dtype=np.uint8)
        Image.fromarray(film * 0 if number in (3, 7) else film).save(folder / f"{number}.png")
        lines.append(f"{number}.png,p{number},{number % 2}")
    (folder / "covid.csv").write_text("\n".join(lines))
    return folder


def prepared_from(films, log):
    profile = tiny_study.profile({**tiny_study.MANIFEST, "study.image_size": 32, "targets": None})
    (prepared,) = prepare(profile, frozenset({"covid"}), films.with_name("out"), films, log)
    return prepared


def test_a_black_film_is_said_with_its_path_and_counted(films, log):
    prepared = prepared_from(films, log)
    (line,) = [line for line in log.lines if "radiographs" in line]
    assert line.startswith("covid: 2 pictures may not be radiographs")
    assert "3.png: constant, almost black; 7.png: constant, almost black" in line
    result = role_result([prepared.roles["covid"]])
    assert result.odd_pictures == {"constant": 2, "almost black": 2}


def test_a_large_pack_is_looked_at_once_and_what_was_found_is_said_again(films, log, monkeypatch):
    looked_at = []

    def faults(picture):
        looked_at.append(picture)
        return picture_faults(picture)

    monkeypatch.setattr("cxrbench.study.prepare.picture_faults", faults)
    monkeypatch.setattr("cxrbench.study.prepare.LARGE", 0)
    first, second = prepared_from(films, log), prepared_from(films, log)
    assert len(looked_at) == 24
    said, again = [line for line in log.lines if "radiographs" in line]
    assert said == again
    assert first.roles["covid"].odd == second.roles["covid"].odd == {"constant": 2, "almost black": 2}
    (kept,) = [path for path in films.with_name("out").glob("audits/*.json") if "_Odd" in path.read_text()]
    kept.write_text(kept.read_text().replace("almost black", "almost white"))
    assert prepared_from(films, log).roles["covid"].odd == first.roles["covid"].odd
    assert len(looked_at) == 48
