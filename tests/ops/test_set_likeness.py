from __future__ import annotations

import numpy as np
import pytest

from medseg.ops.set_likeness import find_alike


def planted(rows: int, features: int, copies: list[tuple[int, int]], noise: float) -> np.ndarray:
    """Random rows, of which some are noisy copies on another scale."""
    rng = np.random.default_rng(rows)
    table = rng.normal(size=(rows, features))
    for original, copy in copies:
        table[copy] = 3.0 * table[original] + 100.0 + rng.normal(0, noise, features)
    return table.astype(np.float16)


@pytest.mark.parametrize("rows", [2, 5, 512, 1300])
def test_pairs_are_those_of_numpys_correlation(rows: int) -> None:
    table = planted(rows, 64, [(0, rows - 1)], 0.1)
    oracle = np.corrcoef(table.astype(np.float64))
    expected = {(int(a), int(b)) for a, b in zip(*np.nonzero(oracle >= 0.5), strict=True) if a < b}
    found = find_alike(table, 0.5)
    assert {(a, b) for a, b, _ in found.pairs} == expected
    assert (0, rows - 1) in expected
    for a, b, correlation in found.pairs:
        assert correlation == pytest.approx(oracle[a, b], abs=1e-3)
    counted = np.zeros(rows, int)
    for a, b in expected:
        counted[[a, b]] += 1
    assert found.partners.tolist() == counted.tolist()


def test_order_of_the_rows_does_not_matter() -> None:
    table = planted(300, 64, [(3, 250), (17, 18)], 0.05)
    order = np.random.default_rng(1).permutation(300)
    found = {frozenset((int(order[a]), int(order[b]))) for a, b, _ in find_alike(table[order], 0.95).pairs}
    assert found == {frozenset((3, 250)), frozenset((17, 18))}


def test_constant_and_broken_rows_are_like_no_other() -> None:
    table = np.ones((6, 32), np.float32)
    table[2:4] = np.nan
    table[4:] = np.inf
    found = find_alike(table, 0.5)
    assert found.pairs == ()
    assert not found.partners.any()


def test_a_crowd_is_counted_in_full_but_listed_in_part() -> None:
    table = np.tile(np.arange(16, dtype=np.float16), (50, 1))
    found = find_alike(table, 0.9, most=7)
    assert len(found.pairs) == 7
    assert (found.partners == 49).all()


def test_the_rows_are_not_changed() -> None:
    table = planted(20, 16, [], 0.0)
    before = table.copy()
    find_alike(table, 0.9)
    assert np.array_equal(table, before)
