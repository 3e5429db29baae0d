"""cxrbench: did a chest-radiograph classifier get better or worse?

The package follows the way of the data (see ``docs/architecture.md``)::

    folder -> cohort -> pack -> split -> plan -> train -> checkpoints -> predictions -> statistics -> verdict

Importing ``cxrbench`` or ``cxrbench.statistics`` imports no torch.
"""

__version__ = "0.1.0"
