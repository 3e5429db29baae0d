"""The device is what was asked for, or an error."""

from __future__ import annotations

import pytest
import torch

from cxrbench.errors import TrainingError
from cxrbench.training.config import Precision
from cxrbench.training.device import (
    choose_device,
    choose_precision,
    describe_device,
    deterministic,
    fast_kernels,
    synchronise,
)

CPU = torch.device("cpu")


def test_without_a_gpu_asked_for_it_is_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device(gpu=False) == CPU


def test_a_gpu_that_is_asked_for_and_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match=r"a GPU is asked for and torch .* finds none; check the driver"):
        choose_device(gpu=True)


def test_a_gpu_that_is_there_is_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    assert choose_device(gpu=True) == torch.device("cuda", 3)


@pytest.mark.parametrize(
    ("avx512_bf16", "amx", "expected"),
    [(False, False, "float32"), (True, False, "bfloat16"), (False, True, "bfloat16")],
)
def test_auto_is_bfloat16_where_the_processor_computes_in_it(
    monkeypatch: pytest.MonkeyPatch, avx512_bf16: bool, amx: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert choose_precision("auto", CPU) == expected


def test_auto_asks_a_gpu_for_bfloat16_that_is_not_imitated(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def supported(including_emulation: bool) -> bool:
        asked.append(including_emulation)
        return False

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert choose_precision("auto", torch.device("cuda", 0)) == "float32"
    assert asked == [False]


@pytest.mark.parametrize("wanted", ["bfloat16", "float32"])
def test_a_precision_that_is_named_is_kept(wanted: Precision) -> None:
    assert choose_precision(wanted, CPU) == wanted


def test_a_cpu_is_described_with_its_threads() -> None:
    described = describe_device(CPU)
    assert described["type"] == "cpu"
    assert described["threads"] == torch.get_num_threads()
    assert str(described["name"]).strip()


def test_a_gpu_is_described_by_name_and_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))  # noqa: ARG005
    assert describe_device(torch.device("cuda", 1)) == {"type": "cuda", "name": "GPU 1", "capability": "9.0"}


def test_on_the_cpu_no_kernel_setting_is_touched_and_there_is_nothing_to_wait_for() -> None:
    before = torch.backends.cudnn.benchmark
    with fast_kernels(CPU):
        assert torch.backends.cudnn.benchmark == before
    synchronise(CPU)


def test_where_the_same_bits_are_wanted_a_gpu_searches_no_kernels_and_all_is_put_back() -> None:
    cuda = torch.device("cuda")
    for wanted in (True, False):
        with deterministic(cuda, wanted), fast_kernels(cuda):
            assert torch.are_deterministic_algorithms_enabled() == wanted
            assert torch.backends.cudnn.deterministic == wanted
            assert torch.backends.cudnn.benchmark != wanted
        assert not torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.deterministic
    with deterministic(CPU, True):
        assert not torch.are_deterministic_algorithms_enabled()


def test_multiplication_in_tf32_stays_as_it_was_set() -> None:
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False), fast_kernels(torch.device("cuda")):
        assert not torch.backends.cudnn.allow_tf32


def test_on_a_gpu_the_kernel_search_is_on_only_inside() -> None:
    before = torch.backends.cudnn.benchmark
    with fast_kernels(torch.device("cuda")):
        assert torch.backends.cudnn.benchmark
    assert torch.backends.cudnn.benchmark == before
