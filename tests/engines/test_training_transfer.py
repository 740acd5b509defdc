"""Starting from a package: weights go by name, channel and label, and what is new is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from medseg.engines.device import computing
from medseg.engines.training.transferring.freezing import freeze
from medseg.engines.training.transferring.ports import Axis, Ports, axes_of, match, ports_of
from medseg.engines.training.transferring.transfer import Given, Transfer, transfer
from medseg.files.records import SchemeRecord
from medseg.networks.build import build_network
from medseg.networks.settings import Monai, NetworkSettings, UNet2D, UNet3D
from medseg.values.error import Refusal
from medseg.values.machine import Machine
from medseg.values.plan import Architecture


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with computing(Machine(device="cpu", threads=1)):
        yield


def architecture(
    channels: int = 1, outputs: int = 2, features: Sequence[int] = (4, 8, 8), dimensions: Any = 3
) -> Architecture:
    levels = len(features)
    return Architecture(
        dimensions=dimensions,
        channels=channels,
        outputs=outputs,
        features=tuple(features),
        strides=((1,) * dimensions, *((2,) * dimensions,) * (levels - 1)),
        kernels=((3,) * dimensions,) * levels,
    )


def built(settings: NetworkSettings, seed: int, one: Architecture) -> nn.Module:
    return build_network(settings, one, seed, (16,) * one.dimensions).eval()


def started(
    settings: NetworkSettings, new: Ports, old: Ports, old_settings: NetworkSettings | None = None, **others: Any
) -> tuple[nn.Module, nn.Module, Transfer]:
    """Return a network that began with the weights of another one, that other one, and what was said about it."""
    own = architecture(len(new.channels), len(new.outputs), dimensions=settings.dimensions)
    theirs = architecture(len(old.channels), len(old.outputs), dimensions=settings.dimensions, **others)
    network, source = built(settings, 1, own), built(old_settings or settings, 2, theirs)
    axes = axes_of(partial(built, settings, 1), own)
    return network, source, transfer(network, axes, new, Given(source.state_dict(), "ab", old))


TUMOUR = ("background", "tumour")
EVERY = [UNet3D(deep_supervision=True), UNet2D(), Monai(name="DynUNet"), Monai(name="UNet", dimensions=2)]


@pytest.mark.parametrize("settings", EVERY)
def test_the_same_network_answers_the_same(settings: NetworkSettings) -> None:
    network, source, done = started(settings, Ports(("CT",), TUMOUR), Ports(("CT",), TUMOUR))
    assert (done.adapted, done.new, done.unused, done.share) == ({}, {}, (), 1.0)
    image = torch.randn(1, 1, *(16,) * settings.dimensions)
    with torch.inference_mode():
        assert torch.equal(network(image), source(image))


@pytest.mark.parametrize("settings", EVERY)
def test_channels_go_by_name_and_a_new_one_changes_nothing_at_first(settings: NetworkSettings) -> None:
    new, old = Ports(("FLAIR", "T1", "T2"), TUMOUR), Ports(("t2", "T1"), TUMOUR)
    network, source, done = started(settings, new, old)
    image = torch.randn(1, 3, *(16,) * settings.dimensions)
    with torch.inference_mode():
        torch.testing.assert_close(network(image), source(image[:, [2, 1]]), rtol=1e-4, atol=1e-5)
    assert set(done.adapted.values()) == {"channels T1, T2 taken; FLAIR start at 0"}
    assert sorted(done.partly_new) == sorted(done.adapted)
    assert done.new == {}
    assert 0.9 < done.share < 1


def test_a_channel_that_is_gone_counts_as_zeros() -> None:
    network, source, done = started(UNet3D(), Ports(("T2",), TUMOUR), Ports(("T1", "T2"), TUMOUR))
    image = torch.randn(1, 1, 16, 16, 16)
    padded = torch.cat((torch.zeros_like(image), image), 1)
    with torch.inference_mode():
        torch.testing.assert_close(network(image), source(padded), rtol=1e-4, atol=1e-5)
    assert done.adapted == {"encoder.0.0.weight": "channels T2 taken; T1 left behind"}
    assert done.partly_new == ()
    assert done.share == 1.0


def test_unknown_channels_start_with_the_mean_of_those_there_were() -> None:
    """Fed with the same image in every channel, the network answers as before."""
    network, source, done = started(UNet3D(), Ports(("FLAIR", "T1", "T2"), TUMOUR), Ports(("CT", "PET"), TUMOUR))
    image = torch.randn(1, 1, 16, 16, 16)
    with torch.inference_mode():
        expected, found = source(image.expand(-1, 2, -1, -1, -1)), network(image.expand(-1, 3, -1, -1, -1))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert list(done.adapted.values()) == ["channels FLAIR, T1, T2 start with the mean of CT, PET"]


@pytest.mark.parametrize("settings", EVERY[:3])  # the last layer of MONAI's UNet mixes the outputs
def test_labels_go_by_name_and_new_ones_stay_random(settings: NetworkSettings) -> None:
    old, new = Ports(("CT",), ("background", "liver", "tumour")), Ports(("CT",), ("background", "tumour", "cyst"))
    network, source, done = started(settings, new, old)
    image = torch.randn(1, 1, *(16,) * settings.dimensions)
    with torch.inference_mode():
        found, expected = network(image), source(image)
    torch.testing.assert_close(found[:, :2], expected[:, [0, 2]], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found[:, 2], expected[:, 1], atol=1e-2)
    assert set(done.adapted.values()) == {"outputs background, tumour taken; cyst start at random; liver left behind"}


def test_outputs_of_which_none_is_known_stay_random() -> None:
    network, _, done = started(UNet3D(), Ports(("CT",), ("whole", "core")), Ports(("CT",), ("lung", "heart")))
    fresh = built(UNet3D(), 1, architecture(1, 2))
    for name in ("heads.0.weight", "heads.0.bias"):
        assert done.new[name] == "none of its outputs (whole, core) is one of the package's"
        assert torch.equal(network.state_dict()[name], fresh.state_dict()[name])
    assert set(done.unused) == {"heads.0.weight", "heads.0.bias"}


def test_long_lists_of_names_are_told_in_short() -> None:
    old = Ports(("CT",), tuple(f"organ{number}" for number in range(12)))
    _, _, done = started(UNet3D(), Ports(("CT",), ("organ11", "organ10")), old)
    expected = (
        "outputs organ11, organ10 taken; organ0, organ1, organ2, organ3, organ4, organ5, organ6, organ7 and 2 more"
    )
    assert done.adapted["heads.0.bias"] == f"{expected} left behind"


def test_another_depth_takes_the_levels_that_fit_and_another_dropout_all() -> None:
    ports = Ports(("CT",), TUMOUR)
    network, source, done = started(UNet3D(), ports, ports, features=(4, 8))
    assert "encoder.1.0.weight" in done.taken
    assert done.new["encoder.2.0.weight"] == "the package has no weights of this name"
    assert all(torch.equal(network.state_dict()[name], source.state_dict()[name]) for name in done.taken)
    dropped, other, whole = started(UNet3D(), ports, ports, UNet3D(dropout=0.2))
    assert (whole.new, whole.adapted, whole.share) == ({}, {}, 1.0)
    image = torch.randn(1, 1, 16, 16, 16)
    with torch.inference_mode():
        assert torch.equal(dropped(image), other(image))


def test_another_width_takes_nothing_that_does_not_fit() -> None:
    ports = Ports(("CT",), TUMOUR)
    _, _, done = started(UNet3D(), ports, ports, features=(6, 12, 12))
    assert done.new["encoder.0.0.weight"] == "the shape is (6, 1, 3, 3, 3) there, (4, 1, 3, 3, 3) here"
    assert not any(name.startswith("encoder") for name in done.taken)


def test_weights_that_are_not_finite_are_refused() -> None:
    network = nn.Conv2d(1, 1, 1)
    ports, weights = Ports(("a",), ("b",)), {"weight": torch.full((1, 1, 1, 1), float("nan")), "bias": torch.ones(1)}
    rule = r"training\.start_from: the weights weight are finite, got nan or inf; start from another one"
    with pytest.raises(Refusal, match=rule):
        transfer(network, {}, ports, Given(weights, "ab", ports))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (("T1", "T2"), ("t2", "FLAIR"), (1, None)),
        (("", ""), ("T1", "T2"), (0, 1)),
        (("T1",), ("", ""), (None, None)),
        (("", "", ""), ("", ""), (None, None)),
        (("a", "A"), ("a",), (0,)),
    ],
)
def test_names_are_matched(old: tuple[str, ...], new: tuple[str, ...], expected: tuple[int | None, ...]) -> None:
    assert match(old, new) == expected


def test_outputs_are_named_by_the_number_of_their_label_or_in_the_order_of_regions() -> None:
    scheme = SchemeRecord(labels={"core": 4, "rim": 1}, regions={"whole": (1, 4), "core": (4,)}, tumour="whole")
    assert ports_of(architecture(2, 3), ("a", "b"), scheme, "softmax") == Ports(
        ("a", "b"), ("background", "rim", "core")
    )
    assert ports_of(architecture(2, 2), (), scheme, "sigmoid") == Ports(("", ""), ("whole", "core"))


def plain(channels: Callable[[Architecture], int]) -> Callable[[Architecture], nn.Module]:
    return lambda one: nn.Linear(channels(one), one.outputs)


def test_axes_are_found_by_building_a_larger_network() -> None:
    one = architecture(3, 2)
    found = axes_of(partial(built, UNet3D(deep_supervision=True), 0), one)
    heads = {f"heads.{level}.{name}": Axis("outputs", 0) for level in (0, 1) for name in ("weight", "bias")}
    assert found == {"encoder.0.0.weight": Axis("channels", 1), **heads}
    squares = axes_of(plain(lambda one: one.channels**2), one)
    assert squares["weight"] == Axis("channels", None)

    def even(one: Architecture) -> int:
        if one.channels % 3:
            raise Refusal("network", "takes multiples of three", one.channels, "take three")
        return one.channels

    assert axes_of(plain(even), one)["weight"] == Axis("channels", 1)


def trainable(network: nn.Module) -> set[str]:
    return {name.split(".")[0] for name, weight in network.named_parameters() if weight.requires_grad}


def test_frozen_parts_take_no_part_in_training() -> None:
    network = built(UNet3D(deep_supervision=True), 0, architecture())
    freeze(network, ("encoder", "decoder.0"))
    assert trainable(network) == {"climbs", "decoder", "heads"}
    assert not any(weight.requires_grad for weight in network.get_submodule("decoder.0").parameters())
    assert all(weight.requires_grad for weight in network.get_submodule("decoder.1").parameters())


def test_a_frozen_batch_norm_keeps_its_means() -> None:
    network = nn.Sequential(nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1))
    freeze(network, ("1",))
    network.train()(5 + torch.randn(4, 1, 8, 8))
    norm = network.get_submodule("1")
    assert isinstance(norm.running_mean, Tensor)
    assert torch.equal(norm.running_mean, torch.zeros(3))


@pytest.mark.parametrize(
    ("parts", "unknown", "message"),
    [
        (
            ("encoders",),
            (),
            r"training\.freeze: the network has the parts encoder, climbs, decoder, heads, and parts of them such as "
            r"encoder\.0, got 'encoders'; did you mean 'encoder'\? name one of them",
        ),
        (("encoder", "climbs", "decoder", "heads"), (), r"training\.freeze: something is left to train"),
        (
            ("encoder",),
            ("encoder.0.0.weight", "heads.0.bias"),
            r"training\.freeze: what stays as it is has all its weights from the package, got 'encoder' with 1 that "
            r"have not; freeze smaller parts, without encoder\.0\.0\.weight",
        ),
    ],
)
def test_what_cannot_be_frozen_is_refused(parts: tuple[str, ...], unknown: tuple[str, ...], message: str) -> None:
    with pytest.raises(Refusal, match=message) as caught:
        freeze(built(UNet3D(), 0, architecture()), parts, unknown)
    assert caught.value.exit_code == 2
