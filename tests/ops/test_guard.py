"""The guard: quiet about scans of its own kind, and clear about each way of being unlike."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from medseg.ops.guard import Familiar, Signature, familiar_of, unlike
from medseg.ops.guard_wording import times
from medseg.values.finding import Finding
from medseg.values.volume import Volume
from tests.ops.guard_scans import scan, signature, signatures

BOTH = ("t1", "t2")
NEW = range(100, 108)


@cache
def one_channel() -> Familiar:
    """Know thirty scans of one channel."""
    return familiar_of(signatures(range(30)))


@cache
def two_channels() -> Familiar:
    """Know thirty scans of two channels; three of them lack the second."""
    lacking = [signature(scan(number, BOTH), BOTH, missing=(1,)) for number in range(3)]
    return familiar_of([*lacking, *signatures(range(3, 30), BOTH)])


def warnings(found: Signature, familiar: Familiar) -> list[Finding]:
    """Return the findings of severity `warn`."""
    return [one for one in unlike(found, familiar) if one.severity == "warn"]


def rules(found: Signature, familiar: Familiar) -> set[str]:
    """Return the rules of all warnings."""
    return {one.rule for one in warnings(found, familiar)}


@pytest.mark.parametrize("number", NEW)
def test_new_scans_of_the_same_kind_raise_nothing(number: int) -> None:
    assert unlike(signature(scan(number)), one_channel()) == ()
    assert unlike(signature(scan(number, BOTH), BOTH), two_channels()) == ()


def test_training_scans_raise_nothing_beyond_their_leave_one_out_rate() -> None:
    known = signatures(range(16))
    left_out = [
        bool(warnings(one, familiar_of([*known[:place], *known[place + 1 :]]))) for place, one in enumerate(known)
    ]
    whole = familiar_of(known)
    assert sum(bool(warnings(one, whole)) for one in known) <= sum(left_out) <= 2


def test_the_order_of_training_scans_does_not_matter() -> None:
    known = signatures(range(12), BOTH)
    assert familiar_of(known).model_dump_json() == familiar_of(known[::-1]).model_dump_json()


def test_a_card_keeps_what_is_familiar() -> None:
    read = Familiar.model_validate_json(two_channels().model_dump_json())
    strange = signature(Volume(scan(100, BOTH).voxels[::-1], np.eye(4)), BOTH)
    assert read == two_channels()
    assert unlike(strange, read) == unlike(strange, two_channels()) != ()


@pytest.mark.parametrize("factor", [1e3, 1e-3])
@pytest.mark.parametrize("number", NEW)
def test_another_unit_is_flagged_with_its_factor(factor: float, number: int) -> None:
    volume = scan(number)
    (finding,) = warnings(signature(Volume(volume.voxels * np.float32(factor), volume.affine)), one_channel())
    assert finding.rule == "t1 has the unit of the training scans"
    assert "training had" in finding.value
    assert finding.value.endswith("times the nearest")
    told = float(finding.value.split(": ")[1].split()[0])
    assert 0.3 < told / factor < 3


def test_numbers_are_written_as_people_write_them() -> None:
    written = {0.0412: "0.041", 9.96: "10.0", 565.4: "565", 1000.0: "1000", 1.0378e6: "1040000", 3.2e9: "3.2e+09"}
    assert {ratio: times(ratio) for ratio in written} == written


def test_an_outlier_among_the_training_scans_does_not_hide_another_unit() -> None:
    known = signatures(range(20))
    odd = scan(20)
    familiar = familiar_of([*known, signature(Volume(odd.voxels * np.float32(40_000), odd.affine))])
    new = scan(100)
    assert "t1 has the unit of the training scans" in rules(signature(Volume(new.voxels * 1000, new.affine)), familiar)
    assert not rules(signature(new), familiar)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("number", NEW)
def test_each_single_flip_of_a_lopsided_scan_is_flagged_by_its_axis(axis: int, number: int) -> None:
    volume = scan(number)
    (finding,) = warnings(signature(Volume(np.flip(volume.voxels, axis + 1), volume.affine)), one_channel())
    assert finding.rule == "lies as its header says"
    direction = ("left to right", "front to back", "top to bottom")[axis]
    assert finding.value.startswith(f"mirrored {direction}, its picture fits")


def test_a_flip_that_the_header_knows_of_is_only_a_note() -> None:
    volume = scan(100)
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    (finding,) = unlike(signature(Volume(np.flip(volume.voxels, 1), affine)), one_channel())
    assert (finding.severity, finding.value) == ("note", "LAS; training had RAS")


def test_nothing_is_said_of_flips_where_the_pattern_is_the_same_mirrored() -> None:
    familiar = familiar_of(signatures(range(30), even=True))
    for number in NEW:
        voxels = scan(number, even=True).voxels
        for axis in (1, 2, 3):
            assert not warnings(signature(Volume(np.flip(voxels, axis), np.eye(4))), familiar)


def test_exchanged_axes_are_named() -> None:
    volume = scan(100)
    turned = Volume(volume.voxels.swapaxes(1, 2), volume.affine)
    findings = warnings(signature(turned), one_channel())
    (finding,) = (one for one in findings if one.rule == "lies as its header says")
    assert finding.value.startswith("with axes that run to A, R, S and not to R, A, S")


@pytest.mark.parametrize(("factors", "told"), [((2, 2, 2), 2), ((1, 1, 3), 3), ((0.5, 1, 1), 0.5)])
def test_wrong_spacing_is_flagged_with_its_ratio(factors: tuple[float, ...], told: float) -> None:
    affine = np.diag([*factors, 1.0])
    findings = {one.rule: one.value for one in warnings(signature(Volume(scan(100).voxels, affine)), one_channel())}
    value = findings["voxels are as large as those of the training scans"]
    shown = " x ".join(f"{factor:.2f}" for factor in factors)
    assert value.startswith(f"voxels of {shown} mm; training had 1.00 (1.00 to 1.00) x 1.00 (1.00 to 1.00)")
    assert value.endswith((f"{told:.2g} times the nearest", f"{told:.1f} times the nearest"))
    assert "shows as much as the training scans" in findings or told < 1


def test_another_part_of_the_body_is_flagged_by_its_picture() -> None:
    voxels = scan(100, ("t2",)).voxels
    findings = {one.rule: one.value for one in warnings(signature(Volume(voxels, np.eye(4))), one_channel())}
    assert "times as far from the usual one as training scans are" in findings["t1 shows what the training scans show"]
    assert "lies as its header says" not in findings, "no way of turning it makes it one of the training scans"


def test_intensities_that_are_spread_in_another_way_are_flagged() -> None:
    voxels = scan(100).voxels
    padded = np.where(np.arange(voxels.shape[3]) < 6, np.float32(0), voxels)
    assert "intensities of t1 are spread as in the training scans" in rules(
        signature(Volume(padded, np.eye(4))), one_channel()
    )


@pytest.mark.parametrize("number", NEW)
def test_exchanged_channels_are_named(number: int) -> None:
    swapped = signature(Volume(scan(number, BOTH).voxels[::-1], np.eye(4)), BOTH)
    assert "t1 and t2 are not exchanged" in rules(swapped, two_channels())


def test_a_missing_channel_says_nothing_and_an_unknown_one_is_passed_over() -> None:
    assert not warnings(signature(scan(100, BOTH), BOTH, missing=(1,)), two_channels())
    renamed = signature(scan(100)).model_copy(update={"channels": {"pd": signature(scan(100)).channels["t1"]}})
    assert not warnings(renamed, one_channel())


def test_few_training_scans_know_only_what_is_gross() -> None:
    familiar = familiar_of(signatures(range(3)))
    (note,) = unlike(signature(scan(100)), familiar)
    assert (note.severity, note.rule) == ("note", "at least 6 training scans tell what is usual")
    assert not warnings(signature(Volume(np.flip(scan(100).voxels, 1), np.eye(4))), familiar)
    assert rules(signature(Volume(scan(100).voxels * 1000, np.eye(4))), familiar) == {
        "t1 has the unit of the training scans"
    }
    assert "voxels are as large as those of the training scans" in rules(
        signature(Volume(scan(100).voxels, np.diag([5.0, 5.0, 5.0, 1.0]))), familiar
    )


def test_a_package_that_knows_nothing_says_so_and_no_more() -> None:
    (note,) = unlike(signature(scan(100)), Familiar(cases=0))
    assert note.severity == "note"


def test_what_is_familiar_stays_small() -> None:
    names = ("t1", "t2", "t3", "t4")
    rng = np.random.default_rng(0)
    known = [
        signature(Volume(rng.normal(100, 9, (4, 8, 9, 8)).astype(np.float32), np.eye(4)), names) for _ in range(48)
    ]
    assert len(familiar_of(known).model_dump_json()) < 60_000
