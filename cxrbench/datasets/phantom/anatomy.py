"""The healthy frontal chest: where the lungs, heart, bones and vessels lie and how much each attenuates.

Coordinates: the image spans -1..1, x to the right (the patient's left), y downwards. Attenuation is
the exponent of Beer-Lambert's law: about 4.5 through the mediastinum, 2 through a lung.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cxrbench.datasets.phantom.config import ImagingConfig
from cxrbench.datasets.phantom.fields import Parameters, bump, dome, line, sawtooth, smooth_noise, step
from cxrbench.datasets.phantom.keys import Draws, Floats
from cxrbench.datasets.phantom.latents import DRAWN, Latents

AIR = 2.7
"""Attenuation that a fully aerated lung takes away from the body's."""


def draw_anatomy(draws: Draws, latents: Latents, imaging: ImagingConfig) -> dict[str, Floats]:
    """Return the measures of every image's chest, name -> (n,).

    Findings that change shapes (a large heart, flat diaphragms) do so here, in proportion to their severity.
    """
    v, pose = imaging.anatomy_variation, imaging.pose_variation
    ap, female = latents.ap.astype(float), latents.female.astype(float)
    sick = {name: latents.severity[:, i].astype(float) for i, name in enumerate(DRAWN)}
    age = (latents.age.astype(float) - 50.0) / 30.0
    shared, own = draws.shared, draws.own

    habitus = shared("habitus", 0.0, v)
    inspiration = own("inspiration", 0.0, 0.035 * pose) + shared("lung volume", 0.0, 0.05 * v) + 0.08 * ap
    collapse = 0.07 * sick["Atelectasis"]
    hyperinflation = sick["Emphysema"]
    left_sided = draws.shared_uniform("Atelectasis/side") < 0.5
    out = {
        "rotation": own("rotation", 0.0, 0.035 * pose),
        "shift_x": own("shift x", 0.0, 0.05 * pose),
        "shift_y": own("shift y", 0.0, 0.06 * pose) + 0.02 * ap,
        "zoom": 0.92 + own("zoom", 0.0, 0.05 * pose) + shared("stature", 0.0, 0.05 * v),
        "stretch": 1.0 + shared("stretch", 0.0, 0.05 * v),
        "turn": own("turn", 0.0, 0.025 * pose) * (1 + ap),
        "spine_curve": shared("spine curve", 0.0, 0.02 * v),
        "spine_width": shared("spine width", 0.1, 0.008 * v),
        "bone": imaging.rib_contrast * (1.0 - 0.15 * female - 0.12 * age + shared("bone", 0.0, 0.15 * v)),
        "apex": shared("apex", -0.74, 0.03 * v),
        "base": 0.70 + shared("base", 0.0, 0.03 * v) - 0.6 * inspiration + 0.08 * hyperinflation,
        "width_r": shared("lung width r", 0.75, 0.03 * v) + 0.02 * hyperinflation - 0.02 * female,
        "width_l": shared("lung width l", 0.73, 0.03 * v) + 0.02 * hyperinflation - 0.02 * female,
        "taper": shared("taper", 0.26, 0.05 * v),
        "dome_r": 0.42 + shared("dome r", 0.0, 0.025 * v) - inspiration + 0.1 * hyperinflation,
        "dome_l": 0.46 + shared("dome l", 0.0, 0.025 * v) - inspiration + 0.1 * hyperinflation,
        "dome_curve": (shared("dome curve", 1.25, 0.2 * v)) * (1.0 - 0.7 * hyperinflation),
        "dome_axis": shared("dome axis", 0.34, 0.03 * v),
        "density": shared("lung density", 1.0, 0.05 * v) * (1.0 + 0.22 * hyperinflation),
        "body": 1.0 + 0.06 * habitus,
        "thickness": 1.0 + 0.09 * habitus + 0.05 * ap,
        "shoulder": shared("shoulder", -0.92, 0.05 * v) - 0.05 * ap,
        "shoulder_slope": shared("shoulder slope", 0.22, 0.06 * v),
        "neck": 0.25 + 0.02 * habitus,
        "arm": draws.own_uniform("arm", -0.1, 0.2) + 0.1 * ap,
        "heart_x": shared("heart x", 0.115, 0.02 * v),
        "heart_y": 0.25 + shared("heart y", 0.0, 0.02 * v) - 0.6 * inspiration,
        "heart_w": (shared("heart w", 0.345, 0.028 * v) + 0.015 * age)
        * (1.0 + 0.13 * ap + 0.42 * sick["Cardiomegaly"] + 0.12 * sick["Edema"] - 0.14 * hyperinflation),
        "heart_h": shared("heart h", 0.29, 0.02 * v) * (1.0 + 0.06 * ap + 0.16 * sick["Cardiomegaly"]),
        "heart_tilt": shared("heart tilt", 0.30, 0.08 * v),
        "mediastinum": (shared("mediastinum", 0.115, 0.012 * v) + 0.01 * age) * (1.0 + 0.15 * ap),
        "knob_y": shared("aortic knob y", -0.30, 0.025 * v),
        "knob_size": shared("aortic knob", 0.085, 0.012 * v) + 0.012 * age,
        "rib_pitch": shared("rib pitch", 0.150, 0.008 * v),
        "rib_phase": shared("rib phase", 0.0, 0.3 * v),
        "rib_drop": shared("rib drop", 0.48, 0.08 * v),
        "rib_width": shared("rib width", 0.21, 0.02 * v),
        "anterior_pitch": shared("anterior pitch", 0.185, 0.012 * v),
        "anterior_phase": shared("anterior phase", 0.0, 0.3 * v),
        "anterior_slope": shared("anterior slope", 0.75, 0.12 * v) - 0.2 * ap,
        "clavicle_y": shared("clavicle y", -0.57, 0.03 * v) - 0.09 * ap + own("clavicle", 0.0, 0.03 * pose),
        "clavicle_rise": shared("clavicle rise", 0.27, 0.07 * v) - 0.05 * ap,
        "scapula": 0.62 + 0.12 * (1.0 - ap) + own("scapula", 0.0, 0.05 * pose),
        "scapula_amount": 0.10 + 0.2 * ap,
        "hilum_y": shared("hilum y", -0.10, 0.03 * v) - 0.3 * inspiration,
        "hilum_size": shared("hilum", 1.0, 0.15 * v) + 0.3 * sick["Edema"],
        "vessels": imaging.vessel_contrast
        * (shared("vessels", 1.0, 0.15 * v) + 0.5 * sick["Edema"] - 0.55 * hyperinflation + 0.12 * ap),
        "vessel_phase_r": draws.shared_uniform("vessel phase r"),
        "vessel_phase_l": draws.shared_uniform("vessel phase l"),
        "mottle": imaging.mottle * (shared("mottle", 1.0, 0.25 * v)),
        "breast": female * (shared("breast", 0.5, 0.18 * v)).clip(0.0) + 0.05 * habitus.clip(0.0),
        "breast_y": shared("breast y", 0.30, 0.08 * v),
        "breast_x": shared("breast x", 0.47, 0.04 * v),
        "gas": (draws.own_uniform("gas") < 0.55) * draws.own_uniform("gas amount", 0.3, 1.0),
        "gas_x": own("gas x", 0.36, 0.06),
    }
    out["dome_r"] = out["dome_r"] - collapse * ~left_sided
    out["dome_l"] = out["dome_l"] - collapse * left_sided
    return out


@dataclass(frozen=True)
class Frame:
    """Where every pixel lies in the patient: fields of (n, size, size).

    ``x``, ``y``: coordinates of the patient. ``a``: distance from the spine. ``left``: 1 in the patient's
    left half, 0 in the right. ``rho``: 0 at the midline, 1 at the pleura. ``t``: 0 at the apex, 1 at the
    base. ``pixel``: width of a pixel.
    """

    x: Tensor
    y: Tensor
    a: Tensor
    left: Tensor
    rho: Tensor
    t: Tensor
    pixel: float

    def take(self, index: Tensor) -> Frame:
        """Return the frame of the images at ``index``."""
        x, y, a, left, rho, t = (
            field.index_select(0, index) for field in (self.x, self.y, self.a, self.left, self.rho, self.t)
        )
        return Frame(x, y, a, left, rho, t, self.pixel)

    def sided(self, right: Tensor, left: Tensor) -> Tensor:
        """Return ``right`` in the patient's right half and ``left`` in the left."""
        return (self.left * (left - right)).add_(right)


def make_frame(p: Parameters, size: int, device: torch.device) -> Frame:
    """Return the coordinates of (n, size, size) pixels after rotation, shift, scale and the spine's curve."""
    axis = ((torch.arange(size, device=device).double() + 0.5) * (2.0 / size) - 1.0).float()
    u, v = axis.view(1, 1, -1), axis.view(1, -1, 1)
    x = (u + v * p["rotation"]) * (p["zoom"] * p["stretch"]) + p["shift_x"]
    y = (v - u * p["rotation"]) * p["zoom"] + p["shift_y"]
    from_spine = x - p["spine_curve"] * (1.0 - (y * y) * 2.0)
    a = from_spine.abs()
    left = (from_spine * 1e6).add_(0.5).clamp_(0.0, 1.0)
    t = (y - p["apex"]) / (p["base"] - p["apex"])
    up = (1.0 - t).clamp_(0.0, 1.0)
    up2 = up * up
    half = (left * (p["width_l"] - p["width_r"]) + p["width_r"]) * (1.0 - p["taper"] * up)
    half = (half * dome(up2 * up2 * up2)).clamp_(min=1e-3)
    return Frame(x, y, a, left, a / half, t, 2.0 / size)


@dataclass(frozen=True)
class Chest:
    """The healthy chest, (n, size, size) each.

    ``air``: 0..1, the air along the ray. ``lung``: 0..1, inside a lung (heart and dome cut out).
    ``solid``: attenuation of all but the lungs' air. ``vessels``: attenuation of the lungs' vessels.
    """

    air: Tensor
    lung: Tensor
    solid: Tensor
    vessels: Tensor


def make_chest(f: Frame, p: Parameters, patient: Tensor, image: Tensor) -> Chest:
    """Return the chest of n patients.

    Parameters
    ----------
    patient, image: (2, n) int32 key halves, for textures shared by a patient's images and each image's own.
    """
    size = f.x.shape[-1]
    coarse = smooth_noise(patient, "anatomy/coarse", 9, size)
    fine = smooth_noise(patient, "anatomy/fine", 34, size)
    heart = _heart(f, p)
    air, lung = _lungs(f, p, heart)
    solid = _soft_tissue(f, p, lung, heart, coarse)
    solid += _bones(f, p, coarse) * p["bone"]
    lace = smooth_noise(image, "anatomy/lace", 60, size).sub_(0.5)
    mottle = lace.add_(fine - 0.5).mul_(p["mottle"])
    solid += mottle * 0.10
    vessels = _vessels(f, p, coarse, fine) * p["vessels"]
    vessels += mottle * (0.28 * p["vessels"])
    return Chest(air=air, lung=lung, solid=solid, vessels=vessels)


def _heart(f: Frame, p: Parameters) -> Tensor:
    """Return the heart's thickness, 1 at its middle: an ellipse with its axis towards the left base."""
    dx, dy = f.x - p["heart_x"] - p["turn"], f.y - p["heart_y"]
    along = dx - dy * p["heart_tilt"] * 0.4
    across = dy - dx * p["heart_tilt"]
    along, across = along / p["heart_w"], across / p["heart_h"]
    return dome(along * along + across * across)


def _lungs(f: Frame, p: Parameters, heart: Tensor) -> tuple[Tensor, Tensor]:
    below = f.a - p["dome_axis"]
    surface = f.sided(p["dome_r"], p["dome_l"]) + below * below * p["dome_curve"]
    above_dome = step((surface - f.y) * 28.0 + 0.5)
    # The sulcus behind the dome: a little air remains visible below its top.
    above_dome = above_dome * 0.9 + step((surface + 0.12 - f.y) * 8.0) * 0.1
    # The mediastinum: narrow at the trachea, wide at the aortic knob and the great vessels.
    knob_y, knob_x = f.y - p["knob_y"], f.x - p["mediastinum"] * 0.75 - p["turn"]
    knob = dome((knob_y * knob_y + knob_x * knob_x) / (p["knob_size"] * p["knob_size"]))
    border = (
        p["mediastinum"] + step((f.y + 0.42) * 2.6) * (0.055 + f.left * 0.03) + f.sided(-p["turn"], p["turn"])
    )
    beside = step((f.a - border) * 11.0 + 0.3)
    inside = dome(f.rho * f.rho) * step(f.t * 12.0)
    silhouette = (heart * 1.6).clamp_(max=1.0)
    lung = above_dome * beside * (1.0 - silhouette * 0.8) * (1.0 - knob * 0.7)
    air = lung * inside * (f.t.clamp(0.0, 1.0) * 0.18 + 0.82) * p["density"]
    lung = lung * step((1.0 - f.rho) * 14.0) * step(f.t * 12.0)
    return air, lung


def _soft_tissue(f: Frame, p: Parameters, lung: Tensor, heart: Tensor, coarse: Tensor) -> Tensor:
    low = step(f.y * 1.2 - 0.1)
    shoulders = step((-0.05 - f.y) * 1.8)
    half = p["body"] + shoulders * 0.8 - low * 0.02
    body = dome((f.a / half) * (f.a / half))
    neck = step((p["neck"] - f.a) * 12.0)
    top = step((f.y - p["shoulder"] - (f.a - 0.2) * p["shoulder_slope"]) * 5.0 + 0.3)
    body = body * (neck * (1.0 - top) * 0.85 + top)
    upper = step((f.y + 1.05) * 1.6)
    body = body * (upper * 0.25 + 0.75) * (1.0 + low * 0.06)
    outer = (f.a - 1.16 - p["arm"]) * 6.0
    arm = dome(outer * outer) * step((f.y + 0.5) * 4.0)
    humerus = bump(outer * outer * 6.0)
    solid = (body * 4.3 + arm * 1.6 + humerus * arm * 0.7) * p["thickness"]
    solid += heart * 0.38
    # Breasts: a soft disc with a lower edge.
    bx, by = (f.a - p["breast_x"]) * 3.0, (f.y - p["breast_y"]) * 2.9
    below = by.clamp(min=0.0) * 0.35
    solid += dome(bx * bx + by * by + below) * p["breast"]
    # Abdomen below the domes: bowel and stomach, with gas under the left dome.
    gx, gy = (f.x - p["gas_x"]) * 5.5, (f.y - p["dome_l"] - 0.15) * 9.0
    gas = step(bump(gx * gx + gy * gy) * 2.0) * p["gas"]
    solid -= gas * (1.0 - lung) * 0.9
    solid += (coarse - 0.5) * low * 0.35
    # Trachea and main bronchi.
    tx = f.x - 0.012 - p["turn"] * 0.6
    windpipe = step((0.060 - tx.abs()) * 26.0) * step((-0.22 - f.y) * 8.0)
    drop = f.y + 0.24
    bronchi = (
        line(f.a - drop * 0.75 - 0.015, 0.028, f.pixel) * step(drop * 14.0) * step((0.05 - drop) * 8.0 + 0.6)
    )
    solid -= windpipe * 0.42 + bronchi * 0.25
    return solid


def _bones(f: Frame, p: Parameters, coarse: Tensor) -> Tensor:
    """Return the attenuation of ribs, spine, clavicles and shoulder blades."""
    wall = step((1.07 - f.rho) * 14.0)
    level = step((f.t + 0.08) * 10.0) * (step((1.12 - f.t) * 3.5) * 0.75 + 0.25)
    wobble = (coarse - 0.5) * 0.14
    # Posterior ribs: nearly level at the spine, falling towards the side; closer together at the top.
    fall = f.a * f.a * p["rib_drop"] - f.a * 0.16
    squeeze = f.y * f.y * 0.10
    d = sawtooth((f.y + squeeze - fall) / p["rib_pitch"] + p["rib_phase"] + wobble)
    posterior = _rib(d, p["rib_width"]) * step((f.a - 0.05) * 20.0) * wall * level
    # Anterior ribs: falling towards the middle, ending in cartilage.
    rise = f.a * p["anterior_slope"] - f.a * f.a * 0.35
    d = sawtooth((f.y + rise) / p["anterior_pitch"] + p["anterior_phase"] - wobble)
    ends = step((f.a - 0.24) * 4.0) * step((f.t - 0.12) * 5.0)
    anterior = _rib(d, p["rib_width"] * 1.15) * ends * wall * level
    # Ribs seen along their length where the chest wall turns.
    edge = line(f.rho - 1.045, 0.06, f.pixel) * level
    bones = posterior * 0.50 + anterior * 0.36 + edge * 0.35
    # Vertebrae and their discs; less to see behind the heart.
    across = f.a / p["spine_width"]
    column = step((1.0 - across) * 5.0)
    disc = sawtooth(f.y / (p["rib_pitch"] * 0.92) + p["rib_phase"])
    discs = step((disc.abs() - 0.36) * 10.0)
    pedicles = line(across - 0.55, 0.25, f.pixel) * step((0.2 - disc.abs()) * 8.0)
    bones += column * (0.6 - discs * 0.3) + pedicles * column * 0.25
    # Clavicles: a shallow S from the manubrium to the shoulder.
    inner = f.a - 0.42
    course = p["clavicle_y"] - (f.a - 0.1) * p["clavicle_rise"] + inner * inner * inner * 0.35
    d = (f.y - course - f.sided(-p["turn"], p["turn"]) * 0.6) * (1.0 / 0.034)
    shaft = step((f.a - 0.07) * 22.0) * step((0.86 - f.a) * 12.0)
    edges = (d * d).clamp_(0.0, 1.0)
    bones += step((1.0 - d.abs()) * 3.0) * shaft * (edges * 0.45 + 0.55)
    # Shoulder blades: their inner edge is turned off the lungs in PA films.
    blade = f.a - p["scapula"] - (f.y + 0.35) * 0.22
    height = step((f.y + 0.78) * 6.0) * step((0.08 - f.y - blade * 1.2) * 6.0)
    bones += (step(blade * 25.0) * 0.5 + line(blade - 0.02, 0.025, f.pixel)) * height * p["scapula_amount"]
    # Humeral head and acromion region.
    hx, hy = (f.a - 1.02) * 5.0, (f.y + 0.62) * 5.0
    bones += dome(hx * hx + hy * hy) * 0.55
    return bones


def _rib(d: Tensor, width: Tensor) -> Tensor:
    """Return the profile of a rib: a flat tube, denser at its two edges."""
    inside = step((width - d.abs()) * 9.0 + 0.5)
    across = d / width
    return inside * ((across * across).clamp_(max=1.2) * 0.55 + 0.45)


def _vessels(f: Frame, p: Parameters, coarse: Tensor, fine: Tensor) -> Tensor:
    """Return vessels that leave the hila like spokes, bend, and part into more, thinner and fainter ones."""
    dx = f.a - 0.16
    dy = f.y - p["hilum_y"] + f.left * 0.04
    r2 = dx * dx + dy * dy
    r = r2.sqrt().add_(1e-3)
    angle = dy / (dx.abs() + dy.abs() + 1e-3) + f.sided(p["vessel_phase_r"], p["vessel_phase_l"])
    bend = (coarse - 0.5) * 0.42 + (fine - 0.5) * 0.07
    reach = step((0.75 - r) * 1.6)
    total = torch.zeros_like(r)
    for spokes, start, width, weight in (
        (4.0, 0.0, 0.017, 0.42),
        (9.0, 0.16, 0.0105, 0.30),
        (19.0, 0.30, 0.007, 0.2),
    ):
        d = sawtooth((angle + bend) * spokes) * r * (1.0 / spokes)
        taper = (1.15 - r).clamp_(min=0.2) * width
        shown = step((r - start) * 8.0 + 0.3) * step((coarse + fine - 0.75) * 3.0)
        total += line(d, taper, f.pixel * 0.9) * shown * weight
    hilum = bump(r2 * 48.0) * (0.6 + fine * 0.8) * 0.42 * p["hilum_size"]
    return (total * reach + hilum) * (1.0 - f.rho * 0.35).clamp_(min=0.0)
