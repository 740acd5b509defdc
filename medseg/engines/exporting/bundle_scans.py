"""What happens to a scan before and after the network, in MONAI's transforms and expressions.

An expression is Python that MONAI evaluates, so nothing from a card goes into one but numbers.
"""

from __future__ import annotations

import re
from typing import Any

from medseg.engines.inference.decoding import paint_order
from medseg.engines.packages.package import Card
from medseg.ops.intensity import ChannelNormalisation
from medseg.values.error import Refusal

_MARGIN = 2


def plain_name(name: str) -> str:
    """Return a name in which MONAI finds nothing to evaluate: letters, digits, space and `._+-`, others become `_`."""
    return re.sub(r"[^A-Za-z0-9 ._+-]", "_", name)


def preprocessing(card: Card) -> list[dict[str, Any]]:
    """Return the transforms that prepare a scan: read, turn to RAS+, crop, normalise, resample.

    They give the numbers of medseg, except where a scan is resampled: MONAI does so linearly, medseg by splines.
    """
    steps: list[dict[str, Any]] = [
        {"_target_": "LoadImaged", "keys": "image", "image_only": True, "ensure_channel_first": True},
        {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
    ]
    if card.prepare.crop and card.prepare.body.kind == "nonzero":
        where = {"source_key": "image", "select_fn": "$lambda x: x != 0", "margin": _MARGIN, "allow_smaller": True}
        steps.append({"_target_": "CropForegroundd", "keys": "image", **where})
    steps.append({"_target_": "Lambdad", "keys": "image", "func": f"$lambda x: {normalisation(card)}"})
    if card.prepare.resample:
        how = {"mode": "bilinear", "padding_mode": "border", "scale_extent": True}
        steps.append({"_target_": "Spacingd", "keys": "image", "pixdim": list(card.preparation.spacing_mm), **how})
    return [*steps, {"_target_": "EnsureTyped", "keys": "image", "dtype": "$torch.float32"}]


def normalisation(card: Card) -> str:
    """Return the expression that normalises x `(C, X, Y, Z)` as `medseg.ops.intensity.normalise` does."""
    body = "[(x != 0).any(0)]" if card.prepare.body.kind == "nonzero" else ""
    channels = [_channel(i, how, body) for i, how in enumerate(card.preparation.normalisations.values())]
    return f"x.clone().copy_(torch.stack([{', '.join(channels)}]))"


def decoding(card: Card) -> str:
    """Return the expression that makes label numbers `(1, X, Y, Z)` of probabilities x `(K, X, Y, Z)`."""
    if card.activation == "sigmoid":
        painted = "0 * x[:1]"
        for region, number in paint_order(card.scheme.regions):
            painted = f"torch.where(x[{region}:{region + 1}] > 0.5, {number}, {painted})"
        return painted
    numbers = card.scheme.scheme.values
    winners = " + ".join(f"{numbers[index]} * (k == {index})" for index in range(1, len(numbers)))
    return f"(lambda k: {winners})(x.argmax(0, keepdim=True))"


def _channel(index: int, how: ChannelNormalisation, body: str) -> str:
    x = f"x[{index}].double()"
    match how.kind:
        case "none":
            return x
        case "ct":
            return _by_constants(x, how)
        case "percentile":
            ends = f"numpy.percentile({x}{body}.cpu().numpy(), (0.5, 99.5))"
            return f"(lambda low, high: (({x} - low) / (high - low)).clamp(0, 1))(*{ends})"
    values = f"{x}.clamp(min=0).log1p()" if how.kind == "log_zscore" else x
    return f"(lambda v: (v - v{body}.mean()) / v{body}.std(unbiased=False))({values})"


def _by_constants(x: str, how: ChannelNormalisation) -> str:
    if how.low is None or how.high is None or how.mean is None or not how.sd:
        raise Refusal("card", "ct has low, high, mean and sd of the training scans", how, "train the model again")
    return f"({x}.clamp({how.low!r}, {how.high!r}) - {how.mean!r}) / {how.sd!r}"
