"""Tables of docs/trace.md."""

from __future__ import annotations

import json

from evidence import DOCS, markdown
from faults import read

from cxrbench.report.faults import faults_table

TOLERANCES = DOCS / "trace" / "tolerances.json"
FAULTS = DOCS / "trace" / "faults.json"


def tolerances() -> str:
    """How far each imitated machine parts, by what is compared."""
    found = json.loads(TOLERANCES.read_text(encoding="utf-8"))["measured"]
    names = [each["environment"] for each in found]
    largest = [
        {(row["what"], row["stage"], row["step"]): row["relative"] for row in each["largest"]}
        for each in found
    ]
    shown = [key for key in largest[0] if key[2] is None or key[2] <= 8]
    rows = [(_called(*key), *(f"{each[key]:.1e}" for each in largest)) for key in shown]
    return markdown(("what", *names), rows)


def faults() -> str:
    """What was seen of each fault on the quick profile."""
    return faults_table(read(FAULTS))


def _called(what: str, stage: str, step: int | None) -> str:
    where = "" if stage == "prediction" else f", {stage} stage of a chain"
    return f"{what}{'' if step is None else f' of step {step}'}{where}"
