"""Everyone who answers for a window: the models of several folds, each for the window and its mirror images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, product

import torch
from torch import Tensor

from medseg.engines.inference.frame import Activation, Flipping, Forward, Frame
from medseg.engines.inference.settings import InferenceSettings

Flip = tuple[int, ...]
# Of a part of the answers: a CPU keeps it in its cache, and for a GPU many small ones cost more to launch than to do.
_BYTES = {"cpu": 2 << 20, "cuda": 64 << 20}


def flips_of(frame: Frame, settings: InferenceSettings) -> list[Flip]:
    """Return every set of batch axes to flip, the empty one first; a network on slices has no axis `plane`."""
    if not settings.mirror:
        return [()]
    axes, plane = sorted(frame.mirror_axes), frame.plane
    seen = [2 + axis - (plane is not None and axis > plane) for axis in axes if axis != plane]
    return [flip for count in range(len(seen) + 1) for flip in combinations(seen, count)]


class Members:
    """The mean answer of `models` times flips, and how far they disagree."""

    def __init__(self, models: Sequence[Forward], frame: Frame, settings: InferenceSettings) -> None:
        self._pairs = list(product(models, flips_of(frame, settings)))
        self._activation: Activation = frame.activation
        self._logits = settings.average == "logits"
        self._low_precision = settings.precision == "bf16"

    @property
    def doubting(self) -> bool:
        """Whether there is a disagreement to speak of."""
        return len(self._pairs) > 1

    def answer(self, x: Tensor) -> Tensor:
        """Return float32 `(B, K, *space)` for windows `(B, C, *space)`: probabilities, the mean over members.

        With several members there is one number more: the entropy of that mean minus the mean of their entropies, in
        nats, at least 0 (binary entropies summed over the outputs where they are sigmoid). Where logits are averaged,
        the mean is that of the logits, made probabilities. One member's answer is not kept when the next one is asked.
        Source: Houlsby et al. 2011, arXiv:1112.5745.
        """
        first, *others = self._pairs
        with torch.inference_mode():
            logits = self._ask(*first, x)
            if not others:
                return self._probabilities(logits).contiguous()
            batch, outputs, *space = logits.shape
            total = logits.new_zeros((batch, outputs + 1, *space))
            self._add(total, logits)
            del logits  # the next member needs its room
            for model, flip in others:
                self._add(total, self._ask(model, flip, x))
            return self._finish(total)

    def _ask(self, model: Forward, flip: Flip, x: Tensor) -> Tensor:
        """Return a member's logits, float32 and the right way round."""
        if flip and isinstance(model, Flipping):
            return model.flipped(x, flip)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=x.is_cuda and self._low_precision):
            logits = model(x.flip(flip) if flip else x)
        return (logits.flip(flip) if flip else logits).float()  # nobody else's: they are made probabilities in place

    def _probabilities(self, logits: Tensor) -> Tensor:
        """Return probabilities in the place of logits."""
        if self._activation == "sigmoid":
            return logits.sigmoid_()
        for (part,) in _in_parts(logits):
            part.copy_(part.softmax(1))
        return logits

    def _add(self, total: Tensor, logits: Tensor) -> None:
        """Add what is averaged, and take the entropy from the last output."""
        for sums, part in _in_parts(total, logits):
            if self._logits:
                sums[:, :-1] += part
            probabilities = self._probabilities(part)
            if not self._logits:
                sums[:, :-1] += probabilities
            sums[:, -1] -= entropy(probabilities, self._activation)

    def _finish(self, total: Tensor) -> Tensor:
        for (sums,) in _in_parts(total):
            sums /= len(self._pairs)
            mean = self._probabilities(sums[:, :-1]) if self._logits else sums[:, :-1]
            sums[:, -1] += entropy(mean, self._activation)
            sums[:, -1].clamp_(min=0)
        return total


def _in_parts(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield views of a few planes of tensors `(B, K, *space)`: what happens to them happens in the cache.

    The whole at once would also take as much memory again.
    """
    most = _BYTES.get(tensors[0].device.type, _BYTES["cpu"])
    planes = max(1, most * tensors[0].shape[2] // (4 * max(1, tensors[0].numel())))
    yield from zip(*(torch.split(tensor, planes, 2) for tensor in tensors), strict=True)


def entropy(probabilities: Tensor, activation: Activation) -> Tensor:
    """Return the entropy `(B, *space)` of probabilities `(B, K, *space)` in nats, output by output to save memory.

    sigmoid: the sum of the outputs' binary entropies.
    """
    total = torch.zeros_like(probabilities[:, 0])
    for output in probabilities.unbind(1):
        total += torch.special.entr(output)
        if activation == "sigmoid":
            total += torch.special.entr(1 - output)
    return total
