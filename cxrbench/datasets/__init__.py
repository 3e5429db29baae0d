"""Data sets: a folder in its published layout to a cohort.

>>> from cxrbench.datasets import dataset_names, load
>>> cohort = load("chestxray14", "/data/nih")

A data set of one's own is either a CSV file for the ``manifest`` adapter or one decorated function::

    from cxrbench.datasets import register

    @register("ours", title="Our archive", marker="films.csv", recognises=lambda folder: ...)
    def load_ours(root: Path) -> Cohort: ...

Every command finds it where an installed package names it, in its ``pyproject.toml``::

    [project.entry-points."cxrbench.datasets"]
    ours = "our_package.archive:load_ours"

It is private unless it says ``public=True``: its patients are hashed under a key of the user's.

The phantom (:mod:`cxrbench.datasets.phantom`) is one of them that is generated: it has no folder.
"""

from cxrbench.datasets.registry import (
    Adapter,
    adapter,
    check_options,
    dataset_names,
    discover,
    load,
    register,
)

__all__ = ["Adapter", "adapter", "check_options", "dataset_names", "discover", "load", "register"]
