"""How fast does it train? Optimiser steps on the study's own images, with the loop's own step."""

from __future__ import annotations

import pytest

from cxrbench.schemes import Stage, parse
from cxrbench.schemes.plan import StageRun

# Whatever brings torch is imported where it is used, so that collecting the benchmarks takes no time.

STEPS = 2


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_training_throughput(precision, cxr_profile, cxr_device, timed):
    import torch

    from cxrbench.study.speed import speed_images
    from cxrbench.training.augment import draw
    from cxrbench.training.device import choose_precision, describe_device, fast_kernels
    from cxrbench.training.graphed import recorder
    from cxrbench.training.network import Network
    from cxrbench.training.seeds import generator
    from cxrbench.training.stepper import Stepper

    if precision == "bfloat16" and choose_precision("auto", cxr_device) == "float32":
        pytest.skip("this device imitates bfloat16, more slowly than it computes float32")
    role = cxr_profile.target
    config = cxr_profile.stage_config(Stage((role,))).with_precision(precision)
    images = speed_images(config.batch_size, cxr_profile.image_size, role, cxr_device)
    network = Network(cxr_profile.network, {role: 1}, seed=0).to(
        device=cxr_device, memory_format=torch.channels_last
    )
    network.train()
    stepper = Stepper(network, images, config, by=recorder(cxr_device))
    order = torch.arange(config.batch_size).expand(STEPS, -1)
    draws = draw(order.numel(), generator("training speed")).view(*order.shape, -1)
    losses = []

    def steps():
        stepper.begin(order, draws, [config.learning_rate] * STEPS)
        for _ in range(STEPS):
            stepper.take()
        losses.append(float(stepper.total))

    with fast_kernels(cxr_device):
        timed(
            steps,
            images=STEPS * config.batch_size,
            rounds=2,
            image_size=cxr_profile.image_size,
            batch_size=config.batch_size,
            precision=precision,
            torch=torch.__version__,
            device=describe_device(cxr_device),
        )
    if len(losses) == 1:
        # Nothing is timed, so that they were taken once.
        steps()
    # Steps that are timed are steps that learn: the same batch again and again must become easier.
    assert losses[-1] < losses[0]


def test_training_time_of_a_scheme(cxr_scheme, cxr_study):
    """The seconds that a scheme's chain took add up from its stage runs, none of them for nothing."""
    results = cxr_study.results
    scheme = results.scheme(cxr_scheme)
    assert scheme.train_seconds > 0
    stages = parse(scheme.name, scheme.notation).stages
    chain = {run.canonical: run for end in range(len(stages)) for run in [StageRun(stages[: end + 1])]}
    # A run that schemes share is there as the first of them writes it, which may pool in another order.
    runs = [stage for stage in results.stages if _canonical(stage.run) in chain]
    # In a cross-validation a run that has seen the target is there once per fold.
    folds = results.roles[results.target].folds or 1
    by_fold = sum(results.target in run.roles for run in chain.values())
    assert len(runs) == (len(chain) + by_fold * (folds - 1)) * len(results.seeds)
    total = sum(stage.seconds for stage in runs) / len(results.seeds)
    assert scheme.train_seconds == pytest.approx(total)
    assert all(stage.images_per_second > 0 for stage in runs)


def _canonical(run):
    return StageRun(parse("run", run).stages).canonical
