"""A trunk with one head per role: parameters from a seed, one forward, logits in float32."""

from __future__ import annotations

import math
from types import ModuleType

import pytest
import torch
import torchvision

from cxrbench.errors import TrainingError
from cxrbench.training.network import Network
from cxrbench.training.seeds import generator

HEADS = {"covid": 1, "findings": 3}
FEATURES = 1024


@pytest.fixture(scope="module")
def shared() -> Network:
    """Return a network that no test changes."""
    return Network("densenet121", HEADS, seed=0).eval()


def images(count: int, size: int = 32) -> torch.Tensor:
    return torch.rand(count, 1, size, size, generator=generator(0, "images"))


def copy_of(network: Network) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def test_it_is_densenet121_with_a_linear_head_a_role(shared: Network) -> None:
    # 7,978,856 parameters with ImageNet's classifier of 1024 x 1000 + 1000 (Huang et al. 2017; torchvision).
    assert sum(p.numel() for p in shared.trunk.parameters()) == 7_978_856 - 1_025_000
    assert {role: tuple(head.weight.shape) for role, head in shared.heads.items()} == {
        "covid": (1, FEATURES),
        "findings": (3, FEATURES),
    }


def test_the_outputs_are_torchvision_s_for_the_image_on_three_normalised_channels(shared: Network) -> None:
    reference = torchvision.models.densenet121(weights=None)
    reference.features.load_state_dict(shared.trunk.state_dict())
    reference.classifier = shared.heads["findings"]
    reference.eval()
    grey = images(2)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    coloured = (grey.repeat(1, 3, 1, 1) - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    with torch.no_grad():
        ours = shared.logits(shared.features(grey), ["findings"])
        theirs = reference(coloured)
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_the_same_seed_gives_the_same_parameters_whatever_the_global_state(shared: Network) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(12345)
        again = Network("densenet121", HEADS, seed=0)
    state = again.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in shared.state_dict().items())


def test_another_seed_gives_another_trunk(shared: Network) -> None:
    other = Network("densenet121", HEADS, seed=1)
    assert not torch.equal(other.trunk.conv0.weight, shared.trunk.conv0.weight)


def test_the_trunk_does_not_depend_on_the_heads(shared: Network) -> None:
    alone = Network("densenet121", {"pneumonia": 2}, seed=0)
    trunk = alone.trunk.state_dict()
    assert all(torch.equal(tensor, trunk[name]) for name, tensor in shared.trunk.state_dict().items())


def test_the_global_random_state_stays_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    seeded: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    before = torch.get_rng_state()
    network = Network("densenet121", {"covid": 1}, seed=3)
    network.reset_head("covid", [0.5], seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert seeded == [], "the GPUs' generators were seeded, and nothing puts those back"


def test_a_new_head_starts_at_the_log_odds_of_each_label() -> None:
    network = Network("densenet121", HEADS, seed=0)
    network.reset_head("findings", [0.25, 0.5, 0.0], seed=1)
    head = network.heads["findings"]
    assert head.bias.tolist() == pytest.approx([math.log(1 / 3), 0.0, math.log(0.001 / 0.999)], abs=1e-5)
    assert float(head.weight.detach().std()) == pytest.approx(0.01, rel=0.1)
    zero = torch.zeros(1, FEATURES)
    with torch.no_grad():
        shares = torch.sigmoid(network.logits(zero, ["findings"]))[0].tolist()
    assert shares == pytest.approx([0.25, 0.5, 0.001], abs=1e-6)


def test_a_label_that_is_always_positive_gets_a_finite_bias() -> None:
    network = Network("densenet121", {"covid": 1}, seed=0)
    network.reset_head("covid", [1.0], seed=1)
    assert network.heads["covid"].bias.tolist() == pytest.approx([math.log(0.999 / 0.001)], abs=1e-3)


def test_a_new_head_leaves_the_other_heads_and_the_trunk_alone() -> None:
    network = Network("densenet121", HEADS, seed=0)
    before = copy_of(network)
    network.reset_head("covid", [0.3], seed=1)
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"heads.covid.weight", "heads.covid.bias"}


def test_a_new_head_depends_on_its_seed_and_role_and_on_nothing_else() -> None:
    one, other = Network("densenet121", {"a": 2, "b": 2}, seed=0), Network("densenet121", {"b": 2}, seed=9)
    for network in (one, other):
        network.reset_head("b", [0.5, 0.5], seed=4)
    one.reset_head("a", [0.5, 0.5], seed=4)
    assert torch.equal(one.heads["b"].weight, other.heads["b"].weight)
    assert not torch.equal(one.heads["a"].weight, one.heads["b"].weight)
    before = one.heads["b"].weight.clone()
    one.reset_head("b", [0.5, 0.5], seed=5)
    assert not torch.equal(one.heads["b"].weight, before)


def test_logits_stand_in_the_order_of_the_roles_asked_for(shared: Network) -> None:
    features = torch.randn(4, FEATURES, generator=generator(0))
    with torch.no_grad():
        both = shared.logits(features, ["findings", "covid"])
        assert torch.equal(both[:, :3], shared.logits(features, ["findings"]))
        assert torch.equal(both[:, 3:], shared.logits(features, ["covid"]))
    assert both.shape == (4, 4)


def test_under_autocast_features_come_out_in_float32_and_logits_are_computed_in_it(shared: Network) -> None:
    with torch.no_grad():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            features = shared.features(images(2))
            logits = shared.logits(features, ["covid"])
        outside = shared.logits(features, ["covid"])
    assert features.dtype == torch.float32
    assert features.shape == (2, FEATURES)
    assert logits.dtype == torch.float32
    assert torch.equal(logits, outside), "half precision would tie scores"


def test_the_smallest_image_is_32_pixels(shared: Network) -> None:
    with torch.no_grad():
        assert shared.features(images(1, 32)).shape == (1, FEATURES)
        with pytest.raises(TrainingError, match="DenseNet121 needs images of 32 px or more, not 31"):
            shared.features(images(1, 31))


@pytest.mark.parametrize("role", ["train", "values", "type"])
def test_a_role_with_a_name_of_pytorch_s_own_is_refused(role: str) -> None:
    with pytest.raises(TrainingError, match=f"PyTorch keeps the name '{role}' for itself; rename the role"):
        Network("densenet121", {role: 1}, seed=0)


def test_constants_are_not_part_of_a_checkpoint(shared: Network) -> None:
    assert {name.split(".")[0] for name in shared.state_dict()} == {"trunk", "heads"}


# -- forward


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_forward_is_features_then_logits_bit_for_bit_in_both_directions(precision: str) -> None:
    networks = [Network("densenet121", HEADS, seed=0).train() for _ in range(2)]
    mixed = torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16")
    with mixed:
        one = networks[0](images(4), ["findings", "covid"])
    with mixed:
        features = networks[1].features(images(4))
    other = networks[1].logits(features, ["findings", "covid"])
    assert torch.equal(one, other)
    for logits in (one, other):
        logits.square().sum().backward()
    for (name, a), b in zip(networks[0].named_parameters(), networks[1].parameters(), strict=True):
        assert torch.equal(a.grad, b.grad), name


def test_densenet121_averages_its_maps_in_float32(shared: Network) -> None:
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        coloured = ((images(3) - shared.mean) / shared.std).contiguous(memory_format=torch.channels_last)
        maps = shared.trunk(coloured)
        assert maps.dtype == torch.bfloat16
        assert torch.equal(shared.features(images(3)), maps.float().mean(dim=(2, 3)))


def test_a_hook_and_a_compiled_network_see_every_call(easy: ModuleType) -> None:
    network = Network(easy.TINY, {"covid": 1, "findings": 2}, seed=0).eval()
    calls = []
    network.register_forward_hook(lambda _module, given, logits: calls.append((given[1], logits.shape)))
    with torch.no_grad():
        plain = network(images(4), ["findings"])
        assert calls == [(["findings"], (4, 2))]
        compiled = torch.compile(network, backend="eager")(images(4), ["findings"])
    assert len(calls) == 2
    assert torch.equal(compiled, plain)


def test_features_of_half_precision_come_out_of_a_pooling_in_float32() -> None:
    network = Network("resnet18", {"covid": 1}, seed=0).eval()
    maps = []
    network.trunk.layer4.register_forward_hook(lambda _module, _given, made: maps.append(made))
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        features = network.features(images(2, 64))
    assert maps[0].dtype == torch.bfloat16
    assert torch.equal(features, maps[0].float().mean(dim=(2, 3)))
    assert not torch.equal(features, features.to(torch.bfloat16).float()), "rounded by half precision"
