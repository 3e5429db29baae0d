"""From attenuation to grey values: Beer-Lambert, scatter, quantum noise, window, devices, markers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cxrbench.datasets.phantom.anatomy import Frame
from cxrbench.datasets.phantom.config import ImagingConfig
from cxrbench.datasets.phantom.fields import Parameters, bump, line, step, white_noise
from cxrbench.datasets.phantom.keys import Draws, Floats
from cxrbench.datasets.phantom.latents import Latents

_COARSE = 32

# Site: offset of the window's centre, factor on its width, factor on the noise, scatter.
_SITE_CENTRE = np.array([0.0, 0.10, -0.08])
_SITE_WIDTH = np.array([1.0, 0.92, 1.10])
_SITE_NOISE = np.array([1.0, 1.25, 0.85])
_SITE_SCATTER = np.array([1.0, 1.15, 0.9])


def draw_imaging(
    draws: Draws, latents: Latents, imaging: ImagingConfig, noise_scale: float
) -> dict[str, Floats]:
    """Return how every image was taken, name -> (n,)."""
    ap, site = latents.ap.astype(float), latents.site
    leads = draws.own_uniform("leads") < np.where(
        latents.ap, imaging.device_share_ap, imaging.device_share_pa
    )
    further = draws.own_uniform("lines")
    return {
        "scatter": imaging.scatter * (1.0 + 0.3 * ap) * _SITE_SCATTER[site],
        "noise": imaging.noise
        * noise_scale
        * (1.0 + 0.3 * ap)
        * _SITE_NOISE[site]
        * np.exp2(draws.own("dose", 0, 0.3)),
        "centre": draws.own("exposure", 2.75, 0.17 * imaging.exposure_variation) + _SITE_CENTRE[site],
        "window": _SITE_WIDTH[site] * np.exp2(draws.own("contrast", 0.0, 0.18 * imaging.contrast_variation)),
        "equalise": draws.own("equalise", 0.42, 0.06 * imaging.contrast_variation),
        "gamma": draws.own("gamma", 0.0, 0.12 * imaging.contrast_variation),
        "leads": leads.astype(float),
        "line": (leads & (further < 0.5)).astype(float),
        "tube": (leads & (further < 0.25)).astype(float),
        "lead_x": draws.own("lead x", 0.45, 0.08),
        "lead_y": draws.own("lead y", 0.0, 0.12),
        "lead_bend": draws.own("lead bend", 0.0, 0.35),
        "lead_slope": draws.own("lead slope", 0.5, 0.35),
        "line_x": draws.own("line x", -0.12, 0.02),
        "marker": (draws.own_uniform("marker") < imaging.marker_share).astype(float),
        "marker_x": draws.own("marker x", 0.82, 0.05),
        "marker_y": draws.own("marker y", -0.72, 0.12),
        "collimator": np.where(
            draws.own_uniform("collimator") < 0.12, draws.own_uniform("shutter", 0.9, 0.98), 1.1
        ),
    }


def add_devices(total: Tensor, f: Frame, p: Parameters, rows: npt.NDArray[np.int64]) -> None:
    """Add the attenuation of ECG leads, central lines and tracheal tubes to the images ``rows``."""
    if len(rows):
        index = torch.from_numpy(rows).to(total.device)
        some = _devices(f.take(index), p.take(index))
        total.index_copy_(0, index, total.index_select(0, index) + some)


def _devices(f: Frame, p: Parameters) -> Tensor:
    total = torch.zeros_like(f.x)
    for side, level in ((-1.0, -0.42), (1.0, -0.35), (1.0, 0.42)):
        cx, cy = side * p["lead_x"], level + p["lead_y"] * 0.5
        dx, dy = f.x - cx, f.y - cy
        r2 = (dx * dx + dy * dy) * (1.0 / 0.0015)
        total += step((1.0 - r2) * 4.0) * 0.5 + bump(r2 * 8.0) * 0.6
        # The cable hangs from the electrode to the edge of the film.
        outward = dx * side
        course = outward * p["lead_slope"] + outward * outward * p["lead_bend"] * 2.0
        cable = line(dy - course, 0.011, f.pixel) * step((outward - 0.03) * 40.0)
        total += cable * 0.45
    bend = (f.y + 0.35).clamp(max=0.0)
    vein = line(f.x - p["line_x"] + bend * bend * 0.9, 0.013, f.pixel) * step((0.05 - f.y) * 40.0)
    total += vein * 0.5 * p["line"]
    tube_x = f.x - 0.01
    tube = line(tube_x.abs() - 0.022, 0.008, f.pixel) + line(tube_x, 0.006, f.pixel) * 0.8
    total += tube * step((-0.34 - f.y) * 40.0) * 0.5 * p["tube"]
    return total


def expose(attenuation: Tensor, p: Parameters, image: Tensor) -> Tensor:
    """Return the film, (n, size, size) in 0..255, bright where the body is dense.

    Primary radiation is exp(-attenuation) (Beer-Lambert). Scatter is a blurred share of it. Quantum noise has
    the variance of a photon count, to first order in the logarithm that a detector shows. The window is a
    smooth S about its centre.
    """
    # Double precision makes the last bit of exp and log, which may differ with the layout of a batch, vanish
    # when the result is rounded to float32.
    primary = torch.exp(-attenuation.double()).float()
    total = primary + scattered(primary) * p["scatter"]
    signal = -torch.log(total.double()).float()
    size = attenuation.shape[-1]
    # Photons fall on an area: a pixel of a 224 px film gets (64 / 224)² of a 64 px one's.
    grain = white_noise(image, "quantum", size) / total.sqrt()
    signal += grain * (p["noise"] * (0.0016 * size / 64.0))
    # What every vendor's processing does: coarse differences are pressed together so that fine ones show.
    signal = signal - (scattered(signal) - p["centre"]) * p["equalise"]
    v = (signal - p["centre"]) * p["window"]
    v = v / (v * v + 1.0).sqrt()
    v = v + p["gamma"] * (1.0 - v * v)
    return (v * 0.5 + 0.5).clamp_(0.0, 1.0).mul_(255.0).round_()


def scattered(primary: Tensor) -> Tensor:
    """Return an image blurred to an eighth of its side, from a coarse copy of it."""
    size, device = primary.shape[-1], primary.device
    nearest = (((torch.arange(_COARSE, device=device).double() + 0.5) * (size / _COARSE)).floor()).long()
    coarse = primary.index_select(1, nearest).index_select(2, nearest)
    for dim in (1, 2):
        for shift in (1, 2, 3):
            coarse = _spread(coarse, dim, shift)
    at = ((torch.arange(size, device=device).double() + 0.5) * (_COARSE / size) - 0.5).clamp_(
        0.0, _COARSE - 1.0
    )
    low = at.floor().clamp_(max=_COARSE - 2.0)
    f, index = (at - low).float(), low.long()
    columns = coarse.index_select(2, index) * (1.0 - f) + coarse.index_select(2, index + 1) * f
    f = f.view(1, -1, 1)
    return columns.index_select(1, index) * (1.0 - f) + columns.index_select(1, index + 1) * f


def _spread(values: Tensor, dim: int, shift: int) -> Tensor:
    """Return the mean of values, and of values ``shift`` cells before and behind, the edge repeated."""
    cells = torch.arange(_COARSE, device=values.device)
    before = values.index_select(dim, (cells - shift).clamp(min=0))
    behind = values.index_select(dim, (cells + shift).clamp(max=_COARSE - 1))
    return values * 0.5 + (before + behind) * 0.25


def finish(film: Tensor, p: Parameters) -> Tensor:
    """Return the film as uint8 with its lead marker and the shutters of the collimator."""
    size = film.shape[-1]
    axis = ((torch.arange(size, device=film.device).double() + 0.5) * (2.0 / size) - 1.0).float()
    u, v = axis.view(1, 1, -1), axis.view(1, -1, 1)
    mx, my = u - p["marker_x"], v - p["marker_y"]
    height = step((0.05 - my.abs()) * 60.0)
    stem = step((0.012 - (mx + 0.022).abs()) * 80.0 + 0.3) * height
    foot = step((0.012 - (my - 0.04).abs()) * 80.0 + 0.3) * step((0.03 - (mx - 0.005).abs()) * 60.0)
    marker = ((stem + foot) * p["marker"]).clamp_(max=1.0)
    film = film + (250.0 - film) * marker
    open_ = step((p["collimator"] - u.abs()) * 30.0) * step((p["collimator"] - v.abs()) * 30.0)
    return (film * open_).round_().to(torch.uint8)
