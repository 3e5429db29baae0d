from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrbench.datasets.phantom import (
    COHORTS,
    CovidConfig,
    FindingsConfig,
    ImagingConfig,
    PhantomConfig,
    PneumoniaConfig,
    phantom_cohort,
)
from cxrbench.datasets.phantom.fields import Parameters, key_halves
from cxrbench.datasets.phantom.imaging import expose
from cxrbench.datasets.phantom.latents import DRAWN
from cxrbench.datasets.phantom.render import lungs, render

CONFIG = PhantomConfig(
    findings=FindingsConfig(n_images=200),
    pneumonia=PneumoniaConfig(n_images=200),
    covid=CovidConfig(n_images=200, n_test_images=0),
)
IMAGING = ImagingConfig()
OPACITIES = (
    "Atelectasis",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Consolidation",
    "Edema",
    "Fibrosis",
    "Pleural_Thickening",
    "COVID-19",
)


@pytest.fixture(scope="module")
def pixels():
    return phantom_cohort("findings", CONFIG).pixels


@pytest.fixture(scope="module")
def healthy():
    """Thirty patients with nothing to see."""
    latents = phantom_cohort(
        "findings", replace(CONFIG, findings=FindingsConfig(n_images=120))
    ).pixels.latents
    _, first = np.unique(latents.patient_key, return_index=True)
    latents = latents.take(np.sort(first)[:30])
    return replace(latents, severity=np.zeros_like(latents.severity))


def ill(latents, name, severity):
    changed = latents.severity.copy()
    changed[:, DRAWN.index(name)] = severity
    return replace(latents, severity=changed)


@pytest.fixture(scope="module")
def change(healthy):
    """``change(name, severity)``: what a finding changes in each healthy image, in grey values at 64 px."""
    plain = render(healthy, IMAGING, 64).astype(float)

    @cache
    def of(name, severity):
        return render(ill(healthy, name, severity), IMAGING, 64) - plain

    return of


@pytest.fixture(scope="module")
def lung(healthy):
    return lungs(healthy, IMAGING, 64)


@pytest.mark.parametrize("size", [64, 63, 37, 8])
def test_an_image_is_the_same_in_every_batch(pixels, size):
    everything = pixels.read_batch(range(40), size)
    assert everything.dtype == np.uint8
    assert everything.shape == (40, size, size)
    order = np.random.default_rng(0).permutation(40)
    assert np.array_equal(pixels.read_batch(order, size), everything[order])
    assert np.array_equal(np.stack([pixels.read(i, size) for i in range(40)]), everything)


@settings(max_examples=12)
@given(rows=st.lists(st.integers(0, 199), min_size=0, max_size=30))
def test_any_choice_of_rows_gives_the_rows_of_the_whole(whole, rows):
    source, films = whole
    assert np.array_equal(source.read_batch(rows, 32), films[rows])


@pytest.fixture(scope="module")
def whole():
    source = phantom_cohort("covid", CONFIG).pixels
    return source, source.read_batch(range(200), 32)


def test_the_number_of_threads_changes_nothing(pixels):
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = pixels.read_batch(range(30), 64)
        torch.set_num_threads(2)
        two = pixels.read_batch(range(30), 64)
    finally:
        torch.set_num_threads(threads)
    assert np.array_equal(one, two)


def test_drawing_leaves_torchs_global_seed_and_gradient_mode_alone(pixels):
    before = torch.get_rng_state()
    pixels.read(0, 16)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("role", COHORTS)
def test_grey_values_use_the_range_and_do_not_saturate(role):
    films = phantom_cohort(role, CONFIG).pixels.read_batch(range(200), 64)
    assert (films == 255).mean() < 0.001
    assert (films == 0).mean() < 0.04
    low, high = np.percentile(films, [5, 95])
    assert high - low > 150
    assert (films.std(axis=(1, 2)) > 25).all()


def test_no_two_images_are_alike(whole):
    _, films = whole
    assert len({film.tobytes() for film in films}) == len(films)


def test_seeds_and_roles_give_other_images():
    films = [
        phantom_cohort(role, CONFIG, seed).pixels.read(0, 32).tobytes() for role in COHORTS for seed in (0, 1)
    ]
    assert len(set(films)) == 6


def test_an_image_is_the_same_patient_at_every_size(pixels):
    small = pixels.read_batch(range(20), 64).reshape(20, -1)
    large = pixels.read_batch(range(20), 192).reshape(20, 64, 3, 64, 3).mean(axis=(2, 4)).reshape(20, -1)
    for i in range(20):
        assert np.corrcoef(small[i], large[i])[0, 1] > 0.97
        assert np.corrcoef(small[i], large[i - 1])[0, 1] < 0.95


def test_images_of_one_patient_resemble_each_other_more_than_other_patients(pixels):
    latents = replace(pixels.latents, severity=np.zeros_like(pixels.latents.severity))
    still = ImagingConfig(pose_variation=0, exposure_variation=0, contrast_variation=0, device_share_ap=0)
    rows = np.flatnonzero(~latents.ap)[:80]
    films = render(latents.take(rows), still, 32).reshape(len(rows), -1).astype(float)
    keys = latents.patient_key[rows]
    close = np.corrcoef(films)
    same = (keys[:, None] == keys[None, :]) & ~np.eye(len(rows), dtype=bool)
    assert same.any()
    assert close[same].mean() > close[keys[:, None] != keys[None, :]].mean() + 0.02


def test_lungs_are_darker_than_the_mediastinum_and_the_abdomen(healthy, lung):
    films = render(healthy, IMAGING, 64).astype(float)
    assert 0.12 < (lung > 0.5).mean() < 0.5
    for film, inside in zip(films, lung > 0.5, strict=True):
        mediastinum, abdomen = film[24:40, 29:35].mean(), film[58:62, 16:30].mean()
        assert film[inside].mean() + 25 < mediastinum
        assert film[inside].mean() + 15 < abdomen


def test_air_outside_the_body_is_darkest(healthy):
    films = render(healthy, IMAGING, 64)
    assert films[:, :3, :3].mean() < films[:, 20:44, 12:52].mean() - 40


@pytest.mark.parametrize("name", DRAWN)
def test_severity_0_draws_exactly_nothing(healthy, name):
    others = ill(healthy.take(np.arange(8)), "Edema" if name != "Edema" else "Mass", 0.5)
    assert np.array_equal(render(ill(others, name, 0.0), IMAGING, 32), render(others, IMAGING, 32))


@pytest.mark.parametrize("name", OPACITIES)
def test_lungs_get_brighter_with_severity(change, lung, name):
    brightening = [change(name, s)[lung > 0.3].mean() for s in (0.25, 0.5, 0.75, 1.0)]
    assert brightening[0] > 0
    assert (np.diff(brightening) > 0).all()


@pytest.mark.parametrize("name", OPACITIES)
def test_hardly_any_pixel_gets_darker_from_an_opacity_than_processing_explains(change, name):
    # The processing presses coarse differences together, so far from a white area the rest darkens a little.
    assert np.percentile(change(name, 0.75), 1) > -25


@pytest.mark.parametrize("name", ["Emphysema", "Pneumothorax"])
def test_lungs_get_darker_where_there_is_more_air(change, lung, name):
    inside = change(name, 1.0)[lung > 0.5]
    assert inside.clip(max=0).sum() < -2 * inside.clip(min=0).sum()


def test_a_large_heart_is_wide(change):
    heart, above = change("Cardiomegaly", 1.0)[:, 34:46, 16:50], change("Cardiomegaly", 1.0)[:, 8:20, 16:50]
    assert heart.mean() > 3 * abs(above.mean())
    assert heart.mean() > 5


@pytest.mark.parametrize("name", DRAWN)
def test_every_finding_shows_in_every_patient_at_full_severity(change, name):
    # Least where the film is nearly white already: a nodule behind the heart of a heavy patient.
    most = np.abs(change(name, 1.0)).max(axis=(1, 2))
    assert most.min() > 5
    assert np.median(most) > 20


def test_slight_covid_is_below_the_noise_that_anatomy_makes(change):
    slight = np.abs(change("COVID-19", 0.05))
    assert 0 < slight.mean() < 0.5
    assert np.percentile(slight, 99) <= 4


def shares(change, lung, name):
    """Return which share of each image's change lies in the lesser side, the outer and the lower half."""
    mask = lung > 0.5
    y, x = np.broadcast_arrays(*np.indices((64, 64), sparse=True))
    opacity = np.where(mask, change(name, 0.75).clip(min=0), 0)
    smaller, outer, lower = [], [], []
    for one, inside in zip(opacity, mask, strict=True):
        middle = (x[inside].min() + x[inside].max()) / 2
        right = one[x < middle].sum() / one.sum()
        smaller.append(min(right, 1 - right))
        reach = np.abs(x - middle) / np.abs(x[inside] - middle).max()
        outer.append(one[reach > np.median(reach[inside])].sum() / one.sum())
        lower.append(one[y > np.median(y[inside])].sum() / one.sum())
    return np.array(smaller), np.array(outer), np.array(lower)


def test_covid_is_two_sided_peripheral_and_basal(change, lung):
    smaller, outer, lower = shares(change, lung, "COVID-19")
    assert (smaller > 0.2).mean() > 0.85
    assert np.median(outer) > 0.65
    assert np.median(lower) > 0.7


def test_pneumonia_is_mostly_one_sided(change, lung):
    smaller, _, _ = shares(change, lung, "Pneumonia")
    assert 0.7 < (smaller < 0.1).mean() < 0.99


def test_oedema_is_two_sided_and_central(change, lung):
    smaller, outer, _ = shares(change, lung, "Edema")
    assert (smaller > 0.25).mean() > 0.9
    assert np.median(outer) < np.median(shares(change, lung, "COVID-19")[1]) - 0.15


def test_a_patients_finding_stays_in_its_place():
    source = phantom_cohort("covid", CONFIG).pixels
    keys, counts = np.unique(source.latents.patient_key, return_counts=True)
    rows = np.flatnonzero(source.latents.patient_key == keys[counts.argmax()])[:2]
    still = ImagingConfig(pose_variation=0, device_share_ap=0, device_share_pa=0, marker_share=0)
    latents = replace(source.latents.take(rows), severity=np.zeros((2, len(DRAWN)), np.float32))
    mass = render(ill(latents, "Mass", 0.9), still, 64).astype(float) - render(latents, still, 64)
    one, two = mass.reshape(2, -1)
    assert np.corrcoef(one, two)[0, 1] > 0.8


def roughness(films):
    return np.abs(np.diff(films.astype(float), axis=2)).mean()


def test_noise_and_mottle_are_knobs_and_noise_is_more_in_small_doses(healthy):
    smooth = roughness(render(healthy, ImagingConfig(noise=0, mottle=0), 64))
    default = roughness(render(healthy, IMAGING, 64))
    assert smooth < default < roughness(render(healthy, ImagingConfig(noise=4), 64))
    assert default < roughness(render(healthy, ImagingConfig(mottle=3), 64))
    assert np.array_equal(
        render(healthy, ImagingConfig(noise=2), 32), render(healthy, IMAGING, 32, noise_scale=2.0)
    )


def test_quantum_noise_follows_the_photon_count():
    # Over a linear window, one unit of attenuation more leaves 1/e of the photons: noise grows by sqrt(e).
    settings = {"scatter": 0.0, "noise": 4.0, "centre": 2.5, "window": 0.4, "equalise": 0.0, "gamma": 0.0}
    table = torch.tensor(list(settings.values())).view(-1, 1)
    p = Parameters({name: row for row, name in enumerate(settings)}, table)
    key = key_halves(np.array([5], dtype=np.uint64), torch.device("cpu"))
    thin, thick = (expose(torch.full((1, 96, 96), a), p, key).std().item() for a in (2.0, 3.0))
    assert thick / thin == pytest.approx(np.exp(0.5), rel=0.05)


def test_scatter_takes_contrast(healthy):
    def contrast(scatter):
        films = render(healthy, ImagingConfig(scatter=scatter), 64).astype(float)
        return films[:, 24:40, 29:35].mean() - films[lungs(healthy, IMAGING, 64) > 0.6].mean()

    assert contrast(0.0) > contrast(0.35) > contrast(1.5)


def test_ribs_and_vessels_are_knobs(healthy):
    mask = lungs(healthy, IMAGING, 64) > 0.6
    default = render(healthy, IMAGING, 64).astype(float)
    for without in (ImagingConfig(rib_contrast=0), ImagingConfig(vessel_contrast=0)):
        assert default[mask].mean() > render(healthy, without, 64)[mask].mean() + 2


def test_a_supine_patients_heart_is_larger_and_lungs_smaller(healthy):
    ap = replace(healthy, ap=np.ones(len(healthy), bool))
    pa = replace(healthy, ap=np.zeros(len(healthy), bool))
    assert lungs(ap, IMAGING, 64).sum() < 0.9 * lungs(pa, IMAGING, 64).sum()


def test_sites_expose_differently(healthy):
    means = [
        render(replace(healthy, site=np.full(len(healthy), s, np.int8)), IMAGING, 32).mean() for s in range(3)
    ]
    assert max(means) - min(means) > 5


def test_no_images_are_no_images(pixels):
    assert pixels.read_batch([], 16).shape == (0, 16, 16)
