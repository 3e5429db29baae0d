"""Tables of docs/trace.md."""

from __future__ import annotations

import json

from evidence import DOCS, markdown
from faults import read

from cxrbench.report.faults import faults_table
from cxrbench.trace.tolerances import FLOAT32

TOLERANCES = DOCS / "trace" / "tolerances.json"
FAULTS = DOCS / "trace" / "faults.json"
FAULTS_OF_PHANTOM = DOCS / "trace" / "faults-phantom.json"
COST = DOCS / "trace" / "cost.json"
GATE = DOCS / "trace" / "gate.json"
LAST_STEP = 3
STAGES, PREDICTIONS, WHOLE = "all stages", "all predictions", "whole study"


def tolerances() -> str:
    """How far each imitated machine parts, by what is compared, and what is tolerated."""
    found = json.loads(TOLERANCES.read_text(encoding="utf-8"))["measured"]
    largest = [
        {(row["what"], row["stage"], row["step"]): row["relative"] for row in each["largest"]}
        for each in found
    ]
    shown = [
        key
        for key in largest[0]
        if (key[2] is None or key[2] <= LAST_STEP)
        and (key[0] != "learning rate" or any(each[key] for each in largest))
    ]
    rows = [(_called(*key), *(f"{each[key]:.1e}" for each in largest), _tolerated(*key)) for key in shown]
    return markdown(("what", *(each["environment"] for each in found), "tolerated"), rows)


def cost() -> str:
    """What writing the trace costs a study, in processor seconds, and as a share of its stages and of all."""
    found = json.loads(COST.read_text(encoding="utf-8"))
    names = list(next(iter(found.values())))
    parts = [what for what in names if what not in (STAGES, PREDICTIONS, WHOLE)]
    of_stages = [what for what in parts if what.startswith("stages: ")]
    body = [(what, *(f"{study[what]:.2f}" for study in found.values())) for what in names]
    shares = [
        (title, *(f"{sum(study[what] for what in some) / study[of]:.2%}" for study in found.values()))
        for title, some, of in (
            ("the trace's share of the stages", of_stages, STAGES),
            ("the trace's share of the study", parts, WHOLE),
        )
    ]
    return markdown(("processor seconds", *(f"`{name}`" for name in found)), [*body, *shares])


def gate() -> str:
    """How long the gate of a pull request takes on two cores."""
    found = json.loads(GATE.read_text(encoding="utf-8"))["commands"]
    return markdown(
        ("on `phantom-small`", "seconds", "processor seconds"),
        [
            (f"`{name}`", f"{row['seconds']:.0f}", f"{row['processor seconds']:.0f}")
            for name, row in found.items()
        ],
    )


def _tolerated(what: str, stage: str, step: int | None) -> str:
    """Return what is tolerated between machines in float32, or that it is not judged."""
    first = stage == "first"
    by_step = {
        ("loss", True): FLOAT32.losses,
        ("loss", False): FLOAT32.later_losses,
        ("gradient norm", True): FLOAT32.gradients,
    }.get((what, first), ())
    if step is not None:
        return f"{by_step[step]:.0e}" if step < len(by_step) else "not judged"
    if "inputs" in what:
        return f"{FLOAT32.inputs:.0e}"
    if "reference" in what:
        return f"{FLOAT32.reference:.0e}"
    if first or "heads" in what:
        return f"{FLOAT32.start:.0e}"
    return f"{FLOAT32.later_trunk if 'trunk' in what else FLOAT32.later_logits:.0e}"


def faults() -> str:
    """What was seen of each fault on the quick profile."""
    return faults_table(read(FAULTS))


def faults_of_phantom() -> str:
    """What was seen of each fault on the default profile."""
    return faults_table(read(FAULTS_OF_PHANTOM))


def named() -> str:
    """The first place at which the trace parts, of each fault on the quick profile."""
    rows = [(row.fault, row.named) for row in read(FAULTS).rows if not row.control]
    return markdown(("fault", "the first place where the traces part"), rows, cells="left")


def _called(what: str, stage: str, step: int | None) -> str:
    where = "" if stage == "prediction" else f", {stage} stage of a chain"
    return f"{what}{'' if step is None else f' of step {step}'}{where}"
