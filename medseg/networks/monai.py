"""The adapter to MONAI's networks: our plan in MONAI's words."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from difflib import get_close_matches
from math import prod
from typing import Any, cast

from torch import nn

from medseg.networks.settings import Monai
from medseg.values.error import wrong_setting
from medseg.values.plan import Architecture

Arguments = dict[str, Any]
Size = tuple[int, ...] | None


def build_monai(settings: Monai, architecture: Architecture, size: Size) -> nn.Module:
    """Build MONAI's network `settings.name`; `size` is the patch without a 2D plan's flat axis.

    Refuses unknown options (with the nearest real one), options that the plan decides, and what MONAI itself refuses.
    """
    from monai.networks import nets  # takes seconds

    network = cast(Callable[..., nn.Module], getattr(nets, settings.name))
    decided = {"in_channels": architecture.channels, "out_channels": architecture.outputs}
    decided |= {"spatial_dims": architecture.dimensions} | _DECIDED[settings.name](settings, architecture, size)
    allowed = [name for name in inspect.signature(network).parameters if name not in decided]
    for option in settings.options:
        _check_option(settings.name, option, decided, allowed)
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.options.items()}
    try:
        return network(**{**_PREFERRED.get(settings.name, {}), **options, **decided})
    except (ValueError, TypeError, KeyError, AssertionError, RuntimeError) as error:
        value = {"features": architecture.features, "channels": architecture.channels, **options}
        raise wrong_setting(
            "network", f"MONAI's {settings.name} refuses: {error}", value, "change width, levels or options"
        ) from error


def multiples_of(settings: Monai, architecture: Architecture) -> tuple[int, ...]:
    """Return of what number the patch must be a multiple, along each axis that the network sees."""
    match settings.name:
        case "DynUNet" | "UNet" | "AttentionUnet":
            return tuple(prod(steps) for steps in zip(*architecture.strides, strict=True))
        case "SwinUNETR":
            step = _number(settings, "patch_size", 2) ** 5
        case "SegResNet":
            blocks = settings.options.get("blocks_down", [1, 2, 2, 4])
            step = 2 ** (len(blocks) - 1 if isinstance(blocks, list) else 0)
        case _:
            step = 16
    return (step,) * architecture.dimensions


def _number(settings: Monai, option: str, default: int) -> int:
    value = settings.options.get(option, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_setting(f"network.options.{option}", "a whole number is wanted", value, f"set e.g. {default}")
    return value


def _check_option(network: str, option: str, decided: Arguments, allowed: list[str]) -> None:
    path = f"network.options.{option}"
    if option in decided:
        remedy = "take it out; network.width, levels, dropout and the plan decide it"
        raise wrong_setting(path, f"medseg sets {option} of {network} itself", option, remedy)
    if option not in allowed:
        near = get_close_matches(option, allowed, 1, 0.0)
        remedy = f"did you mean {near[0]!r}?" if near else "take it out"
        raise wrong_setting(path, f"{network} takes the options {', '.join(allowed)}", option, remedy)


def _dynunet(settings: Monai, architecture: Architecture, size: Size) -> Arguments:
    return {
        "filters": architecture.features,
        "kernel_size": architecture.kernels,
        "strides": architecture.strides,
        "upsample_kernel_size": architecture.strides[1:],
        "dropout": settings.dropout or None,
        "deep_supervision": False,
    }


def _unet(settings: Monai, architecture: Architecture, size: Size) -> Arguments:
    return {"channels": architecture.features, "strides": architecture.strides[1:], "dropout": settings.dropout}


def _segresnet(settings: Monai, architecture: Architecture, size: Size) -> Arguments:
    return {"init_filters": architecture.features[0], "dropout_prob": settings.dropout or None}


def _swin_unetr(settings: Monai, architecture: Architecture, size: Size) -> Arguments:
    return {"feature_size": architecture.features[0], "drop_rate": settings.dropout}


def _unetr(settings: Monai, architecture: Architecture, size: Size) -> Arguments:
    if size is None:
        raise wrong_setting(
            "network.name", "UNETR works at one patch size only", "no patch", "build it with the plan's patch"
        )
    return {"img_size": size, "feature_size": architecture.features[0], "dropout_rate": settings.dropout}


def _vnet(settings: Monai, architecture: Architecture, size: Size) -> Arguments:
    rate = settings.dropout
    return {"dropout_prob_down": rate, "dropout_prob_up": (rate, rate), "dropout_dim": architecture.dimensions}


_DECIDED: dict[str, Callable[[Monai, Architecture, Size], Arguments]] = {
    "DynUNet": _dynunet,
    "UNet": _unet,
    "AttentionUnet": _unet,
    "SegResNet": _segresnet,
    "SwinUNETR": _swin_unetr,
    "UNETR": _unetr,
    "VNet": _vnet,
}
# SegResNet interpolates unless told otherwise, and the gradient of that is not deterministic on CUDA.
_PREFERRED: dict[str, Arguments] = {"SegResNet": {"upsample_mode": "deconv"}, "UNet": {"num_res_units": 2}}
