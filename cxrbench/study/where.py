"""What of a study's surroundings its results do not depend on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Where:
    """Where a study reads, keeps and computes, as far as its results do not depend on it.

    Parameters
    ----------
    data_root: the folder that holds the real data sets, where the profile needs any.
    store: a folder for packs, splits, audits and checkpoints apart from the study's, which several studies
        may share, also at once.
    devices: where stages are trained, one at a time on each; a device may be listed several times. By default
        the CPU, once per thread, up to four times (:func:`~cxrbench.study.executor.choose_devices`). With
        more than one, each has its own process, and a script must guard its main module, as for all of
        :mod:`multiprocessing`.
    cluster: the address of a Dask scheduler, or its scheduler file: stages are trained on its workers, one at
        a time on each. ``devices`` is then the one device that each worker uses, by default its CPU. The
        workers must see the study's folder, ``store`` and the profile's files under the paths they have here.
    """

    data_root: Path | None = None
    store: Path | None = None
    devices: Sequence[torch.device] | None = None
    cluster: str | None = None


ANYWHERE = Where()
