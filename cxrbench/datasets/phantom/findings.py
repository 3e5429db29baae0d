"""The findings: what each does to the lungs, in proportion to its severity.

A finding either clouds the lung (``cloud``: the share of the air that is lost, 0..1), or clears it, or adds
attenuation of its own. Places are drawn per patient; images of one patient show a finding at the same place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cxrbench.datasets.phantom.anatomy import Chest, Frame
from cxrbench.datasets.phantom.fields import Parameters, bump, dome, line, smooth_noise, step
from cxrbench.datasets.phantom.keys import Draws, Floats
from cxrbench.datasets.phantom.latents import COVID, DRAWN

_PLACED = ("Infiltration", "Mass", "Nodule", "Pneumonia", "Consolidation", "Atelectasis")


def draw_places(draws: Draws) -> dict[str, Floats]:
    """Return where every image's findings would lie, name -> (n,): a side, a depth, a height, an extent.

    ``right`` and ``left`` weigh the two sides: one is 1, the other 0 for one-sided findings.
    """
    out: dict[str, Floats] = {}
    other_side = {"Infiltration": 0.45, "Pneumonia": 0.12, "Consolidation": 0.15, "Effusion": 0.3}
    for name in (*_PLACED, "Effusion", "Pneumothorax", "Pleural_Thickening"):
        side = draws.shared_uniform(f"{name}/side")
        both = draws.shared_uniform(f"{name}/both") < other_side.get(name, 0.0)
        lesser = both * draws.shared_uniform(f"{name}/lesser", 0.3, 0.9)
        out[f"{name}/right"] = np.where(side < 0.5, lesser, 1.0)
        out[f"{name}/left"] = np.where(side < 0.5, 1.0, lesser)
    for name in _PLACED:
        out[f"{name}/rho"] = draws.shared_uniform(f"{name}/rho", 0.38, 0.82) + draws.own(
            f"{name}/rho", 0, 0.02
        )
        out[f"{name}/t"] = draws.shared_uniform(f"{name}/t", 0.25, 0.92) + draws.own(f"{name}/t", 0, 0.02)
        out[f"{name}/extent"] = np.exp2(draws.shared(f"{name}/extent", 0.0, 0.35))
    out["Fibrosis/upper"] = (draws.shared_uniform("Fibrosis/upper") < 0.2).astype(float)
    for side_name in ("right", "left"):
        out[f"{COVID}/{side_name}"] = draws.shared_uniform(f"{COVID}/{side_name}", 0.6, 1.0)
    out[f"{COVID}/reach"] = draws.shared(f"{COVID}/reach", 0.0, 0.08)
    out[f"{COVID}/rise"] = draws.shared(f"{COVID}/rise", 0.0, 0.10)
    return out


@dataclass(frozen=True)
class Lesion:
    """What one finding does to the images that have it, (n, size, size) or None for nothing.

    ``cloud``: share of the air lost. ``added``: attenuation added. ``clearing``: share of vessels lost, with
    air in their place (the empty space next to a collapsed lung).
    """

    cloud: Tensor | None = None
    added: Tensor | None = None
    clearing: Tensor | None = None


@dataclass(frozen=True)
class Scene:
    """What a finding may look at: the images that have it, n of them."""

    f: Frame
    lung: Tensor
    p: Parameters
    patient: Tensor
    severity: Tensor

    def sided(self, name: str) -> Tensor:
        """Return the weight of each pixel's side for the finding ``name``."""
        return self.f.sided(self.p[f"{name}/right"], self.p[f"{name}/left"])

    def noise(self, name: str, cells: int) -> Tensor:
        """Return smooth noise of the finding's own, about ``cells`` bumps across."""
        return smooth_noise(self.patient, f"{name}/{cells}", cells, self.f.x.shape[-1])

    def ball(self, name: str, radius: float, aspect: float = 1.0) -> Tensor:
        """Return the squared distance, in radii, from the finding's place in its lung."""
        extent = self.p[f"{name}/extent"] * radius
        # A lung is about 0.66 wide and 1.3 high; what would lie below the domes is lifted above them.
        above = torch.minimum(self.p["dome_r"], self.p["dome_l"]) - 0.06
        height = torch.minimum(self.p[f"{name}/t"] * 1.30 - 0.72, above)
        dx = (self.f.a - self.p[f"{name}/rho"] * 0.66) / extent
        dy = (self.f.y - height) / (extent * aspect)
        return dx * dx + dy * dy


def _patches(s: Scene, name: str, threshold: float | Tensor) -> Tensor:
    """Return patchy, ill-defined density in 0..1: the texture that all parenchymal opacities share."""
    lumps = s.noise(name, 8) * 0.55 + s.noise(name, 17) * 0.45
    grain = s.noise(name, 40)
    return step((lumps - threshold) * 3.2 + 0.5) * (grain * 0.45 + 0.75)


def _pneumonia(s: Scene) -> Lesion:
    name = "Pneumonia"
    focus = step(bump(s.ball(name, 0.36, 1.1)) * 1.6)
    cloud = focus * _patches(s, name, 0.38) * s.sided(name)
    return Lesion(cloud=cloud * s.severity * 0.72)


def _consolidation(s: Scene) -> Lesion:
    name = "Consolidation"
    wobble = (s.noise(name, 12) - 0.5) * 0.9
    focus = step((1.0 - s.ball(name, 0.33, 0.9) + wobble) * 2.0)
    # Air bronchograms: dark branches in a white lobe.
    branches = step((s.noise(name, 26) - 0.62) * 6.0) * 0.35
    return Lesion(cloud=focus * (1.0 - branches) * s.sided(name) * s.severity * 0.88)


def _infiltration(s: Scene) -> Lesion:
    name = "Infiltration"
    focus = step(bump(s.ball(name, 0.55, 1.2)) * 1.5)
    cloud = focus * _patches(s, name, 0.47) * s.sided(name)
    return Lesion(cloud=cloud * s.severity * 0.68)


def _covid(s: Scene) -> Lesion:
    f = s.f
    periphery = step((f.rho - 0.32 - s.p[f"{COVID}/reach"]) * 2.4)
    base = step((f.t - 0.25 - s.p[f"{COVID}/rise"]) * 2.4)
    cloud = periphery * base * _patches(s, COVID, 0.56 - 0.22 * s.severity) * s.sided(COVID)
    return Lesion(cloud=cloud * s.severity * 0.74)


def _edema(s: Scene) -> Lesion:
    f = s.f
    dx, dy = f.a * 2.1, (f.y - s.p["hilum_y"] - 0.1) * 1.7
    wings = step(bump((dx * dx + dy * dy) * 0.55) * 1.4)
    cloud = wings * (s.noise("Edema", 8) * 0.5 + s.noise("Edema", 24) * 0.5 + 0.45)
    # Kerley B lines: short, level, at the lower edge of the lungs.
    stripes = (s.noise("Edema", 40) - 0.5) * 0.3 + f.y * 22.0
    stripes = line(stripes - (stripes + 0.5).floor(), 0.22, f.pixel * 11.0)
    kerley = stripes * step((f.rho - 0.78) * 8.0) * step((f.t - 0.6) * 6.0) * 0.12
    return Lesion(cloud=cloud * s.severity * 0.55, added=kerley * s.severity * s.lung)


def _effusion(s: Scene) -> Lesion:
    f = s.f
    # The meniscus climbs towards the chest wall and rises with the amount of fluid.
    level = 0.98 - s.severity * s.sided("Effusion") * 0.42
    meniscus = f.rho * f.rho * 0.12
    fluid = step((f.t - level + meniscus) * 9.0 + 0.3) * (s.sided("Effusion") * 8.0 * s.severity).clamp(
        max=1.0
    )
    return Lesion(cloud=fluid * 0.92)


def _atelectasis(s: Scene) -> Lesion:
    name = "Atelectasis"
    f = s.f
    # Plates of collapsed lung at the base, nearly level.
    height = s.p[f"{name}/t"] * 0.5 - 0.05
    slant = (f.a - 0.3) * (s.p[f"{name}/extent"] - 1.0) * 0.5
    d = f.y - height - slant + (s.noise(name, 9) - 0.5) * 0.08
    plate = line(d, 0.045, f.pixel) + line(d - 0.12, 0.025, f.pixel) * 0.6
    across = f.a - s.p[f"{name}/rho"] * 0.62
    span = bump(across * across * 9.0)
    basal = step((f.t - 0.70) * 3.0) * 0.45
    amount = s.sided(name) * s.severity
    return Lesion(cloud=(plate * span + basal) * amount * 0.85, added=plate * span * amount * s.lung * 0.3)


def _nodule(s: Scene) -> Lesion:
    q = s.ball("Nodule", 0.055)
    return Lesion(added=dome(q) * s.sided("Nodule") * s.severity * 0.9 * (s.lung * 0.5 + 0.5))


def _mass(s: Scene) -> Lesion:
    q = s.ball("Mass", 0.16) + (s.noise("Mass", 14) - 0.5) * 0.5
    return Lesion(added=step(dome(q) * 1.4) * s.sided("Mass") * s.severity * 1.1 * (s.lung * 0.5 + 0.5))


def _pneumothorax(s: Scene) -> Lesion:
    f = s.f
    # The lung falls away from the wall, most at the apex.
    depth = s.severity * 0.42 * (1.3 - f.t.clamp(0.0, 1.0)) * s.sided("Pneumothorax")
    rim = f.rho - (1.0 - depth) + (0.25 - f.t).clamp(0.0, 0.3) * -0.4 * s.severity
    present = (s.sided("Pneumothorax") * 10.0 * s.severity).clamp(max=1.0)
    empty = step(rim * 16.0) * present
    pleura = line(rim, 0.018, f.pixel) * 0.4 * present * s.lung
    return Lesion(clearing=empty, added=pleura)


def _emphysema(s: Scene) -> Lesion:
    upper = step((0.75 - s.f.t) * 1.5) * step((s.noise("Emphysema", 7) - 0.35) * 3.0)
    return Lesion(clearing=upper * s.severity * 0.6)


def _fibrosis(s: Scene) -> Lesion:
    f = s.f
    mesh = (s.noise("Fibrosis", 30) - 0.5).abs() + (s.noise("Fibrosis", 44) - 0.5).abs()
    net = step((0.26 - mesh) * 7.0)
    height = step((f.t - 0.35) * 2.2)
    height = height + s.p["Fibrosis/upper"] * (step((0.5 - f.t) * 3.0) - height)
    where = height * step((f.rho - 0.3) * 2.0)
    return Lesion(cloud=where * s.severity * 0.25, added=net * where * s.severity * 0.6 * s.lung)


def _pleural_thickening(s: Scene) -> Lesion:
    f = s.f
    name = "Pleural_Thickening"
    band = step((f.rho - 0.97 + s.severity * 0.10 + (s.noise(name, 9) - 0.5) * 0.07) * 22.0)
    cap = step((0.12 - f.t) * 12.0)
    rind = (band + cap * 0.6).clamp(max=1.0) * s.sided(name) * step((f.t + 0.02) * 20.0)
    present = (s.severity * 4.0).clamp(max=1.0)
    return Lesion(cloud=rind * present * 0.6, added=rind * s.severity * 0.4)


def _hernia(s: Scene) -> Lesion:
    f = s.f
    dx, dy = (f.x - 0.05) * 5.6, (f.y - s.p["dome_l"] + 0.04) * 6.2
    q = dx * dx + dy * dy
    bubble = step(dome(q) * 3.0) * step((s.p["dome_l"] - 0.06 - f.y) * 30.0)
    return Lesion(added=(step(dome(q) * 2.0) * 1.0 - bubble * 0.5) * s.severity)


def _shape_only(_: Scene) -> Lesion:
    """Cardiomegaly changes the heart's measures, in ``draw_anatomy``."""
    return Lesion()


DRAW: Mapping[str, Callable[[Scene], Lesion]] = {
    "Atelectasis": _atelectasis,
    "Cardiomegaly": _shape_only,
    "Effusion": _effusion,
    "Infiltration": _infiltration,
    "Mass": _mass,
    "Nodule": _nodule,
    "Pneumonia": _pneumonia,
    "Pneumothorax": _pneumothorax,
    "Consolidation": _consolidation,
    "Edema": _edema,
    "Emphysema": _emphysema,
    "Fibrosis": _fibrosis,
    "Pleural_Thickening": _pleural_thickening,
    "Hernia": _hernia,
    COVID: _covid,
}
"""How each finding is drawn, by name."""


def present(severity: npt.NDArray[np.float32], device: torch.device) -> list[tuple[str, Tensor, Tensor]]:
    """Return each finding that any image has: its name, those images' rows, and how severe it is there.

    severity: (n, 15), a column each of ``DRAWN``. All that is returned goes to the device at once, since each
    transfer makes the host wait for what it has asked for before.
    """
    columns, rows = np.nonzero(severity.T > 0)
    counts = np.bincount(columns, minlength=len(DRAWN)).tolist()
    index = torch.from_numpy(rows).to(device).split_with_sizes(counts)
    amount = torch.from_numpy(severity[rows, columns].astype(np.float32)).to(device).split_with_sizes(counts)
    return [found for found in zip(DRAWN, index, amount, strict=True) if len(found[1])]


def attenuation(
    f: Frame,
    chest: Chest,
    p: Parameters,
    patient: Tensor,
    findings: Sequence[tuple[str, Tensor, Tensor]],
    air_weight: float,
) -> Tensor:
    """Return the attenuation of n chests with their findings, (n, size, size).

    Parameters
    ----------
    findings: of :func:`present`.
    air_weight: attenuation that a fully aerated lung takes away.
    """
    clear = torch.ones_like(f.x)
    added = torch.zeros_like(f.x)
    kept = torch.ones_like(f.x)
    for name, index, amount in findings:
        scene = Scene(
            f.take(index),
            chest.lung.index_select(0, index),
            p.take(index),
            patient.index_select(1, index),
            amount.view(-1, 1, 1),
        )
        lesion = DRAW[name](scene)
        if lesion.cloud is not None:
            share = (1.0 - lesion.cloud).clamp_(0.03, 1.0)
            clear.index_copy_(0, index, clear.index_select(0, index) * share)
        if lesion.added is not None:
            added.index_copy_(0, index, added.index_select(0, index) + lesion.added)
        if lesion.clearing is not None:
            kept.index_copy_(0, index, kept.index_select(0, index) * (1.0 - lesion.clearing))
    air = chest.air * clear * ((1.0 - kept) * 0.2 + 1.0)
    return chest.solid + added - air * air_weight + chest.vessels * chest.lung * kept * (clear * 0.7 + 0.3)
