"""Rows of a confirmation by hand, and a profile whose calibration takes seconds."""

from __future__ import annotations

import pytest
from tiny_study import profile_text

from cxrbench.calibration.records import Row

# With comments, which a calibration keeps.
TINY = "# Above everything.\n" + profile_text(
    {
        "roles.findings.options.n_images": 40,
        "roles.covid.options": {
            "cohort": "covid",
            "n_images": 50,
            "n_test_images": 40,
            "severity_median": 0.75,
        },
        "stages.default.precision": "float32",
    }
).replace("severity_median = 0.75", "severity_median = 0.75  # the main dial").replace(
    "[targets.control]", "# Above the targets.\n[targets.control]"
)


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
