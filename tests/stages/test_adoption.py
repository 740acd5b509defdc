"""A plan that takes over the levels of a package's network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from medseg.files.records import SchemeRecord, write_record
from medseg.networks.build import check_patch
from medseg.networks.settings import Monai, NetworkSettings, UNet2D, UNet3D
from medseg.stages.adoption import adopted
from medseg.values.error import Refusal
from medseg.values.plan import Architecture, Plan
from tests.packages import card

FLAT = ((1, 1, 1), (2, 2, 1), (2, 2, 2))


def plan_of(strides: Any, patch: tuple[int, int, int], plane: int | None = None, **architecture: Any) -> Plan:
    dimensions: Any = len(strides[0])
    given = {
        "dimensions": dimensions, "channels": 1, "outputs": 2, "features": (8, 16, 32)[: len(strides)],
        "strides": strides, "kernels": ((3,) * dimensions,) * len(strides), **architecture,
    }  # fmt: skip
    return Plan(spacing_mm=(1.0, 1.0, 1.0), patch=patch, batch=2, plane=plane, architecture=Architecture(**given))


def package(folder: Path, network: NetworkSettings, plan: Plan) -> Path:
    scheme = SchemeRecord(labels={"tumour": 1}, regions={"tumour": (1,)}, tumour="tumour")
    write_record(folder / "card.json", card(plan, network=network, scheme=scheme))
    return folder


def test_levels_are_those_of_the_package_and_the_rest_that_of_the_data(tmp_path: Path) -> None:
    folder = package(tmp_path, UNet3D(width=8, deep_supervision=True), plan_of(FLAT, (32, 32, 16)))
    own = plan_of(((1, 1, 1), (2, 2, 2)), (41, 30, 9), channels=3, outputs=4)
    plan = adopted(own, UNet3D(width=8), folder, sized=False)
    assert plan.architecture.strides == FLAT
    assert plan.architecture.features == (8, 16, 32)
    assert (plan.architecture.channels, plan.architecture.outputs) == (3, 4)
    assert (plan.patch, plan.batch) == ((40, 32, 10), 2)
    assert adopted(own, UNet3D(width=8), folder, sized=True).patch == (41, 30, 9)


@pytest.mark.parametrize("network", [UNet3D(width=16), UNet3D(width=8, levels=2), UNet3D(width=8, widest=100)])
def test_a_network_that_was_asked_for_otherwise_is_planned_as_usual(tmp_path: Path, network: UNet3D) -> None:
    folder = package(tmp_path, UNet3D(width=8), plan_of(FLAT, (32, 32, 16)))
    own = plan_of(((1, 1, 1), (2, 2, 2)), (40, 32, 8))
    assert adopted(own, network, folder, sized=False) == own


def test_small_scans_get_a_patch_that_the_network_works_at(tmp_path: Path) -> None:
    folder = package(tmp_path, UNet3D(width=8), plan_of(((1, 1, 1), (4, 4, 4), (4, 4, 4)), (64, 64, 64)))
    plan = adopted(plan_of(((1, 1, 1), (2, 2, 2)), (10, 12, 9)), UNet3D(width=8), folder, sized=False)
    assert plan.patch == (16, 32, 16)
    check_patch(UNet3D(width=8), plan.architecture, plan.patch)


def test_a_card_whose_levels_do_not_fit_together_is_refused(tmp_path: Path) -> None:
    plan = plan_of(FLAT, (32, 32, 16), features=(8, 16))
    with pytest.raises(Refusal, match=r"card\.json: is the card of a model, got levels that do not fit together"):
        adopted(plan, UNet3D(width=8), package(tmp_path, UNet3D(width=8), plan), sized=False)


@pytest.mark.parametrize(
    ("network", "plane", "patch", "expected"),
    [(UNet2D(width=8), 2, (30, 21, 1), (32, 20, 1)), (Monai(name="SegResNet"), None, (30, 21, 9), (32, 24, 8))],
)
def test_two_dimensions_and_other_networks(
    tmp_path: Path, network: NetworkSettings, plane: int | None, patch: tuple[int, int, int], expected: Any
) -> None:
    strides = ((1,) * network.dimensions, *((2,) * network.dimensions,) * 2)
    folder = package(tmp_path, network, plan_of(strides, (32, 32, 1 if plane else 32), plane))
    plan = adopted(plan_of(strides[:2], patch, plane), network, folder, sized=False)
    assert plan.patch == expected
    check_patch(network, plan.architecture, plan.patch)
