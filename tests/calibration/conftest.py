"""Rows of a confirmation by hand, and a profile whose calibration takes seconds."""

from __future__ import annotations

import pytest

from cxrbench.calibration.records import Row

TINY = """\
# Above everything.
[study]
name = "tiny"
title = "Tiny"
image_size = 32
init = { kind = "random" }
data_seed = 5
seeds = [0]
target = "covid"
label = "COVID-19"

[roles.findings]
dataset = "phantom"
validation = 0.3
labels = ["Effusion", "Infiltration"]

[roles.covid]
dataset = "phantom"
validation = 0.3

[phantom.findings]
n_images = 40

[phantom.covid]
n_images = 50
n_test_images = 40
severity_median = 0.75  # the main dial

[stages.default]
epochs = 1
batch_size = 16
precision = "float32"

# Above the targets.
[targets.control]
at_least = 0.01
source = "an AUC that any network has"
"""


def row(scheme, seed, auc, knobs=None, stage="confirm", se=0.005, clustered=0.008):
    return Row(
        stage=stage,
        knobs=knobs or {},
        seed=seed,
        scheme=scheme,
        auc=auc,
        se_image=se,
        se_clustered=clustered,
        sample="0123456789abcdef",
        cxrbench="0",
        torch="0",
        torchvision="0",
        threads=1,
        device="a device",
    )


@pytest.fixture(scope="session")
def make_row():
    return row


@pytest.fixture(scope="session")
def calibration_text():
    return TINY
