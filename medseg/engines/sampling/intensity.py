"""Change the intensities of cut patches as drawn: noise, blur, brightness, contrast, low resolution, gamma."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, exp

import torch
from torch import Tensor
from torch.nn import functional

from medseg.engines.sampling.draw import Draw, Intensity


def change_intensity(images: Tensor, draws: Sequence[Draw]) -> Tensor:
    """Return `images` (B, C, *space) with each channel changed as its draw says, by no draw the same bytes.

    A blank channel is exactly 0, whatever its draw says. Nothing reads a value back from the device. The noise belongs
    to the draw's number and to the kind of device.
    """
    changed = images.clone()
    neutral = Intensity()
    for sample, draw in enumerate(draws):
        for channel, intensity in enumerate(draw.intensity):
            if channel in draw.blank:
                changed[sample, channel] = 0
            elif intensity != neutral:
                changed[sample, channel] = _changed(images[sample, channel], intensity, draw.number + channel)
    return changed


def _changed(image: Tensor, intensity: Intensity, number: int) -> Tensor:
    """Change one channel `(*space)`, in the order of nnU-Net."""
    if intensity.noise > 0:
        image = image + intensity.noise * _noise(image, number)
    if intensity.blur > 0:
        image = blur(image, intensity.blur)
    if intensity.brightness != 1:
        image = image * intensity.brightness
    if intensity.contrast != 1:
        image = stretch(image, intensity.contrast)
    if intensity.low_resolution != 1:
        image = coarsen(image, intensity.low_resolution)
    if intensity.gamma_inverted != 1:
        image = -power(-image, intensity.gamma_inverted)
    if intensity.gamma != 1:
        image = power(image, intensity.gamma)
    return image


def _noise(image: Tensor, number: int) -> Tensor:
    generator = torch.Generator(device=image.device).manual_seed(number)
    return torch.randn(image.shape, generator=generator, device=image.device)


def blur(image: Tensor, sigma: float) -> Tensor:
    """Blur `(*space)` with a Gaussian of `sigma` voxels, cut off at 3 sigma; edges repeat. Axes of length 1 stay."""
    radius = ceil(3 * sigma)
    weights = [exp(-0.5 * (step / sigma) ** 2) for step in range(-radius, radius + 1)]
    for axis, length in enumerate(image.shape):
        if length == 1:
            continue
        first, last = image.narrow(axis, 0, 1), image.narrow(axis, length - 1, 1)
        edges = [size if other != axis else radius for other, size in enumerate(image.shape)]
        padded = torch.cat([first.expand(edges), image, last.expand(edges)], axis)
        blurred = torch.zeros_like(image)
        for step, weight in enumerate(weights):
            blurred.add_(padded.narrow(axis, step, length), alpha=weight / sum(weights))
        image = blurred
    return image


def stretch(image: Tensor, factor: float) -> Tensor:
    """Stretch intensities about their mean and keep them within the range they had."""
    mean = image.mean()
    return torch.clamp((image - mean) * factor + mean, image.amin(), image.amax())


def coarsen(image: Tensor, share: float) -> Tensor:
    """Keep `share` of the samples along each axis (nearest), then interpolate linearly back to the same shape."""
    size = [max(1, round(length * share)) for length in image.shape]
    small = functional.interpolate(image[None, None], size=size, mode="nearest-exact")
    mode = "trilinear" if image.ndim == 3 else "bilinear"
    return functional.interpolate(small, size=list(image.shape), mode=mode, align_corners=False)[0, 0]


def power(image: Tensor, exponent: float) -> Tensor:
    """Raise intensities, scaled to 0..1, to `exponent`; mean and standard deviation stay as they were.

    A constant image comes back as it was.
    """
    low, mean, spread = image.amin(), image.mean(), image.std(correction=0)
    extent = (image.amax() - low).clamp_min(1e-7)
    raised = ((image - low) / extent) ** exponent
    raised = raised - raised.mean()
    return raised * (spread / raised.std(correction=0).clamp_min(1e-7)) + mean
