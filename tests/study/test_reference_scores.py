"""The scores of the fixed random network: computed once for the same images, never for another path."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cxrbench.faults.planting import channels_reversed, left_in_training_mode, without_normalisation
from cxrbench.study import predictions
from cxrbench.study.executor import torch_threads
from cxrbench.study.predictions import REFERENCE_IMAGES, predict_and_trace, predict_images
from cxrbench.training.data import LabelledImages
from cxrbench.training.network import Network
from cxrbench.training.tracer import norms

KIND = "shufflenet_v2_x0_5"
CPU = torch.device("cpu")


def images(seed: int, count: int = REFERENCE_IMAGES + 4) -> LabelledImages:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 32, 32), dtype=np.uint8)
    return LabelledImages(pixels, np.zeros((count, 1), dtype=np.float32))


def traced(of: LabelledImages, seed: int = 1, **asked):
    network = Network(KIND, {"covid": 1}, seed)
    (scores, _), trace = predict_and_trace(
        "covid", network, norms(network, network.heads), of, asked.pop("precision", "float32"), **asked
    )
    return scores, trace


@pytest.fixture
def calls(monkeypatch) -> list[int]:
    """The number of images of each call of what predicts."""
    counted: list[int] = []

    def noted(role, network, of, device, precision):
        counted.append(len(of))
        return predict_images(role, network, of, device, precision)

    monkeypatch.setattr(predictions, "predict_images", noted)
    return counted


def test_they_are_those_of_a_random_network_of_seed_0(calls) -> None:
    some = images(1)
    first = LabelledImages(some.pixels[:REFERENCE_IMAGES], some.labels[:REFERENCE_IMAGES])
    network = Network(KIND, {"covid": 1}, seed=0).to(memory_format=torch.channels_last)
    expected, _ = predict_images("covid", network, first, CPU, "float32")
    assert traced(some)[1].reference == tuple(expected)
    assert calls == [len(some), REFERENCE_IMAGES]


def test_another_scheme_s_network_gets_the_same_without_computing_them_again(calls) -> None:
    some = images(2)
    (one_scores, one), (other_scores, other) = traced(some, seed=1), traced(some, seed=2)
    assert not np.array_equal(one_scores, other_scores)
    assert one.network != other.network
    assert one.reference == other.reference
    assert calls == [len(some), REFERENCE_IMAGES, len(some)]


@pytest.mark.parametrize("change", [channels_reversed, left_in_training_mode, without_normalisation])
def test_a_changed_path_is_not_answered_from_memory(change, calls) -> None:
    some = images(3)
    honest, changed, again = traced(some)[1], traced(some, path=change)[1], traced(some)[1]
    assert changed.reference != honest.reference == again.reference
    assert calls.count(REFERENCE_IMAGES) == 2


def test_other_images_another_precision_and_other_threads_are_computed_anew(calls) -> None:
    some = images(4)
    traced(some)
    traced(images(5))
    traced(some, precision="bfloat16")
    with torch_threads(torch.get_num_threads() + 1):
        traced(some)
    assert calls.count(REFERENCE_IMAGES) == 4


def test_changed_code_that_predicts_is_asked_again(monkeypatch) -> None:
    some = images(6)
    honest = traced(some)[1]

    def halved(*arguments):
        scores, seconds = predict_images(*arguments)
        return scores / 2, seconds

    monkeypatch.setattr(predictions, "predict_images", halved)
    assert traced(some)[1].reference == tuple(score / 2 for score in honest.reference)


def test_fewer_images_than_the_reference_takes_are_all_taken(calls) -> None:
    assert len(traced(images(7, count=3))[1].reference) == 3
    assert calls == [3, 3]
