from __future__ import annotations

import numpy as np
import pytest

from medseg.ops.set_channels import FEWEST, channel_features, find_exchanged

PERCENTILES = (0, 1, 5, 25, 50, 75, 95, 99, 100)


def features_of(images: list[list[np.ndarray]]) -> np.ndarray:
    """Features (N, C, F) of images[scan][channel]."""
    columns = []
    for channel in range(len(images[0])):
        own = [scan[channel].ravel() for scan in images]
        table = np.stack([np.percentile(image, PERCENTILES) for image in own])
        mean, sd = (np.array([getattr(image, name)() for image in own]) for name in ("mean", "std"))
        columns.append(channel_features(table, mean, sd, np.array([(image == 0).mean() for image in own])))
    return np.stack(columns, axis=1)


def scans(number: int, swapped: tuple[int, ...] = (), scale: float = 1.0) -> list[list[np.ndarray]]:
    """A skewed channel (like PET), one with two peaks (like CT) and one that is uniform, brighter or darker by scan."""
    rng = np.random.default_rng(5)
    images = []
    for scan in range(number):
        gain = scale * rng.uniform(0.5, 2.0)
        skewed = gain * rng.gamma(0.5, 2.0, 4000)
        peaks = gain * np.where(rng.random(4000) < 0.6, rng.normal(-1000, 30, 4000), rng.normal(40, 60, 4000))
        flat = gain * rng.uniform(0, 1, 4000)
        images.append([peaks, skewed, flat] if scan in swapped else [skewed, peaks, flat])
    return images


def test_exchanged_channels_are_found_and_no_others() -> None:
    assert find_exchanged(features_of(scans(20))) == []
    assert find_exchanged(features_of(scans(20, swapped=(4, 11)))) == [(4, 0, 1), (11, 0, 1)]


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_the_unit_does_not_matter(scale: float) -> None:
    assert find_exchanged(features_of(scans(12, swapped=(2,), scale=scale))) == [(2, 0, 1)]


def test_the_order_of_scans_and_channels_does_not_matter() -> None:
    features = features_of(scans(16, swapped=(3,)))
    order = np.random.default_rng(0).permutation(16)
    assert find_exchanged(features[order]) == [(int(np.flatnonzero(order == 3)[0]), 0, 1)]
    assert find_exchanged(features[:, [2, 1, 0]]) == [(3, 1, 2)]


def test_channels_of_one_kind_are_never_called_exchanged() -> None:
    rng = np.random.default_rng(1)
    images = [[rng.normal(100, 10, 4000), rng.normal(100, 10, 4000)] for _ in range(30)]
    assert find_exchanged(features_of(images)) == []


def test_one_strange_channel_is_no_exchange() -> None:
    images = scans(20)
    images[6][0] = images[6][1].copy()
    assert find_exchanged(features_of(images)) == []


def test_fewer_scans_than_needed_say_nothing() -> None:
    features = features_of(scans(FEWEST, swapped=(1,)))
    assert find_exchanged(features) == [(1, 0, 1)]
    assert find_exchanged(features[: FEWEST - 1]) == []


def test_features_of_a_constant_channel_are_finite() -> None:
    table = np.zeros((3, 9))
    assert np.isfinite(channel_features(table, np.zeros(3), np.zeros(3), np.ones(3))).all()
