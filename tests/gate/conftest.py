"""Studies with made-up scores: the gate reads nothing but files and results."""

from __future__ import annotations

import pytest


@pytest.fixture
def make_study(made_up, tmp_path):
    """Return a function that writes a made-up study into the folder ``name``."""

    def make(name, noises, **changes):
        return made_up(tmp_path / name, noises, **changes)

    return make
