"""How fast does it predict? The function that predicts a study's images, on a batch of them."""

from __future__ import annotations

import pytest

# Whatever brings torch is imported where it is used, so that collecting the benchmarks takes no time.

IMAGES = 128


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_inference_throughput(precision, cxr_profile, cxr_device, timed):
    import numpy as np
    import torch

    from cxrbench.study.predictions import predict_images
    from cxrbench.study.speed import speed_images
    from cxrbench.training.data import LabelledImages
    from cxrbench.training.device import choose_precision, describe_device
    from cxrbench.training.network import Network

    if precision == "bfloat16" and choose_precision("auto", cxr_device) == "float32":
        pytest.skip("this device imitates bfloat16, more slowly than it computes float32")
    role = cxr_profile.target
    made = speed_images(IMAGES, cxr_profile.image_size, role, torch.device("cpu"))
    images = LabelledImages(made.pixels[:, 0].numpy(), made.labels.numpy())
    network = Network(cxr_profile.network, {role: 1}, seed=0)
    network.to(device=cxr_device, memory_format=torch.channels_last)
    # From the host's memory to the host's memory, and nothing switched on that a study does not switch on.
    scores, seconds = timed(
        lambda: predict_images(role, network, images, cxr_device, precision),
        images=IMAGES,
        rounds=2,
        image_size=cxr_profile.image_size,
        precision=precision,
        torch=torch.__version__,
        device=describe_device(cxr_device),
    )
    assert scores.shape == (IMAGES,)
    assert np.all((scores > 0) & (scores < 1))
    assert seconds > 0
