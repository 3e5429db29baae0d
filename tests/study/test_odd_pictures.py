"""Pictures that may not be radiographs are said and counted before they are trained on."""

from __future__ import annotations

import numpy as np
import tiny_study
from PIL import Image

from cxrbench.study.evaluate import role_result
from cxrbench.study.prepare import prepare


def test_a_black_film_is_said_with_its_path_and_counted(tmp_path, log):
    random = np.random.default_rng(0)
    folder = tmp_path / "films"
    folder.mkdir()
    lines = ["path,patient_id,COVID-19"]
    for number in range(24):
        film = random.integers(0, 255, (48, 48), dtype=np.uint8)
        Image.fromarray(film * 0 if number in (3, 7) else film).save(folder / f"{number}.png")
        lines.append(f"{number}.png,p{number},{number % 2}")
    (folder / "covid.csv").write_text("\n".join(lines))
    profile = tiny_study.profile({**tiny_study.MANIFEST, "study.image_size": 32, "targets": None})
    (prepared,) = prepare(profile, frozenset({"covid"}), tmp_path / "out", folder, log)
    (line,) = [line for line in log.lines if "radiographs" in line]
    assert line.startswith("covid: 2 pictures may not be radiographs")
    assert "3.png: constant, almost black; 7.png: constant, almost black" in line
    result = role_result([prepared.roles["covid"]])
    assert result.odd_pictures == {"constant": 2, "almost black": 2}
