"""Profiles: what ships loads, and every mistake in one is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cxrbench.errors import ProfileError, SchemeError
from cxrbench.schemes import PATHS, SIX, Stage
from cxrbench.statistics import planned_se
from cxrbench.statistics.verdicts import verdict
from cxrbench.study.profile import load_profile, parse_profile, profile_names

GOOD = """
[study]
name = "mine"
title = "Mine"
image_size = 64
init = { kind = "random" }
data_seed = 1
seeds = [0]
target = "covid"
label = "COVID-19"

[roles.findings]
dataset = "phantom"
options = { cohort = "findings" }
validation = 0.1

[roles.covid]
dataset = "phantom"
options = { cohort = "covid" }
validation = 0.2

[stages.default]
epochs = 2

[stages."covid + findings"]
epochs = 5
augmentation = { rotation = 3 }

[schemes]
seventh = "init > findings + covid"

[targets.control]
auc = 0.7
tolerance = 0.1
source = "a test"
"""


TARGET = GOOD[GOOD.index("[targets.control]") :]


def test_a_byte_order_mark_is_no_part_of_a_profile(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD, encoding="utf-8-sig")
    assert load_profile(str(path)).name == "mine"


def test_a_pipe_in_place_of_a_profile_is_refused(tmp_path):
    os.mkfifo(tmp_path / "mine.toml")
    with pytest.raises(ProfileError, match="cannot be read: it is no file, but a pipe"):
        load_profile(str(tmp_path / "mine.toml"))


@pytest.mark.parametrize("name", profile_names())
def test_every_shipped_profile_loads_and_runs_six(name):
    profile = load_profile(name)
    assert profile.name == name
    names = [scheme.name for scheme in profile.select(())]
    if name == "paper-512":
        assert names == list(PATHS)
        return
    assert names == ["control", "findings", "pneumonia", "sequential", "pooled-supplement", "pooled-all"]


def test_the_shipped_profiles_are_those_of_the_docs():
    assert set(profile_names()) == {
        "paediatric-small",
        "paper",
        "paper-512",
        "phantom",
        "phantom-bfloat16",
        "phantom-gpu",
        "phantom-small",
        "public",
        "public-small",
    }


def test_only_measured_profiles_assert_the_papers_claims():
    calibrated = {name for name in profile_names() if load_profile(name).settings["study"].get("calibrated")}
    assert calibrated == {"phantom", "phantom-bfloat16"}


@pytest.mark.parametrize("auc", [0.5, 0.757, 0.857, 1.0])
def test_no_auc_passes_or_fails_the_gpus_phantom_which_is_not_calibrated(auc):
    targets = load_profile("phantom-gpu").targets
    assert set(targets) == {"control", "sequential"}
    for target in targets.values():
        found = verdict(target.for_sample("any sample"), auc, auc - 1e-6, auc)
        assert found.outcome == "inconclusive"
        assert "not yet calibrated" in found.sentence


def test_the_papers_targets_are_those_of_its_abstract_and_no_others():
    targets = load_profile("paper").targets
    assert {name: target.auc for name, target in targets.items()} == {"control": 0.757, "sequential": 0.857}


def test_the_papers_tolerances_are_twice_the_half_width_that_its_size_gives():
    text = (Path(__file__).parents[2] / "docs" / "profiles.md").read_text()
    for target in load_profile("paper").targets.values():
        half = 1.96 * planned_se(target.auc, target.auc, n_positive=240, n_negative=78, correlation=0.5)
        assert target.tolerance == round(2 * half, 2)
        assert f"n_positive=240, n_negative=78, correlation=0.5)  # {half:.4f}" in text


def test_the_public_profile_states_only_measured_targets():
    assert not load_profile("public").targets


def test_only_profiles_with_a_phantom_are_synthetic():
    synthetic = {name for name in profile_names() if load_profile(name).synthetic}
    assert synthetic == {"phantom", "phantom-bfloat16", "phantom-gpu", "phantom-small"}


def test_the_profile_in_bfloat16_is_the_phantom_but_for_its_precision():
    one, other = ({**load_profile(name).settings} for name in ("phantom", "phantom-bfloat16"))
    for settings in (one, other):
        for measured in ("targets", "claims"):
            settings.pop(measured, None)
        settings["study"] = {
            k: v for k, v in settings["study"].items() if k not in ("name", "title", "calibrated")
        }
    apart = _apart(one, other)
    assert apart == {
        "study.init.precision": ("float32", "bfloat16"),
        "stages.default.precision": ("float32", "bfloat16"),
    }


def _apart(one, other, where=""):
    """Return what differs between two nested tables, by its dotted name."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return {} if one == other else {where[1:]: (one, other)}
    found = {}
    for key in {*one, *other}:
        found |= _apart(one.get(key), other.get(key), f"{where}.{key}")
    return found


def test_a_stage_is_found_however_its_roles_are_ordered():
    profile = parse_profile(GOOD, "mine.toml")
    assert profile.stage_config(Stage(("findings", "covid"))).epochs == 5
    assert profile.stage_config(Stage(("findings",))).epochs == 2


def test_a_stage_keeps_the_defaults_that_it_does_not_change():
    text = GOOD.replace("[stages.default]\nepochs = 2", "[stages.default]\nepochs = 2\nbatch_size = 17")
    config = parse_profile(text, "mine.toml").stage_config(Stage(("covid", "findings")))
    assert (config.epochs, config.batch_size) == (5, 17)
    assert config.augmentation.rotation == 3


def test_a_users_scheme_is_added_to_the_six():
    profile = parse_profile(GOOD, "mine.toml")
    assert profile.select(("seventh",))[0].notation == "init > findings + covid"
    assert len(profile.schemes) == 7


def test_a_shipped_set_of_schemes_is_chosen_by_name():
    text = GOOD.replace("image_size = 64", 'image_size = 64\nschemes = "paths"')
    profile = parse_profile(text, "mine.toml")
    assert list(profile.schemes) == [*PATHS, "seventh"]
    assert list(profile.with_schemes("six").schemes) == [*SIX, "seventh"]
    with pytest.raises(
        ProfileError, match=r"\[study\] schemes: no set of schemes 'paths2'; did you mean 'paths'"
    ):
        parse_profile(text.replace('"paths"', '"paths2"'), "mine.toml")


def test_another_set_of_schemes_keeps_the_targets_of_those_that_it_shares():
    text = GOOD + TARGET.replace("control", "sequential") + TARGET.replace("control", "seventh")
    profile = parse_profile(text, "mine.toml")
    assert set(profile.targets) == {"control", "sequential", "seventh"}
    assert set(profile.with_schemes("paths").targets) == {"control", "seventh"}


def test_the_six_end_with_the_profiles_own_target():
    text = GOOD.replace("covid", "chest").replace('cohort = "chest"', 'cohort = "covid"')
    profile = parse_profile(text, "mine.toml")
    assert [s.notation for s in profile.select(("control", "findings"))] == [
        "init > chest",
        "init > findings > chest",
    ]


def test_a_scheme_whose_role_nothing_fills_is_refused():
    profile = parse_profile(GOOD, "mine.toml")
    with pytest.raises(ProfileError, match=r"scheme 'pneumonia' needs role 'pneumonia'.*roles\.pneumonia"):
        profile.select(("pneumonia",))


def test_a_scheme_that_does_not_end_with_the_target_is_refused():
    text = GOOD.replace('"init > findings + covid"', '"init > covid > findings"')
    with pytest.raises(ProfileError, match="last stage of scheme 'seventh' must train 'covid'"):
        parse_profile(text, "mine.toml").select(("seventh",))


def test_an_unknown_scheme_is_refused_with_the_nearest():
    with pytest.raises(SchemeError, match="did you mean 'control'"):
        parse_profile(GOOD, "mine.toml").select(("contrl",))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("image_size = 64", "", r"\[study\]: missing 1 required key: 'image_size'"),
        ("image_size = 64", "image_sice = 64", r"unknown key 'image_sice'; did you mean 'image_size'"),
        ("image_size = 64", "image_size = 8", "image_size must be from 32 to 4096"),
        ("image_size = 64", "image_size = 100000", "image_size must be from 32 to 4096"),
        (
            "image_size = 64",
            f"image_size = {10**400}",
            r"100000.* is too large: TOML's whole numbers have 64",
        ),
        ("auc = 0.7", f"auc = {10**400}", "is too large: TOML's whole numbers have 64 bits"),
        ("auc = 0.7", "auc = 1" + "0" * 5000, "not TOML"),
        ("seeds = [0]", "seeds = " + "[" * 5000 + "]" * 5000, "not TOML"),
        (
            "validation = 0.1",
            "validation = 0.1\nwhere = { view = 'PA' }",
            "there is the key 'views'",
        ),
        ("validation = 0.1", "validation = 0.1\nwhere = { age = 40 }", "for 'age' there is the key 'ages'"),
        ("validation = 0.1", "validation = 0.1\nwhere = { sex = [] }", "sex must be a text, a number, or a"),
        ("validation = 0.1", "validation = 0.1\nwhere = { sex = nan }", "sex must be a text, a number, or a"),
        ("validation = 0.1", "validation = 0.1\nwhere = { sex = [{}] }", "sex must be a text, a number, or"),
        (
            "validation = 0.1",
            "validation = 0.1\nwhere = { d = 2020-01-01 }",
            "d must be a text, a number, or",
        ),
        (
            "validation = 0.1",
            "validation = 0.1\nages = [0, inf]",
            "'ages' must be the lowest and the highest",
        ),
        ("validation = 0.1", "validation = 0.1\nuncertain = { default = [] }", "default must be one of"),
        ('kind = "random"', f'kind = "formula", classes = {2**62}', "at most 100,000"),
        ('name = "mine"', 'name = "mine."', "or end with '.'"),
        ("seeds = [0]", "seeds = [-1]", "seeds must be .* different whole numbers of 0 or more"),
        ("seeds = [0]", f"seeds = [{2**64}]", "is too large"),
        ("tolerance = 0.1", "tolerance = 1e300", "tolerance must be above 0 and at most 1"),
        ("tolerance = 0.1", f"sd = 0.1\nseeds = {2**62}", "a spread needs 2 to 1,000,000 seeds"),
        ("tolerance = 0.1", "sd = 1e300\nseeds = 9", "sd must be above 0 and at most 1"),
        ('name = "mine"', f'name = "{"a" * 300}"', "name must be up to 64 letters"),
        ("[roles.findings]", f"[roles.{'a' * 300}]", "must be up to 64 letters"),
        ("seventh =", f"{'a' * 300} =", "must be up to 64 lower-case letters"),
        ("seeds = [0]", "seeds = []", "seeds must be a list of one or more different whole numbers"),
        ("seeds = [0]", "seeds = [1, 1]", "seeds must be a list of one or more different whole numbers"),
        ("seeds = [0]", "seeds = [true]", "seeds must be a list of one or more different whole numbers"),
        ("data_seed = 1", "data_seed = -1", r"\[study\]: data_seed must be 0 or more"),
        ("seeds = [0]", 'seeds = "0"', "seeds must be a list of one or more different whole numbers"),
        ('target = "covid"', 'target = "cvid"', "target 'cvid' is not a role"),
        ('kind = "random"', 'kind = "lucky"', "kind 'lucky' must be"),
        ('kind = "random"', 'kind = "file", path = "a\\u0000b"', "holds a NUL character"),
        ("validation = 0.2", 'validation = 0.2\nsplit = "a\\u0000.csv"', "holds a NUL character"),
        ('kind = "random"', 'kind = "file"', "'path' goes with kind = 'file'"),
        ("validation = 0.2", "validation = 0", "'validation' must be above 0"),
        ("validation = 0.2", "validation = 0.5\ntest = 0.5", "leave images to train on"),
        ("validation = 0.2", "folds = 2", "'folds' must be a whole number of 3 or more"),
        ("validation = 0.2", "folds = 3.0", "'folds' must be a whole number of 3 or more"),
        ("validation = 0.2", "folds = 3\nvalidation = 0.2", "take out 'validation', 'test' and 'split', or"),
        (
            "validation = 0.2",
            "folds = 3\ntest = 0.2",
            "take out 'validation', 'test' and 'split', or 'folds'",
        ),
        ("validation = 0.2", "folds = 3\nsplit = 'a.csv'", "take out 'validation', 'test' and 'split', or"),
        ("validation = 0.2", "", "'validation' must be above 0"),
        ("validation = 0.1", "folds = 3", r"\[roles.findings\]: only the target \('covid'\) is tested"),
        ("epochs = 2", "epochs = 0", r"\[stages.default\]: training: epochs must be"),
        ("epochs = 2", 'epochs = "two"', r"\[stages.default\]"),
        ("epochs = 2", "learning_rat = 1", r"unknown key 'learning_rat'; did you mean 'learning_rate'"),
        ('"covid + findings"', '"covid + "', "is not a stage"),
        ("rotation = 3", "rotation = 999", "rotation = 999 must be between 0 and 180"),
        ('"init > findings + covid"', '"findings"', r"\[schemes\] seventh: a scheme starts with 'init'"),
        ("[targets.control]", "[targets.controll]", "unknown key 'controll'; did you mean 'control'"),
        ("tolerance = 0.1", "", "give a tolerance around the 'auc', a calibration's spread"),
        ('source = "a test"', 'source = ""', "'source' must say where the number comes from"),
        ("[stages.default]", "[stage.default]", "unknown key 'stage'"),
        (
            TARGET,
            "[targets]\ncontrol = 0.757",
            r"\[targets.control\]: write a table with keys among auc, tolerance, at_least, .*, not 0\.757",
        ),
        ('source = "a test"', "source = 3", r"\[targets.control\]: source must be a text"),
        ("auc = 0.7", 'auc = "0.7"', r"\[targets.control\]: auc must be a number, not '0\.7'"),
        (
            '"init > findings + covid"',
            '["init > covid"]',
            r"\[schemes\] seventh: write one notation such as '.*', not \['init > covid'\]",
        ),
        (
            "[stages.default]\nepochs = 2",
            "[stages]\ndefault = 2",
            r"\[stages.default\]: write a table .*, not 2",
        ),
        (
            '[stages."covid + findings"]\nepochs = 5\naugmentation = { rotation = 3 }',
            "[stages]\ncovid = 5",
            r"\[stages.'covid'\]: write a table of training settings such as epochs = 4, not 5",
        ),
        (
            'target = "covid"',
            'target = ["covid"]',
            r"\[study\]: target must be a text in quotes, not \['covid'\]",
        ),
        ("data_seed = 1", 'data_seed = "1"', r"\[study\]: data_seed must be a whole number, not '1'"),
        (
            "validation = 0.1",
            'validation = "0.1"',
            r"\[roles.findings\]: validation must be a number, not '0\.1'",
        ),
        ("validation = 0.1", "validation = 0.1\nlimit = true", "limit must be a whole number, not True"),
        ("validation = 0.1", "validation = 0.1\nsplit = 3", "split must be a text in quotes, not 3"),
        (
            "validation = 0.1",
            "validation = 0.1\nlabels = 'Mass'",
            "labels must be a list of texts, not 'Mass'",
        ),
        ("validation = 0.1", "validation = 0.1\nlabels = [1]", r"labels must be a list of texts, not \[1\]"),
        ('name = "mine"', 'name = "../../escaped"', r"\[study\]: name must be up to 64 letters, digits"),
        ('name = "mine"', 'name = ""', r"\[study\]: name must be up to 64 letters, digits"),
        ('name = "mine"', 'name = ".."', r"\[study\]: name must be up to 64 letters, digits"),
        ('name = "mine"', 'name = "a\\nb"', r"\[study\]: name must be up to 64 letters, digits"),
        ("[roles.findings]", "[roles.'../findings']", r"\[roles\]: '\.\./findings' must be up to 64 letters"),
        ('cohort = "covid"', 'cohort = "covit"', r"\[roles\.covid\]: .* not 'covit'; did you mean 'covid'"),
        ('cohort = "covid"', 'cohort = "covid", n_imagse = 9', "did you mean 'n_images'"),
        ('"phantom"\noptions = { cohort = "covid" }', '"phantm"', "did you mean 'phantom'"),
        ('"phantom"\noptions = { cohort = "covid" }', '"manifest"\noptions = { lables = [] }', "'labels'"),
        ('options = { cohort = "findings" }', "options = ['a']", r"options must be a table, not \['a'\]"),
    ],
)
def test_a_mistake_is_named(old, new, message):
    assert old in GOOD
    with pytest.raises(ProfileError, match=message) as caught:
        parse_profile(GOOD.replace(old, new), "mine.toml")
    assert str(caught.value).startswith("profile mine.toml")


@pytest.mark.parametrize("table", ["schemes", "targets"])
def test_a_value_in_place_of_a_table_is_named(table):
    start = GOOD.index(f"[{table}") if f"[{table}" in GOOD else len(GOOD)
    # A key outside of any table stands first.
    text = f"{table} = 3\n{GOOD[:start]}"
    with pytest.raises(ProfileError, match=rf"profile mine\.toml: \[{table}\]: write a table .*, not 3"):
        parse_profile(text, "mine.toml")


def test_a_file_that_is_not_utf_8_is_refused_with_the_line(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(GOOD.replace('title = "Mine"', 'title = "Küste"').encode("latin-1"))
    with pytest.raises(ProfileError, match=r"mine\.toml: line 4 is not UTF-8.*save the file as UTF-8"):
        load_profile(str(path))


def test_text_that_is_not_toml_is_refused():
    with pytest.raises(ProfileError, match=r"profile mine\.toml: not TOML"):
        parse_profile("[study", "mine.toml")


def test_an_unknown_profile_is_refused_with_the_nearest():
    with pytest.raises(ProfileError, match="did you mean 'phantom'"):
        load_profile("phantm")


def test_a_missing_profile_file_is_refused(tmp_path):
    with pytest.raises(ProfileError, match="cannot be read: No such file"):
        load_profile(str(tmp_path / "mine.toml"))


def test_seeds_can_be_replaced_but_not_repeated():
    profile = parse_profile(GOOD, "mine.toml")
    assert profile.with_seeds((3, 4)).seeds == (3, 4)
    with pytest.raises(ProfileError, match="different whole numbers"):
        profile.with_seeds((3, 3))


def test_precision_is_settled_for_every_stage_and_the_file_s_settings_stay():
    text = GOOD.replace('[stages."covid + findings"]', '[stages."covid + findings"]\nprecision = "bfloat16"')
    written = parse_profile(text, "mine.toml")
    profile = written.with_precision(lambda wanted: "float32" if wanted == "auto" else wanted)
    assert profile.default_stage.precision == "float32"
    assert profile.stage_config(Stage(("covid",))).precision == "float32"
    assert profile.stage_config(Stage(("findings", "covid"))).precision == "bfloat16"
    assert profile.settings == written.settings


def test_a_target_carries_a_calibrations_spread():
    text = GOOD.replace("tolerance = 0.1", "sd = 0.01\nseeds = 5")
    target = parse_profile(text, "mine.toml").targets["control"]
    assert (target.auc, target.tolerance, target.sd, target.seeds) == (0.7, None, 0.01, 5)


def test_a_target_says_which_test_images_it_was_measured_on():
    text = GOOD.replace('source = "a test"', 'measured_on = "0123456789abcdef"\nsource = "a test"')
    assert parse_profile(text, "mine.toml").targets["control"].measured_on == "0123456789abcdef"
    assert parse_profile(GOOD, "mine.toml").targets["control"].measured_on == ""
    with pytest.raises(ProfileError, match=r"\[targets.control\].*measured_on must be a text"):
        parse_profile(text.replace('"0123456789abcdef"', "12"), "mine.toml")


def test_half_a_spread_is_refused():
    text = GOOD.replace('source = "a test"', 'sd = 0.01\nsource = "a test"')
    with pytest.raises(ProfileError, match=r"\[targets.control\].*'sd' and 'seeds'"):
        parse_profile(text, "mine.toml")


def test_the_network_is_densenet121_unless_another_is_named():
    assert parse_profile(GOOD, "x").network == "densenet121"
    named = parse_profile(GOOD.replace("image_size = 64", 'image_size = 64\nnetwork = "resnet18"'), "x")
    assert named.network == "resnet18"
    other = named.with_network("timm:resnet18")
    assert (other.network, other.settings) == ("timm:resnet18", named.settings)
    assert named.network == "resnet18"
    with pytest.raises(ProfileError, match=r"\[study\]: network must be a text in quotes, not 18"):
        parse_profile(GOOD.replace("image_size = 64", "image_size = 64\nnetwork = 18"), "x")


def test_two_tables_for_one_stage_are_refused():
    assert "[stages.'covid + findings']" in GOOD or '[stages."covid + findings"]' in GOOD
    twice = "[stages.'findings + covid']\nepochs = 2\n"
    with pytest.raises(
        ProfileError,
        match=r"\[stages.'findings \+ covid'\]: \[stages.'covid \+ findings'\] is of the same stage",
    ):
        parse_profile(GOOD + twice, "good.toml")
