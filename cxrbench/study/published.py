"""AUCs per label that others got with a DenseNet121, to hold a stage's own test against.

ChestX-ray14: the lowest and the highest of four, at 224 px on the whole set, each on a split of its own.

- Rajpurkar et al. 2017 (CheXNet).
- github.com/jrzech/reproduce-chexnet, README and ``pretrained/aucs.csv``.
- github.com/dstrick17/DacNet, README.
- github.com/mlmed/torchxrayvision, ``BENCHMARKS.md``: all data sets trained on, tested on a fifth of NIH.

RSNA pneumonia: torchxrayvision's DenseNet121 and ResNet50, lung opacity.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PUBLISHED: Mapping[tuple[str, str], tuple[float, float]] = MappingProxyType(
    {
        ("chestxray14", "Atelectasis"): (0.76, 0.818),
        ("chestxray14", "Cardiomegaly"): (0.88, 0.925),
        ("chestxray14", "Consolidation"): (0.746, 0.800),
        ("chestxray14", "Edema"): (0.85, 0.895),
        ("chestxray14", "Effusion"): (0.85, 0.883),
        ("chestxray14", "Emphysema"): (0.73, 0.937),
        ("chestxray14", "Fibrosis"): (0.72, 0.825),
        ("chestxray14", "Hernia"): (0.91, 0.925),
        ("chestxray14", "Infiltration"): (0.673, 0.735),
        ("chestxray14", "Mass"): (0.80, 0.868),
        ("chestxray14", "Nodule"): (0.646, 0.780),
        ("chestxray14", "Pleural_Thickening"): (0.74, 0.806),
        ("chestxray14", "Pneumonia"): (0.656, 0.768),
        ("chestxray14", "Pneumothorax"): (0.75, 0.889),
        ("rsna-pneumonia", "Lung Opacity"): (0.85, 0.88),
    }
)
"""(data set, label) -> lowest and highest."""


def published(dataset: str, label: str) -> tuple[float, float] | None:
    """Return the lowest and highest AUC that was published; None where we know of none."""
    return PUBLISHED.get((dataset, label))
