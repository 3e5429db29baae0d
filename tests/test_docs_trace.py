"""The commands of docs/trace.md do what the page says, each with its exit code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "trace.md"


def commands() -> list[tuple[str, int]]:
    """Return the commands of the page's block, and the exit code that it states (0 where none)."""
    block = re.search(r"<!-- played through -->\n```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert block is not None
    found = []
    for line in block.group(1).splitlines():
        code = re.search(r"# exit code (\d)$", line)
        found.append((line, int(code.group(1)) if code else 0))
    return found


@pytest.mark.slow
def test_a_pull_request_is_played_through(tmp_path: Path) -> None:
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {**os.environ, "PATH": path, "GITHUB_STEP_SUMMARY": ""}
    played = commands()
    assert [code for _, code in played].count(4) == 2
    for command, code in played:
        child = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert child.returncode == code, f"{command}\n{child.stdout}{child.stderr}"
        if command.startswith("cxrbench trace after baseline ") and code == 4:
            assert "stage 'init > covid', seed 0: batch_size: 16 now, 32 before" in child.stdout
