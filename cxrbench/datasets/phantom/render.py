"""Latents in, films out."""

from __future__ import annotations


from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cxrbench.datasets.phantom.anatomy import AIR, draw_anatomy, make_chest, make_frame
from cxrbench.datasets.phantom.config import ImagingConfig
from cxrbench.datasets.phantom.fields import Parameters, key_halves
from cxrbench.datasets.phantom.findings import attenuation, draw_places
from cxrbench.datasets.phantom.imaging import add_devices, draw_imaging, expose, finish
from cxrbench.datasets.phantom.keys import Draws, Floats
from cxrbench.datasets.phantom.latents import Latents

_PIXELS_AT_ONCE = {"cpu": 2**15, "cuda": 2**24}
"""Images are drawn in groups of about so many pixels: what a core's cache holds, what keeps a GPU busy."""

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
    size: pixels a side, 8 or more.
    noise_scale: factor on the quantum noise.
    device: where to draw. An image is the same in every batch on one device; between kinds of devices, the
        odd grey value may differ by one.

    Returns
    -------
    (n, size, size) uint8, bright where the body is dense.
    """
    where = torch.device(device)
    out = np.empty((len(latents), size, size), np.uint8)
    group = max(1, _PIXELS_AT_ONCE.get(where.type, 2**20) // (size * size))
    block = group * max(1, _DRAWN_AT_ONCE // group)
    for first in range(0, len(latents), block):
        part = latents.take(np.arange(first, min(first + block, len(latents))))
        p, leads = _parameters(part, imaging, noise_scale, where)
        patient, image = key_halves(part.patient_key, where), key_halves(part.image_key, where)
        target = out[first : first + len(part)]

        def draw(start: int) -> None:
            group_of = slice(start, min(start + group, len(part)))
            with torch.no_grad():
                film = _film(
                    p.between(group_of),
                    patient[:, group_of],
                    image[:, group_of],
                    part.severity[group_of],
                    np.flatnonzero(leads[group_of]),
                    size,
                )
            target[group_of] = film.cpu().numpy()

        # A group is too small for torch to part between cores; the groups are parted instead.
        with ThreadPoolExecutor(torch.get_num_threads() if where.type == "cpu" else 1) as pool:
            list(pool.map(draw, range(0, len(part), group)))
    return out


def _parameters(
    part: Latents, imaging: ImagingConfig, noise_scale: float, device: torch.device
) -> tuple[Parameters, Floats]:
    """Return what is drawn for n images, and apart from it, in the host's memory, which of them have devices."""
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
    severity: npt.NDArray[np.float32],
    with_devices: npt.NDArray[np.int64],
    size: int,
) -> Tensor:
    """Return (n, size, size) uint8."""
    frame = make_frame(p, size, image.device)
    chest = make_chest(frame, p, patient, image)
    total = attenuation(frame, chest, p, patient, severity, AIR)
    add_devices(total, frame, p, with_devices)
    return finish(expose(total.clamp_(min=0.0), p, image), p)
