"""Dropout of feature maps: its share, its scale, and parts that drop what the whole would."""

from __future__ import annotations

import pytest
import torch

from medseg.networks.dropout import FeatureDropout


def dropped(layer: FeatureDropout, x: torch.Tensor, whole: int | None, rows: list[int] | None) -> torch.Tensor:
    torch.manual_seed(3)
    layer.patches, layer.rows = whole, None if rows is None else torch.tensor(rows)
    return layer(x)


def test_maps_are_kept_whole_or_not_at_all_and_keep_their_mean() -> None:
    found = dropped(FeatureDropout(0.25), torch.ones(40, 50, 3, 2), None, None)
    assert torch.equal(found.amin((2, 3)), found.amax((2, 3)))
    assert found.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert found.mean().item() == pytest.approx(1.0, abs=0.05)


def test_parts_drop_what_the_whole_drops() -> None:
    layer, x = FeatureDropout(0.5), torch.randn(5, 7, 2, 2, 2)
    whole = dropped(layer, x, None, None)
    parts = [dropped(layer, x[:2], 5, [0, 1]), dropped(layer, x[2:], 5, [2, 3, 4])]
    assert torch.equal(torch.cat(parts), whole)
    assert not torch.equal(parts[1], dropped(layer, x[2:], 5, [0, 1, 2]))


def test_nothing_is_dropped_outside_of_training() -> None:
    x = torch.randn(2, 3, 4, 4)
    assert FeatureDropout(0.5).eval()(x) is x
    assert FeatureDropout(0.0)(x) is x
    assert repr(FeatureDropout(0.5)) == "FeatureDropout(share=0.5)"
