"""Random numbers without a global seed: every use derives its own generator from names.

A generator is made of what it is for (the seed of the study, the stage, the epoch, the purpose), so a run
that is taken up in the middle draws what an unbroken run would have drawn, and no stage depends on what ran
before.
"""

from __future__ import annotations

import hashlib

import torch


def derive_seed(*names: object) -> int:
    """Return a 63-bit seed from the texts of ``names``."""
    digest = hashlib.sha256("\x1f".join(str(name) for name in names).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(*names: object) -> torch.Generator:
    """Return a CPU generator seeded by :func:`derive_seed`; draws are the same for every device."""
    return torch.Generator().manual_seed(derive_seed(*names))
