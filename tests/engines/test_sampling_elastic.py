"""Elastic deformation: nothing is folded, and a labelled voxel stays where it was placed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.engines.sampling.cutting.elastic import draw_elastic, largest_shift, patch_weights, spline_weights
from medseg.engines.sampling.drawing.draw import CaseShape, draw_batch
from medseg.engines.sampling.settings import (
    AugmentSettings,
    ElasticSettings,
    FlipSettings,
    PatchSettings,
    RotationSettings,
    ScalingSettings,
)

BENT = AugmentSettings(
    flip=FlipSettings(axes=("x", "y", "z")),
    rotation=RotationSettings(probability=0.5, degrees=(60.0, 60.0, 60.0)),
    scaling=ScalingSettings(probability=0.5, low=0.6, high=1.6, per_axis_probability=0.5),
    elastic=ElasticSettings(probability=0.7, spacing=6.0, low=0.1, high=0.4),
)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 100_000), st.tuples(*[st.integers(1, 18)] * 3), st.booleans(), st.floats(4.0, 30.0))
def test_nothing_is_folded_and_the_anchor_stays(
    step: int, size: tuple[int, int, int], coarse: bool, spacing: float
) -> None:
    """The strongest deformation that can be asked for keeps every neighbour on its side."""
    spacing_mm = (1.0, 1.0, 4.0) if coarse else (1.0, 1.0, 1.0)
    generator = np.random.default_rng(step)
    anchor = generator.uniform(-0.5, 0.5, 3) * (np.asarray(size) - 1)
    settings_ = ElasticSettings(probability=1.0, spacing=spacing)
    elastic = draw_elastic(generator, np.asarray(size), spacing_mm, settings_, 0.4, anchor)
    fine = tuple(4 * (n - 1) + 1 for n in size)
    weights = patch_weights(replace(elastic, spacing=tuple(4 * step for step in elastic.spacing)), fine)  # type: ignore[arg-type]
    points = np.asarray(elastic.shifts).reshape(3, *elastic.points)
    shifts = np.einsum("capq,xa,yp,zq->cxyz", points, *weights, optimize=True)
    for axis, n in enumerate(size):
        if n == 1:
            assert not shifts[axis].any()
        else:
            assert (np.diff(shifts[axis], axis=axis) > -1 / 4).all()
    assert (np.abs(shifts).max((1, 2, 3)) <= largest_shift(elastic) + 1e-9).all()
    rows = [spline_weights(anchor[[a]], elastic.points[a], elastic.spacing[a])[0] for a in range(3)]
    assert np.allclose(np.einsum("capq,a,p,q->c", points, *rows), 0.0, atol=1e-9)


def test_the_determinant_stays_positive_everywhere() -> None:
    for number in range(20):
        generator = np.random.default_rng(number)
        elastic = draw_elastic(
            generator, np.array([24, 24, 24]), (1, 1, 1), ElasticSettings(spacing=6.0), 0.4, np.zeros(3)
        )
        points = np.asarray(elastic.shifts).reshape(3, *elastic.points)
        weights = patch_weights(elastic, (24, 24, 24))
        field = np.einsum("capq,xa,yp,zq->cxyz", points, *weights, optimize=True) + np.indices((24, 24, 24))
        gradient = np.stack([np.stack(np.gradient(part), -1) for part in field], -2)
        assert np.linalg.det(gradient).min() > 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 100_000), st.sampled_from([None, 0, 1, 2]))
def test_a_labelled_voxel_is_shown_where_it_was_placed(step: int, plane: int | None) -> None:
    """The position of its voxel in the patch is what the matrix says, however the rest is bent."""
    patch = [6, 7, 8]
    places = np.random.default_rng(step).integers(0, (14, 13, 12), (20, 3))
    case = CaseShape((14, 13, 12), (1.0, 1.0, 1.0), 1, {1: places})
    if plane is not None:
        patch[plane] = 1
    always = BENT.model_copy(update={"elastic": BENT.elastic.model_copy(update={"probability": 1.0})})
    for drawn in draw_batch(9, step, [case], patch, 2, PatchSettings(tumour_share=1.0), always):
        assert drawn.elastic is not None
        assert drawn.seed_voxel is not None
        offset = np.linalg.solve(drawn.matrix, np.asarray(drawn.seed_voxel) - drawn.centre)
        assert (np.abs(offset) <= (np.asarray(patch) - 1) / 2 + 1e-6).all()
        rows = [spline_weights(offset[[a]], drawn.elastic.points[a], drawn.elastic.spacing[a])[0] for a in range(3)]
        points = np.asarray(drawn.elastic.shifts).reshape(3, *drawn.elastic.points)
        assert np.allclose(np.einsum("capq,a,p,q->c", points, *rows), 0.0, atol=1e-9)


def test_coarse_axes_are_bent_as_far_in_millimetres() -> None:
    settings_ = ElasticSettings(spacing=16.0)
    elastic = draw_elastic(np.random.default_rng(0), np.array([64, 64, 16]), (1, 1, 4), settings_, 0.4, np.zeros(3))
    assert elastic.spacing == (16.0, 16.0, 4.0)
    spread = np.asarray(elastic.shifts).reshape(3, -1).std(1) * (1, 1, 4)
    assert np.allclose(spread, spread[0], rtol=0.1)
