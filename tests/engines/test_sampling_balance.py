"""Which cases and which labelled voxels patches are placed on."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from medseg.engines.sampling.drawing.draw import Draw, draw_batch
from medseg.engines.sampling.drawing.shapes import check_case_weights, shape_of, shapes_of
from medseg.engines.sampling.settings import AugmentSettings, PatchSettings
from medseg.files.prepared import PreparedCase
from medseg.files.records import SchemeRecord
from medseg.ops.guard import Familiar
from medseg.ops.seeds import class_sizes, draw_seeds, lesion_map
from medseg.stages.training.material import Material
from medseg.values.error import Refusal
from medseg.values.plan import Architecture, Plan
from tests.packages import preparation


def lesion_case(name: str = "a") -> PreparedCase:
    """Return a case with a big lesion of classes 1 and 2 and a small one of three voxels of class 1."""
    classes = np.zeros((30, 20, 20), np.uint8)
    classes[2:14, 2:14, 2:14] = 1
    classes[4:8, 4:8, 4:8] = 2
    classes[25, 15, 10:13] = 1
    lesions = lesion_map(classes)
    seeds = draw_seeds(name, classes, 0, lesions)
    ids = {index: lesions[tuple(places.T)] for index, places in seeds.items()}
    image = np.zeros((1, *classes.shape), np.float32)
    sizes = class_sizes(classes)
    return PreparedCase(name, image, classes, seeds, (1.0, 1.0, 1.0), {}, lesions=ids, voxels=sizes)


def placed(cases: list[PreparedCase], patches: PatchSettings, steps: int = 2000) -> list[Draw]:
    shapes = shapes_of(cases, patches)
    return [draw_batch(1, step, shapes, (8, 8, 8), 1, patches, AugmentSettings())[0] for step in range(steps)]


def within(count: int, total: int, chance: float) -> bool:
    return bool(stats.binomtest(count, total, chance).pvalue > 1e-4)


@pytest.mark.parametrize(
    ("balance", "small", "second"),
    [("class", 0.5 * 3 / (12**3 - 64 + 3), 0.5), ("lesion", 0.5, 0.5 * 64 / 12**3), ("voxel", 3 / 1731, 64 / 1731)],
)
def test_labelled_voxels_are_balanced_as_asked_for(balance: str, small: float, second: float) -> None:
    case = lesion_case()
    patches = PatchSettings.model_validate({"tumour_share": 1.0, "balance": balance})
    voxels = [draw.seed_voxel for draw in placed([case], patches)]
    assert all(voxel is not None and case.classes[voxel] for voxel in voxels)
    assert within(sum(voxel is not None and voxel[0] == 25 for voxel in voxels), 2000, small)
    assert within(sum(voxel is not None and case.classes[voxel] == 2 for voxel in voxels), 2000, second)


def test_seeds_that_stand_for_more_voxels_are_drawn_as_often_as_those() -> None:
    case = replace(lesion_case(), voxels={1: 3 * 64, 2: 64})
    patches = PatchSettings(tumour_share=1.0, balance="voxel")
    on_second = sum(case.classes[draw.seed_voxel] == 2 for draw in placed([case], patches) if draw.seed_voxel)
    assert within(on_second, 2000, 0.25)


def test_lesions_that_were_not_told_apart_are_refused_where_they_matter() -> None:
    case = replace(lesion_case("p7"), lesions={})
    assert shape_of(case, "class").labelled
    with pytest.raises(
        Refusal, match=r"p7: every seed knows its lesion, got 0 for 1731 seeds; run prepare again or set"
    ):
        shape_of(case, "lesion")
    healthy = replace(case, seeds={}, classes=np.zeros_like(case.classes))
    assert not shape_of(healthy, "lesion").labelled


def test_cases_are_drawn_by_their_weights() -> None:
    cases = [lesion_case(name) for name in "abcd"]
    weights = {"a": 3.0, "c": 0.0, "d": 0.5}
    for share in (0.0, 1.0):
        patches = PatchSettings(tumour_share=share, case_weights=weights)
        counts = Counter(draw.case for draw in placed(cases, patches))
        assert set(counts) == {0, 1, 3}
        assert all(within(counts[n], 2000, weight / 4.5) for n, weight in ((0, 3.0), (1, 1.0), (3, 0.5)))


def test_weights_that_name_nobody_or_leave_nobody_are_refused() -> None:
    patches = PatchSettings(case_weights={"STS_04": 2.0})
    check_case_weights(patches, {"STS_04", "b"})
    with pytest.raises(
        Refusal,
        match=r"patches\.case_weights: .*none that is held out, got .STS_04.; take it out, or did ",
    ) as refused:
        check_case_weights(patches, ["STS_004", "STS_117"])
    assert refused.value.exit_code == 2
    with pytest.raises(Refusal, match=r"got 'STS_04'; take it out"):
        check_case_weights(patches, ["patient"])
    shape = Architecture(dimensions=3, channels=1, outputs=2, features=(4,), strides=((1, 1, 1),), kernels=((3, 3, 3),))
    plan = Plan(spacing_mm=(1.0, 1.0, 1.0), patch=(4, 4, 4), batch=1, plane=None, architecture=shape)
    scheme = SchemeRecord(labels={"a": 1, "b": 2}, regions={"a": (1,)}, tumour="a")
    cases = [lesion_case("STS_004")], [lesion_case("STS_117")]
    material = Material(plan, scheme, *cases, preparation(), Familiar(cases=1))
    with pytest.raises(Refusal, match=r"got 'STS_04'; take it out, or did you mean 'STS_004'\?"):
        material.sampler(0, patches, AugmentSettings())
    assert material.sampler(0, PatchSettings(case_weights={"STS_117": 2.0}), AugmentSettings()).draws(1)
    none = PatchSettings(case_weights={"a": 0.0}, tumour_share=0.0)
    with pytest.raises(Refusal, match=r"patches\.case_weights: a training case has a weight above 0, got {'a': 0\.0}"):
        placed([lesion_case()], none, 1)
    healthy = replace(lesion_case("b"), seeds={}, lesions={})
    with pytest.raises(Refusal, match=r"a training case with labelled voxels has a weight above 0"):
        placed([lesion_case(), healthy], PatchSettings(case_weights={"a": 0.0}), 1)
