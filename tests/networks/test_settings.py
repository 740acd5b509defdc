"""Settings of the networks: choices by kind, strict values, no computing library."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import TypeAdapter, ValidationError

from medseg.networks.settings import Monai, NetworkSettings, UNet2D, UNet3D

NETWORK: TypeAdapter[NetworkSettings] = TypeAdapter(NetworkSettings)


def test_kind_chooses_the_class_and_its_dimensions() -> None:
    assert NETWORK.validate_python({"kind": "unet3d"}) == UNet3D()
    assert NETWORK.validate_python({"kind": "unet2d"}) == UNet2D()
    chosen = NETWORK.validate_python({"kind": "monai", "name": "VNet", "dimensions": 2})
    assert [UNet3D().dimensions, UNet2D().dimensions, chosen.dimensions] == [3, 2, 2]


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"kind": "unet4d"}, ()),
        ({"kind": "unet3d", "width": "32"}, ("unet3d", "width")),
        ({"kind": "unet3d", "widht": 32}, ("unet3d", "widht")),
        ({"kind": "unet3d", "dropout": 1.0}, ("unet3d", "dropout")),
        ({"kind": "monai", "name": "ResNet"}, ("monai", "name")),
    ],
)
def test_wrong_values_are_refused_with_their_place(value: dict[str, object], place: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as refused:
        NETWORK.validate_python(value)
    assert refused.value.errors()[0]["loc"] == place


def test_options_keep_their_types_and_survive_json() -> None:
    options: dict[str, object] = {"a": 1, "b": 0.5, "c": True, "d": "x", "e": [1, 2]}
    settings = NETWORK.validate_python({"kind": "monai", "options": options})
    assert isinstance(settings, Monai)
    assert [type(value) for value in settings.options.values()] == [int, float, bool, str, list]
    assert NETWORK.validate_json(NETWORK.dump_json(settings)) == settings


def test_reading_settings_does_not_load_torch() -> None:
    modules = "medseg.networks.settings, medseg.ops.loss_settings, medseg.engines.inference.settings"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_monai_never_promises_deep_supervision() -> None:
    assert Monai().deep_supervision is False
