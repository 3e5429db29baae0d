"""How fast does it predict? The study's own prediction path, on a batch of images."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cxrbench.study.speed import speed_images
from cxrbench.training.device import choose_precision, describe_device, fast_kernels, synchronise
from cxrbench.training.network import Network
from cxrbench.training.predict import predict_logits

IMAGES = 128


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_inference_throughput(precision, cxr_profile, cxr_device, benchmark):
    if precision == "bfloat16" and choose_precision("auto", cxr_device) == "float32":
        pytest.skip("this device imitates bfloat16, more slowly than it computes float32")
    role = cxr_profile.target
    images = speed_images(IMAGES, cxr_profile.image_size, role, cxr_device)
    network = Network({role: 1}, seed=0).to(device=cxr_device, memory_format=torch.channels_last)

    def predict():
        logits = predict_logits(network, images.pixels, [role], precision)
        synchronise(cxr_device)
        return logits

    with fast_kernels(cxr_device):
        logits = benchmark.pedantic(predict, rounds=2, warmup_rounds=1)
    benchmark.extra_info.update(
        images_per_second=IMAGES / benchmark.stats.stats.median,
        image_size=cxr_profile.image_size,
        precision=precision,
        torch=torch.__version__,
        device=describe_device(cxr_device),
    )
    assert logits.shape == (IMAGES, 1)
    assert np.isfinite(logits).all()
