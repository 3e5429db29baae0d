"""A trained network as files for other programs: state dict, ONNX, ``torch.export``.

Each file is read back after it was written, and scores the same made-up images as the network here.
"""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from pydantic import Field

from cxrbench.errors import CxrbenchError
from cxrbench.files import atomic_path, plain
from cxrbench.records import record, write_record
from cxrbench.text import complaint
from cxrbench.training.predict import predict_logits, to_float
from cxrbench.use.scorer import OUTPUTS, Scorer, published_model, published_state
from cxrbench.use.trained import TrainedNetwork

FORMATS = {"state-dict": "model.safetensors", "torch": "model.pt2", "onnx": "model.onnx"}
FACTS = "preprocessing.json"
TOLERANCE = 1e-5
"""Furthest that a score of an exported file may lie from that of the network here."""

_CHECKED = 3


@record
class Preprocessing:
    """What an image must go through before the network, and what comes out.

    size: of the square, px. mean, std: of the three channels of a grey image in [0, 1], by which the state
    dict's input is normalised; the other files do that themselves, from uint8. temperature: what the logit is
    divided by for the calibrated score; 1 where none was fitted. levels: what each of the 256 grey values
    becomes before all that, which again only the state dict leaves to you; None where they stay.
    """

    network: Annotated[str, Field(min_length=1)]
    stage: Annotated[str, Field(min_length=1)]
    label: Annotated[str, Field(min_length=1)]
    size: Annotated[int, Field(ge=1)]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    temperature: Annotated[float, Field(gt=0)]
    levels: Annotated[tuple[int, ...], Field(min_length=256, max_length=256)] | None = None
    polarity: str = "bright where the body is dense (as MONOCHROME2; MONOCHROME1 is inverted)"
    crop: str = "the middle square of the shorter side"
    resize: str = "bilinear, antialiased (Pillow)"
    values: str = "8 bits; DICOM through its modality and VOI transformations"
    input: str = "images: uint8 (n, 1, size, size)"
    outputs: str = "logit, score, calibrated: float32 (n,)"
    state_dict_input: str = "float32 (n, 3, size, size): (grey / 255 - mean) / std on each channel"


@dataclass(frozen=True)
class Exported:
    """Format -> its file, and how far its scores lay from the network's; and what its images are."""

    facts: Preprocessing
    files: Mapping[str, Path]
    differences: Mapping[str, float]


def export(trained: TrainedNetwork, out: Path, formats: Sequence[str]) -> Exported:
    """Write ``trained`` to the folder ``out`` in ``formats`` of :data:`FORMATS`, with its preprocessing.

    Raises
    ------
    CxrbenchError: a library is missing, a file cannot be written, or it does not score as the network does.
    """
    if "onnx" in formats:
        _needs("onnx", "onnxscript", "onnxruntime")
    network = trained.load(torch.device("cpu"))
    temperature = trained.temperature.temperature if trained.temperature else 1.0
    facts = Preprocessing(
        network=trained.network,
        stage=trained.folder.key,
        label=trained.label,
        size=trained.size,
        mean=_three(network.mean),
        std=_three(network.std),
        temperature=temperature,
        levels=None if trained.levels is None else tuple(map(int, trained.levels)),
        **reading(trained),
    )
    levels = None if trained.levels is None else torch.from_numpy(trained.levels)
    scorer = Scorer(network, trained.role, temperature, levels).eval()
    images = _images(trained.size)
    seen = images if levels is None else levels[images.long()]
    logits = predict_logits(network, seen, [trained.role], "float32")[:, 0]
    expected = 1 / (1 + np.exp(-logits.astype(np.float64)))
    about = json.dumps(plain(facts))
    writers: dict[str, Callable[[Path], npt.NDArray[np.float32]]] = {
        "state-dict": lambda path: _state_dict(path, scorer, facts, about, images),
        "torch": lambda path: _torch(path, scorer, about, images),
        "onnx": lambda path: _onnx(path, scorer, about, images),
    }
    differences = {}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in formats:
            path = out / FORMATS[name]
            with atomic_path(path) as temporary, _quiet():
                scores = writers[name](temporary)
                differences[name] = float(np.abs(scores - expected).max())
                if not differences[name] <= TOLERANCE:
                    raise CxrbenchError(
                        f"{path}: its scores lie up to {differences[name]:.1e} from the network's, which is "
                        f"more than {TOLERANCE:g}, and it was not kept"
                    )
        write_record(out / FACTS, facts)
    except OSError as error:
        raise CxrbenchError(f"{error.filename or out}: cannot be written: {error.strerror}") from None
    return Exported(facts, {name: out / FORMATS[name] for name in formats}, differences)


def reading(trained: TrainedNetwork) -> dict[str, str]:
    """Return what is to be done to an image besides what the defaults say."""
    found = {}
    if trained.crop:
        found["crop"] = f"dark and white borders are cut off, then {Preprocessing.crop}"
    if trained.moments is not None:
        mean, sd = trained.moments
        found["state_dict_input"] = (
            f"{Preprocessing.state_dict_input.replace('grey', 'levels[grey]')}, where levels[v] is "
            f"255 (m + s (v - {mean:.4f}) / {sd:.4f}), rounded and cut off at 0 and 255, and m and s are the "
            "averages of mean and std over channels"
        )
    return found


def _three(channels: torch.Tensor) -> tuple[float, float, float]:
    first, second, third = map(float, channels.flatten())
    return first, second, third


def _images(size: int) -> torch.Tensor:
    """Return made-up images, uint8 (n, 1, size, size): noise, and its halves dark and bright."""
    noise = torch.randint(0, 256, (_CHECKED, 1, size, size), generator=torch.Generator().manual_seed(0))
    noise[1] //= 2
    noise[2] = 128 + noise[2] // 2
    return noise.to(torch.uint8)


def _state_dict(
    path: Path, scorer: Scorer, facts: Preprocessing, about: str, images: torch.Tensor
) -> npt.NDArray[np.float32]:
    state = {
        name: tensor.contiguous() for name, tensor in published_state(scorer.network, scorer.role).items()
    }
    safetensors.torch.save_file(state, path, {"cxrbench": about})
    model = published_model(facts.network)
    if model is None:
        # Nobody else has the network; what was written is what is here.
        scores: npt.NDArray[np.float32] = scorer(images)[1].detach().numpy()
        return scores
    model.load_state_dict(safetensors.torch.load_file(path), strict=True)
    grey = to_float(images if scorer.levels is None else scorer.levels[images.long()])
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (facts.mean, facts.std))
    with torch.inference_mode():
        logits: torch.Tensor = model.eval()((grey - mean) / std)[:, 0]
    scored: npt.NDArray[np.float32] = torch.sigmoid(logits).numpy()
    return scored


def _torch(path: Path, scorer: Scorer, about: str, images: torch.Tensor) -> npt.NDArray[np.float32]:
    program = torch.export.export(scorer, (images,), dynamic_shapes=_any_number(), strict=False)
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={FACTS: about})
    path.write_bytes(buffer.getvalue())
    read = torch.export.load(io.BytesIO(path.read_bytes())).module()
    with torch.inference_mode():
        return torch.cat([read(part)[1] for part in (images[:1], images[1:])]).numpy()


def _onnx(path: Path, scorer: Scorer, about: str, images: torch.Tensor) -> npt.NDArray[np.float32]:
    import onnxruntime

    program = torch.onnx.export(
        scorer,
        (images,),
        input_names=["images"],
        output_names=list(OUTPUTS),
        dynamic_shapes=_any_number(),
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    program.model.metadata_props["cxrbench"] = about
    path.write_bytes(program.model_proto.SerializeToString())
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    # Apart, so that a number of images that was baked in shows.
    parts = [session.run(["score"], {"images": part.numpy()})[0] for part in (images[:1], images[1:])]
    scores: npt.NDArray[np.float32] = np.concatenate(parts)
    return scores


def _any_number() -> dict[str, Any]:
    return {"images": {0: torch.export.Dim.DYNAMIC}}


def _needs(*libraries: str) -> None:
    for library in libraries:
        try:
            __import__(library)
        except ImportError as error:
            raise CxrbenchError(
                f"ONNX files need {library}, which cannot be imported ({complaint(error)}): pip install "
                "'cxrbench[export]', or give --format state-dict --format torch"
            ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's exporters from talking: what matters is checked."""
    talkers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in talkers]
    for logger in talkers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(talkers, levels, strict=True):
            logger.setLevel(level)
