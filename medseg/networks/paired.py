"""Convolutions 3 wide along X that make two planes from four products of planes, where six are due: Winograd's F(2, 3).

Source: Winograd 1980, Arithmetic Complexity of Computations; Lavin and Gray 2016, arXiv:1509.09308.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

_HAS_MKLDNN: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


def product(
    image: Tensor, weight: Tensor, bias: Tensor | None, stride: Sequence[int], padding: Sequence[int]
) -> Tensor:
    """Convolve an image `(1, C, *space)` of two or three axes, channels last in memory, as the answer has them."""
    ones = (1,) * len(stride)
    if _HAS_MKLDNN:  # asked for by name: PyTorch takes a slower one where images are small
        answer: Tensor = torch.ops.aten.mkldnn_convolution(image, weight, bias, padding, stride, ones, 1)
        return answer
    convolve = functional.conv3d if len(stride) == 3 else functional.conv2d
    return convolve(image, weight, bias, tuple(stride), tuple(padding))


class PairedConvolution:
    """What `convolution` makes of planes, two at a time: other roundings, two thirds of the multiplications.

    Its weights, a third more than those of the convolution, are a copy: later changes of them are not seen.
    """

    def __init__(self, convolution: nn.Conv3d) -> None:
        first, middle, last = convolution.weight.detach().unbind(2)
        even, odd = (first + last) / 2, middle / 2
        self._weights = [
            weight.contiguous(memory_format=torch.channels_last) for weight in (first, even + odd, even - odd, last)
        ]
        self._padding = [edge // 2 for edge in convolution.kernel_size[1:]]

    @staticmethod
    def weight_bytes(convolution: nn.Conv3d) -> int | None:
        """Return what its weights would take, None for a convolution whose planes cannot be paired."""
        if convolution.kernel_size[0] != 3 or any(step != 1 for step in convolution.stride):
            return None
        return convolution.weight.numel() // 3 * 4 * convolution.weight.element_size()

    def __call__(self, planes: Tensor, bias: Tensor | None) -> Tensor:
        """Convolve an even number of planes `(2 P + 2, Y, Z, C)`, margins along X among them: `(2 P, Y, Z, K)`."""
        a, b, c, d = planes[:-2:2], planes[1:-1:2], planes[2::2], planes[3::2]
        one = self._product(a - c, 0, bias)
        made = one.new_empty((2 * len(one), *one.shape[1:]))
        two, three = self._product(b + c, 1, None), self._product(c - b, 2, None)
        torch.add(one.add_(two), three, out=made[::2])
        torch.sub(two.sub_(three), self._product(b - d, 3, None if bias is None else -bias), out=made[1::2])
        return made

    def _product(self, planes: Tensor, number: int, bias: Tensor | None) -> Tensor:
        answer = product(planes.permute(0, 3, 1, 2), self._weights[number], bias, (1, 1), self._padding)
        return answer.permute(0, 2, 3, 1)
