"""The sums of a loss add up over patches, and so do their gradients, wherever the batch is divided."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from medseg.ops.loss_settings import LossSettings
from medseg.ops.losses import Loss, build_loss
from medseg.values.labels import IGNORED

KINDS: tuple[Any, ...] = ("dice", "dice_ce", "dice_focal", "tversky", "ce")
ACTIVATIONS: tuple[Any, ...] = ("softmax", "sigmoid")
REGIONS = ((0, 1, 1), (0, 0, 1))
PARTLY = torch.tensor([[True, True, True], [True, False, True], [True, True, False], [True, True, True]])


def random_case(outputs: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(5)
    logits = 2 * torch.randn(4, outputs, 5, 4, 6, generator=chance, dtype=dtype)
    classes = torch.randint(0, 3, (4, 5, 4, 6), generator=chance)
    classes[3] = 0  # a patch without foreground
    hidden = torch.rand(4, 5, 4, 6, generator=chance) < 0.2
    return logits, torch.where(hidden, IGNORED, classes)


def loss_of(kind: Any, activation: Any) -> tuple[Loss, int]:
    settings = LossSettings(kind=kind, activation=activation, ce_weight=0.7)
    return build_loss(settings, REGIONS if activation == "sigmoid" else None, ignore=True), 3 - (
        activation == "sigmoid"
    )


def scales(logits: Tensor) -> tuple[Tensor, Tensor]:
    return logits, logits[..., ::2, ::2, ::3]


@pytest.mark.parametrize("annotated", [None, PARTLY])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_parts_give_the_loss_and_the_gradients_of_the_whole(kind: Any, activation: Any, annotated: Any) -> None:
    loss, outputs = loss_of(kind, activation)
    logits, classes = random_case(outputs)
    logits.requires_grad_()
    value = loss(scales(logits), classes, annotated)
    (whole,) = torch.autograd.grad(value, logits)
    bounds = [(0, 1), (1, 3), (3, 4)]
    rows = [(slice(a, b), None if annotated is None else annotated[a:b]) for a, b in bounds]
    parts = [loss.sums(scales(logits[row]), classes[row], known) for row, known in rows]
    total = torch.stack(parts).sum(0).detach().requires_grad_()
    joined = loss.value(total)
    (slope,) = torch.autograd.grad(joined, total)
    divided = torch.zeros_like(logits)
    for part in parts:
        divided += torch.autograd.grad(part, logits, slope)[0]
    assert joined.item() == pytest.approx(value.item(), rel=1e-13)
    torch.testing.assert_close(divided, whole, rtol=1e-11, atol=1e-15)


def test_a_part_in_which_all_was_annotated_joins_one_in_which_not() -> None:
    loss, _ = loss_of("dice_ce", "softmax")
    logits, classes = random_case(3)
    parts = loss.sums(logits[[0, 3]], classes[[0, 3]]) + loss.sums(logits[1:3], classes[1:3], PARTLY[1:3])
    assert loss.value(parts).item() == pytest.approx(loss(logits, classes, PARTLY).item(), rel=1e-13)


def test_overlaps_are_those_of_the_batch_and_not_means_over_patches() -> None:
    loss, _ = loss_of("dice", "softmax")
    logits, classes = random_case(3)
    singly = torch.stack([loss(logits[[i]], classes[[i]]) for i in range(4)]).mean()
    assert abs(loss(logits, classes).item() - singly.item()) > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_single_precision_loses_little_on_many_voxels(kind: Any) -> None:
    chance = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 64, 64, 32, generator=chance)
    classes = (torch.rand(2, 64, 64, 32, generator=chance) < 0.01).long()
    loss = build_loss(LossSettings(kind=kind))
    assert loss(logits, classes).item() == pytest.approx(loss(logits.double(), classes).item(), rel=3e-7)
    assert loss.sums(logits, classes).dtype == torch.float64
