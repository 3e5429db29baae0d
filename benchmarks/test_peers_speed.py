"""How fast is it next to what one would write with torchvision? Right first, then timed in turns.

A summary at the end of the run shows every speed that has a peer next to the peer's.
"""

from __future__ import annotations

import pytest

# Whatever brings torch is imported where it is used, so that collecting the benchmarks takes no time.

ROUNDS = 3
IMAGES = 64


@pytest.fixture
def setting(cxr_profile, cxr_device):
    """Return the target's settings, images, our network, and torchvision's module of the same parameters."""
    import torch
    from peers import classifier

    from cxrbench.schemes import Stage
    from cxrbench.study.speed import speed_images
    from cxrbench.training.device import choose_precision
    from cxrbench.training.network import Network

    role, name = cxr_profile.target, cxr_profile.network
    if not name.startswith("densenet"):
        pytest.skip("the peer is torchvision's DenseNet")
    config = cxr_profile.stage_config(Stage((role,))).with_precision(choose_precision("auto", cxr_device))
    images = speed_images(max(IMAGES, config.batch_size), cxr_profile.image_size, role, cxr_device)
    network = Network(name, {role: 1}, seed=0).to(cxr_device, memory_format=torch.channels_last)
    model = classifier(name, cxr_device)
    trunk = {key.replace("trunk.", "features."): value for key, value in network.state_dict().items()}
    head = {f"classifier.{key}": value for key, value in network.heads[role].state_dict().items()}
    missing, _ = model.load_state_dict({**trunk, **head}, strict=False)
    assert missing == []
    return role, config, images, network, model


@pytest.fixture
def compared(cxr_device, cxr_profile, record_property):
    """Return a function that times ours and a peer in turns, and keeps what the summary shows."""

    def run(what, ours, peer, images, precision):
        import numpy as np
        from peers import in_turns

        mine, theirs = in_turns(ours, peer, cxr_device, 10 if cxr_device.type == "cuda" else ROUNDS)
        ratio = theirs / mine
        record_property("what", f"{what}, {cxr_profile.image_size} px, {precision}")
        record_property("images_per_second", float(images / np.median(mine)))
        record_property("peer_images_per_second", float(images / np.median(theirs)))
        record_property("times_the_peer", float(np.median(ratio)))
        record_property("times_the_peer_spread", [float(ratio.min()), float(ratio.max())])

    return run


def test_the_same_numbers_as_torchvisions_module(setting):
    import numpy as np
    import torch
    from peers import plain_logits

    from cxrbench.training.predict import predict_logits

    role, _, images, network, model = setting
    device = images.pixels.device
    # Of random parameters: their logits differ little, so they are held against their spread.
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        mine = predict_logits(network, images.pixels[:16], [role], "float32")[:, 0]
        theirs = plain_logits(model, images.pixels[:16].cpu(), device, 16, "float32")
    assert np.abs(mine - theirs).max() < 1e-3 * theirs.std()


def test_training_next_to_a_plain_loop(setting, compared):
    import torch
    from peers import PlainTraining

    from cxrbench.training.augment import draw
    from cxrbench.training.device import fast_kernels
    from cxrbench.training.graphed import recorder
    from cxrbench.training.seeds import generator
    from cxrbench.training.stepper import Stepper

    _, config, images, network, model = setting
    device = images.pixels.device
    batch, steps = config.batch_size, 10 if device.type == "cuda" else 1
    network.train()
    stepper = Stepper(network, images, config, by=recorder(device))
    order = torch.arange(batch).expand(steps, -1)
    draws = draw(order.numel(), generator("peers")).view(*order.shape, -1)
    workers = 16 if device.type == "cuda" else 0
    plain = PlainTraining(model, images.pixels, images.labels, device, batch, config.precision, workers)

    def ours():
        stepper.begin(order, draws, [config.learning_rate] * steps)
        for _ in range(steps):
            stepper.take()

    def peer():
        for _ in range(steps):
            plain.step()

    with fast_kernels(device):
        compared(f"training, batch {batch}, plain loop", ours, peer, batch * steps, config.precision)


def test_predicting_next_to_a_plain_loop(setting, compared):
    from peers import plain_logits

    from cxrbench.study.predictions import predict_images
    from cxrbench.training.data import LabelledImages
    from cxrbench.training.predict import default_batch

    role, config, images, network, model = setting
    device, pixels = images.pixels.device, images.pixels.cpu()
    host = LabelledImages(pixels[:, 0].numpy(), images.labels.cpu().numpy())
    batch = default_batch(images.pixels)
    compared(
        f"predicting, batch {batch}, plain loop",
        lambda: predict_images(role, network, host, device, config.precision),
        lambda: plain_logits(model, pixels, device, batch, config.precision),
        len(pixels),
        config.precision,
    )


def test_augmenting_next_to_torchvisions_transforms(setting, compared):
    import torch
    from peers import Pictures

    from cxrbench.training.augment import augment, draw
    from cxrbench.training.config import Augmentation
    from cxrbench.training.predict import to_float
    from cxrbench.training.seeds import generator

    _, _, images, _, _ = setting
    pictures = Pictures(images.pixels.cpu(), images.labels.cpu())
    randomness = generator("peers")

    def ours():
        draws = draw(len(pictures), randomness).to(images.pixels.device)
        return augment(to_float(images.pixels), Augmentation(), draws)

    def peer():
        return torch.stack([pictures[index][0] for index in range(len(pictures))])

    assert ours().shape[2:] == peer().shape[2:]
    compared("augmenting, image by image", ours, peer, len(pictures), "float32")
