"""The runs of pytest within these tests load this plugin and no other, but where a test is about that."""

from __future__ import annotations

import pytest


@pytest.fixture
def this_plugin_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what else is installed: each run would import and rewrite all of hypothesis again."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "cxrbench.plugin")
