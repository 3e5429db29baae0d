import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrbench.cohort.table import COLUMNS
from cxrbench.datasets.phantom import (
    COHORTS,
    FINDINGS,
    CovidConfig,
    FindingsConfig,
    ImagingConfig,
    PhantomConfig,
    PneumoniaConfig,
    phantom_cohort,
)
from cxrbench.errors import DatasetError

SMALL = PhantomConfig(
    findings=FindingsConfig(n_images=60),
    pneumonia=PneumoniaConfig(n_images=50),
    covid=CovidConfig(n_images=40, n_test_images=30),
)


def parts(cohort):
    test = cohort.table["image_id"].isin(cohort.official_test).to_numpy()
    return cohort.table[~test], cohort.table[test]


@pytest.fixture(scope="module")
def findings():
    return phantom_cohort("findings", PhantomConfig(findings=FindingsConfig(n_images=20_000)))


@pytest.fixture(scope="module")
def pneumonia():
    return phantom_cohort("pneumonia", PhantomConfig(pneumonia=PneumoniaConfig(n_images=10_000)))


@pytest.fixture(scope="module")
def covid():
    return phantom_cohort("covid", PhantomConfig(covid=CovidConfig(n_test_images=3000)))


@pytest.mark.parametrize("role", COHORTS)
def test_the_table_keeps_the_contract(role):
    cohort = phantom_cohort(role, SMALL)
    table = cohort.table
    assert tuple(table.columns[:7]) == COLUMNS
    assert tuple(table.columns[7 : 7 + len(cohort.labels)]) == cohort.labels
    assert cohort.dataset == f"phantom-{role}"
    assert cohort.listed == len(cohort)
    assert not cohort.left_out
    assert table["path"].is_unique
    assert set(table["view"]) == {"PA", "AP"}
    assert set(table["sex"]) == {"F", "M"}
    assert set(table["source"]) <= {"site A", "site B", "site C"}
    assert table["age"].between(18, 94).all()
    assert (table.groupby("patient_id")[["sex", "source"]].nunique() == 1).all().all()


def test_the_target_has_the_papers_1060_images_475_patients_801_positive(covid):
    train, test = parts(covid)
    assert (len(train), train["patient_id"].nunique(), int(train["COVID-19"].sum())) == (1060, 475, 801)
    assert len(test) == 3000
    assert test["COVID-19"].sum() == round(3000 * 801 / 1060)
    assert test["patient_id"].nunique() == round(3000 * 475 / 1060)


def test_no_patient_is_in_both_parts_of_the_target(covid):
    train, test = parts(covid)
    assert not set(train["patient_id"]) & set(test["patient_id"])
    keys = covid.pixels.latents.patient_key
    assert not set(keys[: len(train)]) & set(keys[len(train) :])
    assert len(set(covid.pixels.latents.image_key)) == len(covid)


def test_patients_keep_their_label(covid, pneumonia):
    assert (covid.table.groupby("patient_id")["COVID-19"].nunique() == 1).all()
    assert (pneumonia.table.groupby("patient_id")["class"].nunique() == 1).all()


def test_patients_have_several_images_and_not_all_as_many(covid):
    counts = covid.table["patient_id"].value_counts()
    assert counts.mean() == pytest.approx(1060 / 475, rel=0.01)
    assert counts.min() == 1
    assert counts.max() >= 6


@settings(max_examples=40)
@given(n=st.integers(2, 2000), seed=st.integers(0, 5))
def test_every_size_of_the_target_keeps_the_proportions(n, seed):
    cohort = phantom_cohort("covid", PhantomConfig(covid=CovidConfig(n_images=n, n_test_images=0)), seed)
    positive = cohort.table["COVID-19"].sum()
    assert len(cohort) == n
    assert 1 <= positive <= n - 1
    assert abs(positive - n * 801 / 1060) <= 1
    assert abs(cohort.table["patient_id"].nunique() - n * 475 / 1060) <= 2
    assert not cohort.official_test


def test_the_test_part_is_the_same_whatever_the_training_part():
    one = phantom_cohort("covid", SMALL)
    two = phantom_cohort("covid", replace(SMALL, covid=replace(SMALL.covid, n_images=77)))
    pd.testing.assert_frame_equal(
        parts(one)[1].reset_index(drop=True), parts(two)[1].reset_index(drop=True), check_exact=True
    )


def test_negatives_of_the_target_are_normal_or_mimics(covid):
    negative = covid.table[covid.table["COVID-19"] == 0]
    kinds = negative["finding"].str.split("|").explode().value_counts(normalize=True)
    assert {"Pneumonia", "Edema", "Effusion", "No Finding"} <= set(kinds.index)
    assert "COVID-19" not in kinds.index
    mimics = ("Pneumonia", "Edema", "Effusion", "Infiltration", "Atelectasis")
    mimic = negative["finding"].str.contains("|".join(mimics)).mean()
    assert mimic == pytest.approx(0.7, abs=0.08)


def test_every_positive_of_the_target_shows_the_target(covid):
    positive = covid.table["COVID-19"] == 1
    assert covid.table.loc[positive, "finding"].str.contains("COVID-19").all()
    assert covid.table.loc[positive, "severity"].between(0.001, 0.999).all()


@pytest.mark.parametrize("median", [0.1, 0.5, 0.8])
def test_severities_have_the_median_asked_for(median):
    knobs = CovidConfig(severity_median=median, n_images=4000, n_test_images=0)
    cohort = phantom_cohort("covid", PhantomConfig(covid=knobs))
    severity = cohort.pixels.latents.severity[:, -1]
    assert np.median(severity[severity > 0]) == pytest.approx(median, abs=0.03)


def test_severities_of_one_patient_go_together(covid):
    table = covid.table[covid.table["COVID-19"] == 1]
    pairs = table.groupby("patient_id")["severity"].apply(
        lambda s: (s.iloc[0], s.iloc[-1]) if len(s) > 1 else None
    )
    first, last = np.array(pairs.dropna().tolist()).T
    assert 0.5 < np.corrcoef(first, last)[0, 1] < 0.9


def test_the_view_does_not_give_the_label_away_unless_asked(covid):
    share = covid.table.groupby("COVID-19")["view"].apply(lambda v: (v == "AP").mean())
    assert abs(share[1.0] - share[0.0]) < 0.06
    knobs = CovidConfig(ap_share_positive=0.9, ap_share_negative=0.1)
    skewed = phantom_cohort("covid", PhantomConfig(covid=knobs)).table
    share = skewed.groupby("COVID-19")["view"].apply(lambda v: (v == "AP").mean())
    assert share[1.0] == pytest.approx(0.9, abs=0.03)
    assert share[0.0] == pytest.approx(0.1, abs=0.04)


def test_findings_have_the_published_names_and_prevalences(findings):
    assert findings.labels == FINDINGS
    share = findings.table[list(FINDINGS)].mean()
    assert share["Infiltration"] == pytest.approx(0.177, abs=0.015)
    assert share["Effusion"] == pytest.approx(0.119, abs=0.015)
    assert share["Hernia"] == pytest.approx(0.002, abs=0.0015)
    none = (findings.table["finding"] == "No Finding").mean()
    assert 0.40 <= none <= 0.56
    assert (findings.table[list(FINDINGS)].sum(axis=1) == 0).mean() == none


def test_findings_of_one_disease_occur_together(findings):
    table = findings.table
    for one, two in (("Cardiomegaly", "Edema"), ("Pneumonia", "Infiltration"), ("Mass", "Nodule")):
        both = (table[one] * table[two]).mean()
        assert both > 1.5 * table[one].mean() * table[two].mean()


def test_the_boost_multiplies_prevalences_up_to_a_half():
    knobs = FindingsConfig(n_images=20_000, prevalence_boost=3)
    share = phantom_cohort("findings", PhantomConfig(findings=knobs)).table[list(FINDINGS)].mean()
    assert share["Nodule"] == pytest.approx(3 * 0.056, abs=0.015)
    assert share["Infiltration"] == pytest.approx(0.5, abs=0.02)
    none = FindingsConfig(n_images=50, prevalence_boost=0)
    assert (
        phantom_cohort("findings", PhantomConfig(findings=none)).table[list(FINDINGS)].to_numpy().sum() == 0
    )


def test_the_pneumonia_cohort_has_the_three_classes_of_the_challenge(pneumonia):
    share = pneumonia.table["class"].value_counts(normalize=True)
    assert share["Lung Opacity"] == pytest.approx(0.225, abs=0.001)
    assert share["No Lung Opacity / Not Normal"] == pytest.approx(0.443, abs=0.001)
    assert share["Normal"] == pytest.approx(0.332, abs=0.001)
    table = pneumonia.table
    assert ((table["class"] == "Lung Opacity") == (table["Lung Opacity"] == 1)).all()
    normal = table["class"] == "Normal"
    assert (table.loc[normal, "finding"] == "No Finding").all()
    assert (table.loc[~normal, "finding"] != "No Finding").all()
    opacity = table["finding"].str.contains("Pneumonia|Consolidation|Infiltration")
    assert (opacity == (table["Lung Opacity"] == 1)).all()


@pytest.mark.parametrize("role", ["pneumonia", "covid"])
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_label_noise_swaps_a_share_of_the_rarer_class_in_the_training_part_only(role, share):
    clean = phantom_cohort(role, SMALL)
    noisy = phantom_cohort(role, replace(SMALL, **{role: replace(getattr(SMALL, role), label_noise=share)}))
    label = clean.labels[0]
    (train, test), (noisy_train, noisy_test) = parts(clean), parts(noisy)
    rarer = min(train[label].sum(), len(train) - train[label].sum())
    assert (train[label] != noisy_train[label]).sum() == 2 * round(share * rarer)
    assert train[label].sum() == noisy_train[label].sum()
    pd.testing.assert_frame_equal(test, noisy_test)
    pd.testing.assert_series_equal(clean.table["finding"], noisy.table["finding"])
    if role == "pneumonia":
        assert ((noisy_train["class"] == "Lung Opacity") == (noisy_train[label] == 1)).all()


def test_label_noise_reaches_every_finding_with_enough_images():
    knobs = FindingsConfig(n_images=2000, label_noise=0.2)
    noisy = phantom_cohort("findings", PhantomConfig(findings=knobs)).table
    clean = phantom_cohort("findings", PhantomConfig(findings=replace(knobs, label_noise=0))).table
    for name in ("Infiltration", "Effusion", "Nodule"):
        assert (noisy[name] != clean[name]).sum() == 2 * round(0.2 * clean[name].sum())


def test_knobs_of_one_cohort_leave_the_others_alone():
    changed = replace(
        SMALL,
        covid=CovidConfig(n_images=90, n_test_images=0, severity_median=0.9, mimic_share=0.1, noise_scale=3),
    )
    for role in ("findings", "pneumonia"):
        one, two = phantom_cohort(role, SMALL), phantom_cohort(role, changed)
        pd.testing.assert_frame_equal(one.table, two.table, check_exact=True)
        assert one.pixels.fingerprint() == two.pixels.fingerprint()
        assert np.array_equal(one.pixels.read_batch(range(5), 24), two.pixels.read_batch(range(5), 24))
    changed = replace(SMALL, findings=FindingsConfig(n_images=9), pneumonia=PneumoniaConfig(n_images=9))
    one, two = phantom_cohort("covid", SMALL), phantom_cohort("covid", changed)
    pd.testing.assert_frame_equal(one.table, two.table, check_exact=True)
    assert one.pixels.fingerprint() == two.pixels.fingerprint()


@pytest.mark.parametrize(
    "change",
    [
        {"imaging": ImagingConfig(noise=2)},
        {"covid": replace(SMALL.covid, severity_median=0.51)},
        {"covid": replace(SMALL.covid, noise_scale=1.1)},
        {"covid": replace(SMALL.covid, n_images=41)},
        {"covid": replace(SMALL.covid, n_test_images=31)},
        {"covid": replace(SMALL.covid, ap_share_negative=1.0)},
    ],
)
def test_the_fingerprint_changes_with_what_the_pixels_depend_on(change):
    before = phantom_cohort("covid", SMALL).pixels.fingerprint()
    assert phantom_cohort("covid", replace(SMALL, **change)).pixels.fingerprint() != before


def test_the_fingerprint_changes_with_seed_role_and_kind_of_device_but_not_with_label_noise():
    before = phantom_cohort("covid", SMALL, 3)
    again = phantom_cohort("covid", SMALL, 3)
    noisy = phantom_cohort("covid", replace(SMALL, covid=replace(SMALL.covid, label_noise=0.2)), 3)
    assert before.pixels.fingerprint() == again.pixels.fingerprint() == noisy.pixels.fingerprint()
    prints = {phantom_cohort(role, SMALL, seed).pixels.fingerprint() for role in COHORTS for seed in (3, 4)}
    cuda = phantom_cohort("covid", SMALL, 3, device="cuda").pixels.fingerprint()
    assert len(prints | {cuda}) == 7
    assert cuda == phantom_cohort("covid", SMALL, 3, device="cuda:1").pixels.fingerprint()


@pytest.mark.parametrize("role", COHORTS)
def test_equal_seeds_give_equal_tables_and_others_do_not(role):
    one, two, other = (phantom_cohort(role, SMALL, seed).table for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, two, check_exact=True)
    assert not one["severity"].equals(other["severity"])


@pytest.mark.parametrize("role", COHORTS)
def test_two_images_are_the_smallest_cohort(role):
    config = PhantomConfig(
        findings=FindingsConfig(n_images=2),
        pneumonia=PneumoniaConfig(n_images=2),
        covid=CovidConfig(n_images=2, n_test_images=2),
    )
    cohort = phantom_cohort(role, config)
    assert len(cohort) == (4 if role == "covid" else 2)
    assert cohort.pixels.read(1, 8).shape == (8, 8)


@pytest.mark.parametrize(
    ("role", "seed", "message"),
    [
        ("cats", 0, "^the phantom has no cohort 'cats'; choose one of findings, pneumonia, covid$"),
        ("covid", -1, "^the phantom's seed must be a whole number of 0 or more, not -1$"),
        ("covid", 1.5, "not 1.5$"),
    ],
)
def test_a_wrong_role_or_seed_is_refused(role, seed, message):
    with pytest.raises(DatasetError, match=message):
        phantom_cohort(role, SMALL, seed)


@pytest.mark.parametrize(
    ("indices", "size", "message"),
    [([0, 60], 16, r"rows 0..59"), ([-1], 16, r"rows 0..59"), ([0], 7, "8 px and more, not 7")],
)
def test_reading_what_is_not_there_is_refused(indices, size, message):
    with pytest.raises(DatasetError, match=message):
        phantom_cohort("findings", SMALL).pixels.read_batch(indices, size)


def test_without_torch_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cxrbench.datasets.phantom.render", None)
    with pytest.raises(DatasetError, match=r"install cxrbench\[train\]$"):
        phantom_cohort("findings", SMALL).pixels.read(0, 16)


def test_the_version_of_the_drawing_library_is_reported():
    assert list(phantom_cohort("findings", SMALL).pixels.versions()) == ["torch"]


def test_making_a_cohort_does_not_import_torch():
    code = (
        "import sys; from cxrbench.datasets.phantom import phantom_cohort as make;"
        "make('covid').pixels.fingerprint(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
