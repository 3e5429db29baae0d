"""Normalisation by each role's own training images: what is seen, what depends on it, what keeps it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import tiny_study

from cxrbench.errors import CohortError, ProfileError
from cxrbench.schemes import make_plan
from cxrbench.study.normalise import level_table, moments
from cxrbench.study.prepare import prepare
from cxrbench.study.progress import Silent
from cxrbench.study.stages import depends_on
from cxrbench.use.export import reading
from cxrbench.use.trained import find_trained

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ELSEWHERE = {
    "dataset": "phantom",
    "patients": "b",
    "options": {"cohort": "covid", "n_images": 70, "n_test_images": 60},
}


def prepared(tmp_path, **changes):
    profile = tiny_study.profile(changes)
    roles = frozenset(profile.roles)
    return profile, prepare(profile, roles, tmp_path, None, Silent())


def test_moments_are_those_of_all_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (3000, 8, 8), dtype=np.uint8)
    rows = np.arange(0, 3000, 2)
    found = moments(pixels, rows)
    assert found == pytest.approx((pixels[rows].mean(), pixels[rows].std()), rel=1e-12)
    with pytest.raises(CohortError, match="all of one grey value"):
        moments(np.full((4, 8, 8), 7, dtype=np.uint8), np.arange(4))


def test_after_the_table_the_network_s_own_normalisation_gives_mean_0_and_sd_1():
    # The moments of ChestX-ray14. What lies beyond the table's ends costs a hundredth of a deviation or two.
    draws = np.random.default_rng(1).normal(138.5, 62.3, (200, 16, 16))
    pixels = np.clip(draws, 0, 255).astype(np.uint8)
    table = level_table(moments(pixels, np.arange(200)), MEAN, STD)
    seen = (table[pixels] / 255 - np.mean(MEAN)) / np.mean(STD)
    assert seen.mean() == pytest.approx(0, abs=0.02)
    assert seen.std() == pytest.approx(1, abs=0.02)
    assert (np.diff(table.astype(int)) >= 0).all()


def test_each_role_has_its_own_and_a_further_test_the_target_s(tmp_path):
    changes = {"study.normalisation": "role", "tests.b": ELSEWHERE}
    _, (turn,) = prepared(tmp_path, **changes)
    covid, findings = turn.roles["covid"], turn.roles["findings"]
    assert covid.moments == moments(covid.pack.pixels, covid.rows("train"))
    assert findings.moments == moments(findings.pack.pixels, findings.rows("train"))
    assert covid.moments != findings.moments
    assert turn.tests["b"].moments == covid.moments
    for data in (covid, findings):
        seen = (data.images("train").pixels / 255 - np.mean(MEAN)) / np.mean(STD)
        assert abs(seen.mean()) < 0.05
        assert abs(seen.std() - 1) < 0.1


def test_the_moments_are_part_of_a_stage_s_key_and_without_them_nothing_is(tmp_path):
    keys = {}
    for normalisation in ("network", "role"):
        profile, (turn,) = prepared(tmp_path, **{"study.normalisation": normalisation})
        (run,) = make_plan(profile.select(("control",))).runs
        keys[normalisation] = depends_on(profile, run, turn, 0, {}, "parent")["data"]["covid"]["train"]
    assert "moments" not in keys["network"]
    assert keys["role"] == {**keys["network"], "moments": list(turn.roles["covid"].moments)}


@pytest.mark.slow
def test_a_study_writes_them_down_and_scores_new_images_the_same(tmp_path, run_tiny):
    results = run_tiny(tiny_study.profile({"study.normalisation": "role"}), tmp_path, ("control",))
    (of_covid,) = results.roles["covid"].moments
    assert 0 < of_covid[1] < of_covid[0] < 255
    assert find_trained(tmp_path).moments == of_covid


def test_another_word_is_refused():
    with pytest.raises(ProfileError, match="normalisation must be 'network' or 'role'"):
        tiny_study.profile({"study.normalisation": "none"})


def test_what_is_handed_on_says_how_images_are_read():
    plain = SimpleNamespace(crop=False, moments=None)
    assert reading(plain) == {}
    other = reading(SimpleNamespace(crop=True, moments=(138.5, 62.25)))
    assert "borders are cut off, then the middle square" in other["crop"]
    assert "(levels[grey] / 255 - mean) / std" in other["state_dict_input"]
    assert "(v - 138.5000) / 62.2500" in other["state_dict_input"]
