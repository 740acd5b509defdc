"""Losses against MONAI's, their gradients, and their edge cases."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from medseg.ops.loss_settings import LossSettings
from medseg.ops.losses import build_loss, focal_mean, membership_of, overlap_loss
from medseg.values.error import Refusal
from medseg.values.labels import LabelScheme

KINDS: tuple[Any, ...] = ("dice", "dice_ce", "dice_focal", "tversky", "ce")
REGIONS = ((0, 1, 1), (0, 0, 1))  # tumour = both labels, core = the second


def random_case(classes: int = 3, outputs: int = 3, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(1)
    logits = 2 * torch.randn(2, outputs, 5, 6, 4, generator=chance, dtype=dtype)
    return logits, torch.randint(0, classes, (2, 5, 6, 4), generator=chance)


def table_for(activation: str) -> tuple[tuple[int, ...], ...] | None:
    return REGIONS if activation == "sigmoid" else None


def in_regions(classes: Tensor) -> Tensor:
    return torch.stack([classes >= 1, classes >= 2], 1)


def test_softmax_losses_agree_with_monai() -> None:
    from monai.losses import DiceCELoss, DiceLoss, TverskyLoss

    logits, classes = random_case()
    common = {"include_background": False, "to_onehot_y": True, "softmax": True, "batch": True}
    exact = common | {"smooth_nr": 0.0, "smooth_dr": 0.0}
    oracles = {
        "dice": DiceLoss(**exact),
        "dice_ce": DiceCELoss(**exact, lambda_dice=0.5, lambda_ce=2.0),
        "tversky": TverskyLoss(**exact, alpha=0.3, beta=0.7),
    }
    for kind, oracle in oracles.items():
        loss = build_loss(LossSettings(kind=kind, dice_weight=0.5, ce_weight=2.0))  # type: ignore[arg-type]
        torch.testing.assert_close(loss(logits, classes), oracle(logits, classes[:, None]))


def test_sigmoid_dice_of_regions_agrees_with_monai() -> None:
    from monai.losses import DiceLoss

    logits, classes = random_case(outputs=2)
    truth = in_regions(classes).float()
    dice = DiceLoss(sigmoid=True, batch=True, smooth_nr=0.0, smooth_dr=0.0)(logits, truth)
    # MONAI's DiceCELoss takes a softmax cross-entropy even here, so the binary one is PyTorch's.
    for kind, oracle in {"dice": dice, "dice_ce": dice + binary_cross_entropy_with_logits(logits, truth)}.items():
        loss = build_loss(LossSettings(kind=kind, activation="sigmoid"), REGIONS)  # type: ignore[arg-type]
        torch.testing.assert_close(loss(logits, classes), oracle)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_agrees_with_monai(gamma: float) -> None:
    from monai.losses import FocalLoss

    logits, classes = random_case()
    oracle = FocalLoss(to_onehot_y=True, use_softmax=True, gamma=gamma)(logits, classes[:, None])
    softmax = build_loss(LossSettings(kind="dice_focal", dice_weight=0.0, gamma=gamma))
    # MONAI's mean also runs over the classes that are not true, which add nothing: three times smaller.
    torch.testing.assert_close(softmax(logits, classes), 3 * oracle)
    settings = LossSettings(kind="dice_focal", activation="sigmoid", dice_weight=0.0, gamma=gamma)
    oracle = FocalLoss(gamma=gamma)(logits[:, :2], in_regions(classes).float())
    torch.testing.assert_close(build_loss(settings, REGIONS)(logits[:, :2], classes), oracle)


def test_absent_class_agrees_with_monai_smoothed() -> None:
    from monai.losses import DiceLoss

    probabilities = random_case()[0].softmax(1)[:, 2:]
    oracle = DiceLoss(batch=True, smooth_nr=1.0, smooth_dr=1.0)(probabilities, torch.zeros_like(probabilities))
    ours = overlap_loss(probabilities, torch.zeros_like(probabilities, dtype=torch.bool), smooth=0.5)
    torch.testing.assert_close(ours, oracle)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_right(kind: Any, activation: Any) -> None:
    logits, classes = random_case(outputs=3 if activation == "softmax" else 2, dtype=torch.float64)
    logits, classes = logits[..., :2, :2, :2].clone().requires_grad_(), classes[:, :2, :2, :2]
    loss = build_loss(LossSettings(kind=kind, activation=activation), table_for(activation))
    assert torch.autograd.gradcheck(lambda x: loss(x, classes), (logits,))


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("classes", [1, 3])
def test_a_perfect_prediction_costs_nothing(kind: Any, activation: Any, classes: int) -> None:
    labels = random_case(classes=classes)[1]
    right = one_hot(labels, 3).movedim(-1, 1) if activation == "softmax" else in_regions(labels)
    loss = build_loss(LossSettings(kind=kind, activation=activation), table_for(activation))
    assert loss(60.0 * right.float() - 30.0, labels).item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0.0, 1.0, 1e4])
def test_loss_and_gradient_are_finite_without_foreground(kind: Any, activation: Any, size: float) -> None:
    logits, classes = random_case(outputs=3 if activation == "softmax" else 2)
    logits = (size * logits).requires_grad_()
    loss = build_loss(LossSettings(kind=kind, activation=activation, gamma=0.5), table_for(activation))
    value = loss(logits, torch.zeros_like(classes))
    (gradient,) = torch.autograd.grad(value, logits)
    assert value.isfinite()
    assert gradient.isfinite().all()


def test_predicting_nothing_is_not_rewarded_however_small_the_class() -> None:
    truth = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    truth[0, 0, 3, 3] = True
    assert overlap_loss(torch.zeros(1, 1, 8, 8), truth, smooth=100.0).item() == 1.0
    assert overlap_loss(truth.float(), truth, smooth=100.0).item() == 0.0


def test_an_absent_class_costs_more_with_every_false_voxel() -> None:
    truth = torch.zeros(1, 1, 64, dtype=torch.bool)
    costs = [overlap_loss((torch.arange(64) < n).float().view(1, 1, 64), truth).item() for n in range(5)]
    assert costs[0] == 0.0
    assert costs == sorted(set(costs))


def test_sums_run_over_the_batch() -> None:
    logits, classes = random_case()
    loss = build_loss(LossSettings())
    joined = torch.cat(tuple(logits), 1)[None], torch.cat(tuple(classes), 0)[None]
    torch.testing.assert_close(loss(logits, classes), loss(*joined))


def test_deep_supervision_weighs_thinned_scales() -> None:
    logits, classes = random_case()
    coarse, odd = logits[..., ::2, ::2, ::2] + 1, logits[..., ::4, ::4, ::4]
    loss = build_loss(LossSettings())
    parts = [loss(logits, classes), loss(coarse, classes[:, ::2, ::2, ::2]), loss(odd, classes[:, ::4, ::4, ::4])]
    expected = (parts[0] + parts[1] / 2 + parts[2] / 4) / 1.75
    torch.testing.assert_close(loss((logits, coarse, odd), classes), expected)


def test_half_precision_logits_are_read_in_single_precision() -> None:
    logits, classes = random_case()
    loss = build_loss(LossSettings())
    value = loss(logits.bfloat16(), classes)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(logits.bfloat16().float(), classes))


def test_inputs_are_left_alone() -> None:
    logits, classes = random_case()
    before = logits.clone(), classes.clone()
    build_loss(LossSettings(kind="dice_focal"))(logits, classes)
    assert torch.equal(before[0], logits)
    assert torch.equal(before[1], classes)


def test_membership_follows_the_scheme() -> None:
    regions = {"tumour": (2, 7), "core": (7,)}
    assert membership_of(LabelScheme({"oedema": 2, "core": 7}, regions, "tumour")) == (
        (False, True, True),
        (False, False, True),
    )


def test_focal_without_focus_is_the_mean() -> None:
    surprise = torch.rand(3, 4)
    torch.testing.assert_close(focal_mean(surprise, 0.0), surprise.mean())


@pytest.mark.parametrize(("activation", "table"), [("sigmoid", None), ("softmax", REGIONS)])
def test_activation_and_regions_must_go_together(activation: Any, table: Any) -> None:
    with pytest.raises(Refusal, match=r"loss.activation: softmax goes with classes and sigmoid with regions"):
        build_loss(LossSettings(activation=activation), table)


@pytest.mark.parametrize("kind", ["dice_ce", "dice_focal"])
def test_a_loss_without_any_weight_is_refused(kind: Any) -> None:
    with pytest.raises(Refusal) as caught:
        LossSettings(kind=kind, dice_weight=0.0, ce_weight=0.0)
    assert caught.value.exit_code == 2
    assert str(caught.value) == (
        "loss.ce_weight: dice_weight or ce_weight is above 0, or nothing is learned, got 0; "
        "raise one of them, or set loss.kind=dice or ce"
    )
    assert LossSettings(kind="dice", dice_weight=0.0, ce_weight=0.0).kind == "dice"
