"""From a published archive's folder and a profile of one's own to the report, by the command line."""

import csv

import numpy as np
import pytest
import tiny_study
from click.testing import CliRunner
from PIL import Image

from cxrbench.cli import main
from cxrbench.datasets.observations import OBSERVATIONS
from cxrbench.study.privacy import VARIABLE
from cxrbench.study.results import load_results

CHANGES = {
    "study.target": "oedema",
    "study.label": "Edema",
    "study.network": "timm:test_resnet",
    "targets": None,
    "schemes": {"plain": "init > oedema", "supplement": "init > findings > oedema"},
    "roles.oedema": {
        "dataset": "chexpert",
        "validation": 0.25,
        "views": ["PA", "AP"],
        "ages": [18, 120],
        "uncertain": {"Edema": "ones"},
    },
}


@pytest.fixture
def chexpert(tmp_path):
    """CheXpert-small with 48 films to train on and 16 to test on; every fifth of the former is uncertain."""
    base = tmp_path / "data" / "CheXpert-v1.0-small"
    rng = np.random.default_rng(0)
    edema = OBSERVATIONS.index("Edema")
    for part, first, films in (("train", 1, 48), ("valid", 64541, 16)):
        rows = [["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *OBSERVATIONS]]
        for number in range(films):
            value = number % 2
            name = f"{part}/patient{first + number // 2:05}/study{number % 2 + 1}/view1_frontal.jpg"
            path = base / name
            path.parent.mkdir(parents=True)
            picture = rng.normal(100 + 30 * value, 25, (72, 64)).clip(0, 255).astype(np.uint8)
            Image.fromarray(picture).save(path, quality=95)
            cells = ["0.0"] * len(OBSERVATIONS)
            cells[edema] = "-1.0" if part == "train" and number % 5 == 0 else f"{value:.1f}"
            # A child, whom the profile does not ask for.
            age = "9" if (part, number) == ("train", 47) else "60"
            rows.append([f"CheXpert-v1.0-small/{name}", "Male", age, "Frontal", "AP", *cells])
        with (base / f"{part}.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    return tmp_path / "data"


@pytest.mark.slow
def test_chexpert_from_the_command_line_to_the_report(chexpert, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "a key of ours")
    profile, out = tmp_path / "mine.toml", tmp_path / "out"
    profile.write_text(tiny_study.profile_text(CHANGES, ("findings",)))
    command = ["study", "--profile", str(profile), "--data-root", str(chexpert), "--out", str(out)]
    done = CliRunner().invoke(main, [*command, "--scheme", "plain", "--scheme", "supplement", "--jobs", "1"])
    assert done.exit_code == 0, done.output
    results = load_results(out / "results.json")
    role = results.roles["oedema"]
    # The official test is the validation set, which radiologists labelled.
    assert (results.n_images, results.n_positive) == (16, 8)
    assert role.images == 63
    assert role.uncertain["Edema"].policy == "ones"
    assert role.uncertain["Edema"].images == 10
    assert sum(role.left_out.values()) == 1
    page = (out / "report" / "index.html").read_text()
    assert "supplement" in page
    assert "patient0" not in page
