"""Named random generators: the name alone decides, down to the last letter and its kind."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from medseg.values.streams import stream

NAMES = [
    (0, "patch", 1, 2), (0, "patch", 2, 1), (1, "patch", 1, 2), (0, "patch", 12), (0, "patch", "1", 2),
    (0, "patch", "1, 2"), (0, "elastic", 1, 2), (0, "patch", 1, 2, 0), (0,),
]  # fmt: skip


def test_the_same_name_gives_the_same_numbers_whatever_was_drawn_before() -> None:
    first = stream(3, "patch", 5, 0).random(4)
    np.random.default_rng().random(7)
    stream(3, "patch", 5, 1).random(9)
    assert np.array_equal(stream(3, "patch", 5, 0).random(4), first)


def test_names_that_differ_in_order_or_kind_have_numbers_of_their_own() -> None:
    drawn = [stream(*name).integers(2**62, size=3).tolist() for name in NAMES]
    assert all(one != other for one, other in combinations(drawn, 2))


def test_numbers_are_those_of_every_earlier_version() -> None:
    assert stream(0, "patch", 1, 0).integers(1_000_000, size=3).tolist() == [995_529, 615_232, 765_367]
