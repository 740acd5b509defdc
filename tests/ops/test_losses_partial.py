"""Losses where not every voxel and not every class was annotated, against loops that go voxel by voxel."""

from __future__ import annotations

from itertools import product
from math import exp, log
from typing import Any

import pytest
import torch
from torch import Tensor

from medseg.ops.loss_settings import LossSettings
from medseg.ops.losses import build_loss, focal_mean, mean_of, overlap_loss
from medseg.values.labels import IGNORED

KINDS: tuple[Any, ...] = ("dice", "dice_ce", "dice_focal", "tversky", "ce")
ACTIVATIONS: tuple[Any, ...] = ("softmax", "sigmoid")
REGIONS = ((0, 1, 1), (0, 0, 1))
SPACE = (3, 4, 2)
NOTHING = [[True, True, True]] * 3


def random_case(ignored: float = 0.3, outputs: int = 3, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(3)
    logits = 2 * torch.randn(3, outputs, *SPACE, generator=chance, dtype=dtype)
    classes = torch.randint(0, 3, (3, *SPACE), generator=chance)
    hidden = torch.rand(3, *SPACE, generator=chance) < ignored
    return logits, torch.where(hidden, IGNORED, classes)


def answers_of(
    logits: Tensor, classes: Tensor, annotated: list[list[bool]], activation: str
) -> tuple[list[list[tuple[float, bool]]], list[float]]:
    """Go through the voxels: (probability, truth) of everything that counts per class or region, and the surprises."""
    outputs: list[list[tuple[float, bool]]] = [[] for _ in range(2)]
    surprises = []
    for sample, *place in product(range(len(logits)), *map(range, SPACE)):
        known, truth = annotated[sample], int(classes[(sample, *place)])
        scores = [float(value) for value in logits[(sample, slice(None), *place)]]
        if truth == IGNORED:
            continue
        if activation == "softmax":
            total = sum(exp(score) for score in scores)
            shares = [exp(score) / total for score in scores]
            background = shares[0] + sum(share for share, one in zip(shares[1:], known[1:], strict=True) if not one)
            for index in (1, 2):
                if known[index]:
                    outputs[index - 1].append((shares[index], truth == index))
            surprises.append(-log(shares[truth] if truth and known[truth] else background))
            continue
        for region, row in enumerate(REGIONS):
            if all(known[index] for index in (1, 2) if row[index]):
                share, inside = 1 / (1 + exp(-scores[region])), bool(row[truth])
                outputs[region].append((share, inside))
                surprises.append(-log(share if inside else 1 - share))
    return outputs, surprises


def expected(settings: LossSettings, logits: Tensor, classes: Tensor, annotated: list[list[bool]]) -> float:
    """Put the voxels together as the definitions say."""
    outputs, surprises = answers_of(logits, classes, annotated, settings.activation)
    alpha, beta = (settings.alpha, settings.beta) if settings.kind == "tversky" else (0.5, 0.5)
    overlaps = []
    for pairs in filter(None, outputs):
        right = sum(share for share, inside in pairs if inside)
        false = sum(share for share, inside in pairs if not inside)
        missed = sum(1 - share for share, inside in pairs if inside)
        steady = settings.smooth if not any(inside for _, inside in pairs) else 0.0
        overlaps.append(1 - (right + steady) / (right + alpha * false + beta * missed + steady))
    overlap = sum(overlaps) / len(overlaps) if overlaps else 0.0
    focus = settings.gamma if settings.kind == "dice_focal" else 0.0
    beside = sum((1 - exp(-s)) ** focus * s for s in surprises) / max(1, len(surprises))
    if settings.kind == "ce":
        return beside
    return overlap if settings.kind in ("dice", "tversky") else overlap + beside


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "annotated",
    [
        NOTHING,
        [[True, True, True], [True, False, True], [True, True, False]],
        [[True, False, True], [True, False, False], [True, False, True]],
    ],
)
@pytest.mark.parametrize("ignored", [0.0, 0.4])
def test_the_loss_is_that_of_the_voxels_and_classes_that_count(
    kind: Any, activation: Any, annotated: list[list[bool]], ignored: float
) -> None:
    logits, classes = random_case(ignored, 3 if activation == "softmax" else 2)
    settings = LossSettings(kind=kind, activation=activation)
    loss = build_loss(settings, REGIONS if activation == "sigmoid" else None, ignore=True)
    value = loss(logits, classes, None if annotated is NOTHING else torch.tensor(annotated))
    assert value.item() == pytest.approx(expected(settings, logits, classes, annotated), rel=1e-9)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1.0, 1e4])
def test_ignored_voxels_have_no_gradient_and_the_others_the_right_one(kind: Any, activation: Any, size: float) -> None:
    logits, classes = random_case(0.4, 3 if activation == "softmax" else 2)
    logits = (size * logits).requires_grad_()
    annotated = torch.tensor([[True, True, True], [True, False, True], [True, True, True]])
    loss = build_loss(
        LossSettings(kind=kind, activation=activation), REGIONS if activation == "sigmoid" else None, ignore=True
    )
    (gradient,) = torch.autograd.grad(loss(logits, classes, annotated), logits)
    hidden = (classes == IGNORED)[:, None].expand_as(gradient)
    assert gradient.isfinite().all()
    assert not gradient[hidden].any()
    assert gradient[~hidden].any() or size > 1
    if size == 1.0:
        small = logits.detach()[..., :2, :2, :1].clone().requires_grad_()
        part = classes[..., :2, :2, :1]
        assert torch.autograd.gradcheck(lambda x: loss(x, part, annotated), (small,))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_that_nobody_annotated_costs_and_teaches_nothing(kind: Any, activation: Any) -> None:
    logits, classes = random_case(1.1, 3 if activation == "softmax" else 2)
    loss = build_loss(
        LossSettings(kind=kind, activation=activation), REGIONS if activation == "sigmoid" else None, ignore=True
    )
    logits.requires_grad_()
    value = loss((logits, logits[..., ::2, ::2, ::2]), classes)
    (gradient,) = torch.autograd.grad(value, logits)
    assert value.item() == 0.0
    assert not gradient.any()


def test_a_region_with_a_label_that_nobody_looked_for_teaches_nothing() -> None:
    logits, classes = random_case(0.0, 2)
    loss = build_loss(LossSettings(activation="sigmoid"), REGIONS)
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(logits, classes, torch.tensor([[True, False, True]] * 3)), logits)
    assert not gradient[:, 0].any()
    assert gradient[:, 1].any()


def test_a_class_that_nobody_looked_for_is_part_of_the_background() -> None:
    """Moving score between background and that class changes nothing; calling its voxels background neither."""
    logits, classes = random_case(0.0)
    loss, annotated = build_loss(LossSettings()), torch.tensor([[True, True, False]] * 3)
    swapped = logits[:, [2, 1, 0]]
    merged = torch.where(classes == 2, 0, classes)
    value = loss(logits, classes, annotated)
    torch.testing.assert_close(loss(swapped, classes, annotated), value)
    torch.testing.assert_close(loss(logits, merged, annotated), value)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_with_everything_annotated_not_a_bit_changes(kind: Any, activation: Any) -> None:
    logits, classes = random_case(0.0, 3 if activation == "softmax" else 2, torch.float32)
    table = REGIONS if activation == "sigmoid" else None
    settings, found = LossSettings(kind=kind, activation=activation), []
    for ignore, annotated in ((False, None), (True, None), (True, torch.ones(3, 256, dtype=torch.bool))):
        free = logits.clone().requires_grad_()
        value = build_loss(settings, table, ignore)((free, free[..., ::2, ::2, ::2]), classes, annotated)
        found.append((value.detach(), torch.autograd.grad(value, free)[0]))
    for value, gradient in found[1:]:
        assert torch.equal(value, found[0][0])
        assert torch.equal(gradient, found[0][1])


def test_deep_supervision_thins_ignored_voxels_with_the_others() -> None:
    logits, classes = random_case(0.4)
    coarse, loss = logits[..., ::2, ::2, ::2], build_loss(LossSettings(), ignore=True)
    parts = loss(logits, classes), loss(coarse, classes[:, ::2, ::2, ::2])
    torch.testing.assert_close(loss((logits, coarse), classes), (parts[0] + parts[1] / 2) / 1.5)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("annotated", [None, torch.ones(3, 3, dtype=torch.bool)])
def test_ignored_voxels_are_an_error_where_none_are_expected(activation: Any, annotated: Tensor | None) -> None:
    logits, classes = random_case(0.4, 3 if activation == "softmax" else 2)
    loss = build_loss(LossSettings(activation=activation), REGIONS if activation == "sigmoid" else None)
    with pytest.raises((IndexError, RuntimeError), match="out of bounds"):
        loss(logits, classes, annotated)


def test_means_of_nothing_are_zero() -> None:
    nothing = torch.zeros(2, 1, 4, dtype=torch.bool)
    values = torch.full((2, 3, 4), 0.5)
    assert mean_of(values, nothing).item() == 0.0
    assert focal_mean(values, 2.0, nothing).item() == 0.0
    assert overlap_loss(values, values > 0, counted=nothing).item() == 0.0
