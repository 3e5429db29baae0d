"""The profile paper-512 with all its settings but the sizes: on phantoms, at 32 px, for one epoch."""

from __future__ import annotations

import pytest
import tomlkit

from cxrbench.study.profile import parse_profile, profile_text

SMALL = {
    "findings": {"cohort": "findings", "n_images": 40},
    "pneumonia": {"cohort": "pneumonia", "n_images": 40},
    "covid": {"cohort": "covid", "n_images": 60, "n_test_images": 0},
}


@pytest.fixture(scope="module")
def results(tmp_path_factory, run_tiny):
    profile = tomlkit.parse(profile_text("paper-512")).unwrap()
    profile["study"] |= {
        "image_size": 32,
        "network": "shufflenet_v2_x0_5",
        "init": {"kind": "random"},
        "seeds": [0],
    }
    for role, options in SMALL.items():
        profile["roles"][role] |= {"dataset": "phantom", "options": options}
    for supplement in ("findings", "pneumonia"):
        profile["roles"][supplement]["validation"] = 0.3
    profile["roles"]["covid"]["folds"] = 3
    profile["stages"]["default"]["epochs"] = profile["stages"]["covid"]["epochs"] = 1
    parsed = parse_profile(tomlkit.dumps(profile), "small-512.toml")
    schemes = ("control", "findings-pooled-pneumonia")
    return run_tiny(parsed, tmp_path_factory.mktemp("paper-512"), schemes)


@pytest.mark.slow
def test_its_paths_run_in_folds_with_each_role_s_own_moments(results):
    runs = sorted((stage.run, stage.fold) for stage in results.stages)
    assert runs == [
        *(("init > covid", fold) for fold in (1, 2, 3)),
        ("init > findings", None),
        *(("init > findings > pneumonia + covid", fold) for fold in (1, 2, 3)),
    ]
    assert results.n_images == results.roles["covid"].images == 60
    for role in results.roles.values():
        # Of the target in each fold, of a supplement the same in all.
        assert len(set(role.moments)) == (3 if role.folds else 1)
    means = {role: found.moments[0][0] for role, found in results.roles.items()}
    assert len(set(means.values())) == 3


@pytest.mark.slow
def test_its_augmentation_and_crop_are_what_the_working_files_say(results):
    for stage in results.training.values():
        assert (stage["augmentation.rotation"], stage["augmentation.translation"]) == (8.0, 0.1)
        assert (stage["augmentation.flip"], stage["augmentation.scale"]) == (0.5, 0.0)
    assert results.settings["roles"]["covid"]["crop"]
