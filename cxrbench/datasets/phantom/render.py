"""Latents in, films out."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cxrbench.datasets.phantom.anatomy import AIR, draw_anatomy, make_chest, make_frame
from cxrbench.datasets.phantom.config import ImagingConfig
from cxrbench.datasets.phantom.fields import Parameters, key_halves
from cxrbench.datasets.phantom.findings import attenuation, draw_places, present
from cxrbench.datasets.phantom.imaging import add_devices, draw_imaging, expose, finish
from cxrbench.datasets.phantom.keys import Draws, Floats
from cxrbench.datasets.phantom.latents import Latents

_PIXELS_AT_ONCE = {"cpu": 2**15, "cuda": 2**25}
"""Images are drawn in groups of about so many pixels: what a core's cache holds; on a GPU so many that they
take longer than the host needs to ask for the 2,000 operations."""

_DRAWN_AT_ONCE = 512
"""Parameters are drawn for so many images at once; numpy's cost for a few is that for many."""


def render(
    latents: Latents,
    imaging: ImagingConfig,
    size: int,
    *,
    noise_scale: float = 1.0,
    device: str | torch.device = "cpu",
) -> npt.NDArray[np.uint8]:
    """Draw radiographs.

    Parameters
    ----------
    latents: what n images show.
    imaging: anatomy, X-rays and detector.
    size: pixels per side, 8 or more.
    noise_scale: factor on the quantum noise.
    device: where to draw. An image is the same in every batch on one device; between kinds of devices, the
        odd grey value may differ by one.

    Returns
    -------
    (n, size, size) uint8, bright where the body is dense.
    """
    films = draw(latents, imaging, size, noise_scale=noise_scale, device=device)
    return np.asarray(films.cpu().numpy(), dtype=np.uint8)


def draw(
    latents: Latents,
    imaging: ImagingConfig,
    size: int,
    *,
    noise_scale: float = 1.0,
    device: str | torch.device = "cpu",
) -> Tensor:
    """Return what :func:`render` does, as a tensor that stays on the device."""
    where = torch.device(device)
    out = torch.empty((len(latents), size, size), dtype=torch.uint8, device=where)
    group = max(1, _PIXELS_AT_ONCE.get(where.type, 2**20) // (size * size))
    block = group * max(1, _DRAWN_AT_ONCE // group)
    # A group is too small for torch to part between cores; so the groups are parted instead.
    with ThreadPoolExecutor(torch.get_num_threads() if where.type == "cpu" else 1) as pool:
        for first in range(0, len(latents), block):
            part = latents.take(np.arange(first, min(first + block, len(latents))))
            p, leads = _parameters(part, imaging, noise_scale, where)
            films = out[first : first + len(part)]
            draw_group = partial(_group, films, part, p, leads, size, where)
            # The results are nothing, and tell of errors.
            list(pool.map(draw_group, [slice(i, i + group) for i in range(0, len(part), group)]))
    return out


def lungs(latents: Latents, imaging: ImagingConfig, size: int) -> npt.NDArray[np.float32]:
    """Return where :func:`render` draws the lungs, (n, size, size) in 0..1: heart and domes cut out."""
    p, _ = _parameters(latents, imaging, 1.0, torch.device("cpu"))
    frame = make_frame(p, size, p.table.device)
    patient, image = (key_halves(k, p.table.device) for k in (latents.patient_key, latents.image_key))
    with torch.no_grad():
        return np.asarray(make_chest(frame, p, patient, image).lung.numpy(), dtype=np.float32)


def _group(
    films: Tensor, part: Latents, p: Parameters, leads: Floats, size: int, device: torch.device, rows: slice
) -> None:
    """Draw the images ``rows`` of ``part``, whose parameters are ``p``, into ``films``."""
    with torch.no_grad():
        films[rows] = _film(
            p.between(rows),
            key_halves(part.patient_key[rows], device),
            key_halves(part.image_key[rows], device),
            present(part.severity[rows], device),
            np.flatnonzero(leads[rows]),
            size,
        )


def _parameters(
    part: Latents, imaging: ImagingConfig, noise_scale: float, device: torch.device
) -> tuple[Parameters, Floats]:
    """Return what is drawn for n images and, in the host's memory, which of them have devices."""
    draws = Draws(part.patient_key, part.image_key)
    values = {
        **draw_anatomy(draws, part, imaging),
        **draw_places(draws),
        **draw_imaging(draws, part, imaging, noise_scale),
    }
    # One table, so that one transfer takes it to a GPU.
    table = torch.from_numpy(np.stack(list(values.values())).astype(np.float32)).to(device)
    return Parameters({name: row for row, name in enumerate(values)}, table), values["leads"]


def _film(
    p: Parameters,
    patient: Tensor,
    image: Tensor,
    findings: Sequence[tuple[str, Tensor, Tensor]],
    with_devices: npt.NDArray[np.int64],
    size: int,
) -> Tensor:
    """Return (n, size, size) uint8."""
    frame = make_frame(p, size, image.device)
    chest = make_chest(frame, p, patient, image)
    total = attenuation(frame, chest, p, patient, findings, AIR)
    add_devices(total, frame, p, with_devices)
    return finish(expose(total.clamp_(min=0.0), p, image), p)
