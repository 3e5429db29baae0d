"""How two studies differ in what they were made from, field by field."""

from __future__ import annotations

from collections.abc import Iterator

from cxrbench.study.results import Results

_SHOWN = 12
"""How much of a hash is shown."""


def differences(now: Results, before: Results) -> list[str]:
    """Return a note for each field of profile and data in which a study is not its baseline.

    Any of them moves an AUC as a fault does; whether it was meant, the reader knows. What only one side has
    (a role, a stage, a scheme) is not in it.
    """
    return [f"{what}: {a} now, {b} in the baseline" for what, a, b in fields(now, before) if a != b]


def fields(now: Results, before: Results) -> Iterator[tuple[str, object, object]]:
    """Yield (what, now, before) of every field in which two studies may differ."""
    yield "training seeds", list(now.seeds), list(before.seeds)
    for name in ("network", "init", "image_size", "gate_margin", "calibrated"):
        yield name, getattr(now, name), getattr(before, name)
    for stage in sorted(set(now.training) & set(before.training)):
        a, b = now.training[stage], before.training[stage]
        for name in sorted(set(a) | set(b)):
            yield f"stage {stage!r}, {name}", a.get(name, "none"), b.get(name, "none")
    for role in sorted(set(now.roles) & set(before.roles)):
        old, new = before.roles[role], now.roles[role]
        yield f"role {role!r}, data set", new.dataset, old.dataset
        yield f"role {role!r}, images", new.images, old.images
        yield f"role {role!r}, labels", list(new.labels), list(old.labels)
        yield f"role {role!r}, split", new.split_hash[:_SHOWN], old.split_hash[:_SHOWN]
        yield f"role {role!r}, packed images", new.pack_key[:_SHOWN], old.pack_key[:_SHOWN]
    for scheme in (name for name in before.names if name in now.names):
        yield f"scheme {scheme!r}, target", str(now.scheme(scheme).target), str(before.scheme(scheme).target)
