"""Where NIfTI grids lie: two affines judged each on its own, units, and headers without an orientation."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medseg.files.nifti.scan import read_heading, scan_image
from medseg.files.reading import AS_IT_IS, Reading
from medseg.values.error import Refusal
from tests.files.nifti.nifti_files import AFFINE, Voxels, noise, refused, respoiled, saved, with_repairs

NO_FORM = {"sform_code": 0, "qform_code": 0}
ONLY_QFORM = {"sform_code": 0, "qform_code": 1}
TURNED = np.array([[0, -2.0, 0, 5], [1.5, 0, 0, 6], [0, 0, 3.0, 7], [0, 0, 0, 1]])
STRAIGHT = np.array([[-2.0, 0, 0, 5], [0, 1.5, 0, 6], [0, 0, 3.0, 7], [0, 0, 0, 1]])


def both(path: Path, sform: Voxels, qform: Voxels, **fields: Any) -> Path:
    """Write a file with both affines."""
    image = nibabel.Nifti1Image(noise(), sform)
    image.set_sform(sform, code=2)
    image.set_qform(qform, code=1)
    image.to_filename(path)
    return respoiled(path, **fields)


@given(
    angles=st.tuples(*[st.floats(-3.1, 3.1)] * 3),
    edges=st.tuples(*[st.floats(0.2, 8)] * 3),
    side=st.sampled_from([1, -1]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_qform_means_what_it_means_to_nibabel(
    tmp_path: Path, angles: tuple[float, ...], edges: tuple[float, ...], side: int
) -> None:
    affine = np.eye(4)
    affine[:3, :3] = nibabel.eulerangles.euler2mat(*angles) * [*edges[:2], side * edges[2]]
    affine[:3, 3] = (-100.5, 20.25, 881.3)
    image = nibabel.Nifti1Image(noise(), affine)
    image.set_sform(None, code=0)
    image.set_qform(affine, code=1)
    image.to_filename(tmp_path / "scan.nii")
    scan = scan_image(tmp_path / "scan.nii")
    assert np.allclose(scan.volume.affine, nibabel.load(tmp_path / "scan.nii").affine, atol=1e-5)
    assert np.allclose(scan.volume.affine, affine, atol=1e-4)
    assert scan.findings == ()


@pytest.mark.parametrize(("handedness", "sign"), [(0.0, 1), (1.0, 1), (-1.0, -1)])
def test_the_handedness_of_a_qform_turns_its_last_axis(tmp_path: Path, handedness: float, sign: int) -> None:
    path = saved(tmp_path / "scan.nii", noise(), **ONLY_QFORM, pixdim=[handedness, 2, 3, 4, 1, 1, 1, 1])
    respoiled(path, quatern_b=0, quatern_c=0, quatern_d=0.5)
    expected = nibabel.Nifti1Header()
    expected["qform_code"], expected["quatern_d"], expected["pixdim"][:4] = 1, 0.5, [sign, 2, 3, 4]
    assert np.allclose(scan_image(path).volume.affine[:3, :3], expected.get_qform()[:3, :3])


EDGES = "voxel edges are finite and above 0 mm (pixdim)"
UNSOUND: list[tuple[dict[str, Any], str, str]] = [
    ({"srow_x": [np.nan, 0, 0, 0]}, "the affine is finite", "sform [[nan, 0.0, 0.0, 0.0], [0.0, 2.0, 0.25, -20.0]"),
    ({"srow_x": [np.inf, 0, 0, 0]}, "the affine is finite", "sform [[inf, "),
    ({"srow_x": [0, 0, 0, 5]}, "the affine can be inverted", "sform [[0.0, 0.0, 0.0, 5.0], "),
    ({"srow_x": [0, 2, 0.25, 5]}, "the affine can be inverted", "sform [[0.0, 2.0, 0.25, 5.0], "),
    ({"srow_x": [3e38, 0, 0, 5]}, "the affine can be inverted", "sform [[3e+38, "),
    ({"srow_x": [1e-9, 0, 0, 5]}, "the affine can be inverted", "sform [[1e-09, "),
    ({**ONLY_QFORM, "pixdim": [1, 0, 1, 1, 1, 1, 1, 1]}, EDGES, "qform [0.0, 1.0, 1.0]"),
    ({**ONLY_QFORM, "pixdim": [1, -1, 1, 1, 1, 1, 1, 1]}, EDGES, "qform [-1.0, 1.0, 1.0]"),
    ({**ONLY_QFORM, "pixdim": [1, np.nan, 1, 1, 1, 1, 1, 1]}, EDGES, "qform [nan, 1.0, 1.0]"),
    ({**ONLY_QFORM, "pixdim": [np.nan, 1, 1, 1, 1, 1, 1, 1]}, "the handedness (pixdim[0]) is 1 or -1", "qform nan"),
    ({**ONLY_QFORM, "pixdim": [2.5, 1, 1, 1, 1, 1, 1, 1]}, "the handedness (pixdim[0]) is 1 or -1", "qform 2.5"),
    ({**ONLY_QFORM, "pixdim": [-3e38, 1, 1, 1, 1, 1, 1, 1]}, "the handedness (pixdim[0]) is 1 or -1", "qform -3"),
    ({**ONLY_QFORM, "quatern_b": 3.0}, "the quaternion of the qform is a rotation", "qform [3.0, 0.998655, "),
    ({**ONLY_QFORM, "quatern_b": np.nan}, "the quaternion of the qform is a rotation", "qform [nan, 0.998655, "),
    ({**ONLY_QFORM, "qoffset_x": np.inf}, "the affine is finite", "qform [["),
    ({"srow_x": [0] * 4, "qform_code": 1, "quatern_c": 2.0}, "the affine can be inverted",
     "; nor is the qform sound (the quaternion of the qform is a rotation)"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "rule", "value"), UNSOUND)
def test_without_a_sound_affine_a_file_is_refused(
    tmp_path: Path, fields: dict[str, Any], rule: str, value: str
) -> None:
    path = saved(tmp_path / "scan.nii", noise(), **fields)
    refusal = refused(path, reading=Reading(assume_orientation="RAS", repair=("use_sform",)))
    assert refusal.rule == rule
    assert value in refusal.value
    assert (refusal.remedy, refusal.override) == ("mend the header", None)


@pytest.mark.parametrize(
    ("fields", "value"),
    [({"srow_y": [np.nan] * 4}, "sform [["), ({"srow_y": [0] * 4}, "sform [["), ({"srow_z": [0, 1, 0, 0]}, "sform [[")],
)
def test_a_broken_sform_gives_way_to_a_sound_qform(tmp_path: Path, fields: dict[str, Any], value: str) -> None:
    scan = scan_image(both(tmp_path / "scan.nii.gz", TURNED, TURNED, **fields))
    assert np.allclose(scan.volume.affine, TURNED, atol=1e-5)
    (finding,) = scan.findings
    assert finding.severity == "note"
    assert finding.rule in ("the affine is finite", "the affine can be inverted")
    assert finding.value.startswith(value)
    assert finding.remedy == "the sform is broken, the qform was used"
    assert scan.applied == AS_IT_IS


def test_a_broken_qform_gives_way_to_a_sound_sform(tmp_path: Path) -> None:
    scan = scan_image(both(tmp_path / "scan.nii.gz", TURNED, TURNED, quatern_d=1.5))
    assert np.allclose(scan.volume.affine, TURNED, atol=1e-5)
    (finding,) = scan.findings
    assert (finding.severity, finding.rule) == ("note", "the quaternion of the qform is a rotation")
    assert finding.remedy == "the qform is broken, the sform was used"


def test_bad_spacing_is_named_where_the_sform_is_sound(tmp_path: Path) -> None:
    path = saved(tmp_path / "scan.nii", noise(), pixdim=[1, 0, np.nan, -1, 1, 1, 1, 1])
    scan = scan_image(path)
    assert np.allclose(scan.volume.affine, AFFINE)
    assert [(finding.severity, finding.rule, finding.value) for finding in scan.findings] == [
        ("warn", EDGES, "[0.0, nan, -1.0]")
    ]
    other = saved(tmp_path / "other.nii", noise(), pixdim=[1, 1, 1, 1, 1, 1, 1, 1])
    (finding,) = scan_image(other).findings
    assert (finding.severity, finding.rule) == ("note", "pixdim and affine name the same voxel edges")
    assert finding.value == "[1.0, 1.0, 1.0] in pixdim, [1.5, 2.01556, 3.0104] in the affine"


@pytest.mark.parametrize(("code", "taken"), [(77, "set"), (-3, "not set")])
def test_an_unknown_code_is_noted(tmp_path: Path, code: int, taken: str) -> None:
    scan = scan_image(both(tmp_path / "scan.nii.gz", STRAIGHT, STRAIGHT, qform_code=code))
    assert np.allclose(scan.volume.affine, STRAIGHT)
    (finding,) = scan.findings
    assert (finding.severity, finding.value) == ("note", str(code))
    assert finding.rule == "the qform_code is a known one (0 to 5)"
    assert finding.remedy == f"the qform was taken as {taken}"
    only = scan_image(both(tmp_path / "only.nii.gz", STRAIGHT, STRAIGHT, qform_code=0, sform_code=77))
    assert np.allclose(only.volume.affine, STRAIGHT)


def moved(affine: Voxels, voxels: float) -> Voxels:
    """Shift an affine along its first axis, by a part of a voxel."""
    other = affine.copy()
    other[:3, 3] += affine[:3, 0] * voxels
    return other


def test_affines_that_disagree_are_refused_and_both_named(tmp_path: Path) -> None:
    path = both(tmp_path / "scan.nii.gz", STRAIGHT, moved(STRAIGHT, 0.2))
    refusal = refused(path)
    assert refusal.rule == "sform and qform agree to 0.1 voxel"
    assert refusal.value == (
        "corners 0.2 voxels apart, sform [[-2.0, 0.0, 0.0, 5.0], [0.0, 1.5, 0.0, 6.0], [0.0, 0.0, 3.0, 7.0]], "
        "qform [[-2.0, 0.0, 0.0, 4.6], [0.0, 1.5, 0.0, 6.0], [0.0, 0.0, 3.0, 7.0]]"
    )
    assert refusal.remedy == "choose one with data.repair=[use_sform] or data.repair=[use_qform]"
    assert refusal.override == "data.repair=[use_sform]"
    with pytest.raises(Refusal, match="sform and qform agree"):
        read_heading(path)


@pytest.mark.parametrize("choice", ["use_sform", "use_qform"])
def test_the_user_chooses_between_affines(tmp_path: Path, choice: str) -> None:
    flipped = TURNED * [-1, 1, 1, 1]
    scan = with_repairs(both(tmp_path / "scan.nii.gz", TURNED, flipped), "fill_nonfinite", choice)
    assert np.allclose(scan.volume.affine, TURNED if choice == "use_sform" else flipped, atol=2e-3)
    assert scan.applied == Reading(repair=(choice,))
    (finding,) = scan.findings
    assert finding.severity == "note"
    assert (finding.remedy, finding.override) == (f"the {choice[4:]} was used", f"data.repair=[{choice}]")


def test_a_small_difference_is_noted_and_the_sform_used(tmp_path: Path) -> None:
    path = both(tmp_path / "scan.nii.gz", TURNED, moved(TURNED, 0.05))
    for scan in (scan_image(path), with_repairs(path, "use_sform")):
        assert np.allclose(scan.volume.affine, TURNED)
        assert scan.applied == AS_IT_IS
        (finding,) = scan.findings
        assert (finding.severity, finding.remedy) == ("note", "the sform was used")
        assert finding.value.startswith("corners 0.05 voxels apart, sform ")
    chosen = with_repairs(path, "use_qform")
    assert np.allclose(chosen.volume.affine, moved(TURNED, 0.05), atol=1e-5)
    assert chosen.applied == Reading(repair=("use_qform",))


def test_rounding_is_no_difference(tmp_path: Path) -> None:
    assert scan_image(both(tmp_path / "scan.nii.gz", TURNED, moved(TURNED, 0.0005))).findings == ()


@pytest.mark.parametrize("tilt", [0.0, 1e-7, 1e-5, 2e-4, 6e-4, 1e-3, 2e-3, 0.02])
@pytest.mark.parametrize("side", [1, -1])
def test_a_quaternion_that_lost_digits_near_a_half_turn_is_no_difference(
    tmp_path: Path, tilt: float, side: int
) -> None:
    affine = np.eye(4)
    affine[:3, :3] = nibabel.eulerangles.euler2mat(np.pi - tilt, 0.3 * tilt, 0.1) * [0.5, 0.5, 2.0 * side]
    image = nibabel.Nifti1Image(np.broadcast_to(np.arange(600, dtype=np.int16)[:, None, None], (600, 600, 2)), affine)
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    image.to_filename(tmp_path / "scan.nii")
    heading = read_heading(tmp_path / "scan.nii")
    assert heading.findings == ()
    assert np.allclose(heading.affine, affine)


def test_a_single_slice_still_has_a_thickness_to_disagree_about(tmp_path: Path) -> None:
    thick = TURNED * [1, 1, 2, 1]
    image = nibabel.Nifti1Image(noise((7, 6, 1)), TURNED)
    image.set_sform(TURNED, code=1)
    image.set_qform(thick, code=1)
    image.to_filename(tmp_path / "slice.nii")
    assert refused(tmp_path / "slice.nii").rule == "sform and qform agree to 0.1 voxel"


def test_a_file_without_orientation_is_refused_unless_one_is_given(tmp_path: Path) -> None:
    path = saved(tmp_path / "scan.nii", noise(), **NO_FORM, pixdim=[1, 2, 3, 4, 1, 1, 1, 1])
    refusal = refused(path)
    assert refusal.rule == "the header names an orientation (sform or qform)"
    assert refusal.value == "neither of them is set"
    assert refusal.remedy == "name the directions of the stored axes, for instance data.assume_orientation=RAS"
    assert refusal.override == "data.assume_orientation=RAS"


@pytest.mark.parametrize("letters", ["".join(c) for pick in permutations(["RL", "AP", "SI"]) for c in product(*pick)])
def test_an_assumed_orientation_names_the_directions_of_the_axes(tmp_path: Path, letters: str) -> None:
    path = saved(tmp_path / "scan.nii", noise(), **NO_FORM, pixdim=[1, 2, 3, 4, 1, 1, 1, 1])
    scan = with_repairs(path, "use_sform", orientation=letters)
    assert "".join(nibabel.aff2axcodes(scan.volume.affine)) == letters
    assert scan.volume.spacing_mm == (2.0, 3.0, 4.0)
    assert np.array_equal(scan.volume.affine[:, 3], [0, 0, 0, 1])
    assert scan.applied == Reading(assume_orientation=letters)
    (finding,) = scan.findings
    assert (finding.severity, finding.override) == ("note", f"data.assume_orientation={letters}")


def test_an_assumed_orientation_needs_voxel_edges_and_is_not_used_where_one_is_named(tmp_path: Path) -> None:
    bare = saved(tmp_path / "bare.nii", noise(), **NO_FORM, pixdim=[1, 0, 3, 4, 1, 1, 1, 1])
    assert refused(bare, reading=Reading(assume_orientation="LPS")).rule == EDGES
    sound = with_repairs(saved(tmp_path / "sound.nii", noise()), orientation="LPS")
    assert np.allclose(sound.volume.affine, AFFINE)
    assert (sound.findings, sound.applied) == ((), AS_IT_IS)


def test_a_reading_that_contradicts_itself_is_a_wrong_setting(tmp_path: Path) -> None:
    path = saved(tmp_path / "scan.nii", noise())
    wrong = {
        "data.repair: names one of use_sform and use_qform, got both": Reading(repair=("use_sform", "use_qform")),
        "data.assume_orientation: names each of the axes": Reading(assume_orientation="RLS"),
    }
    for message, reading in wrong.items():
        with pytest.raises(Refusal) as caught:
            scan_image(path, 0, reading)
        assert str(caught.value).startswith(message)
        assert caught.value.exit_code == 2


@pytest.mark.parametrize(("code", "shown"), [(1, "code 1 (metres)"), (3, "code 3 (micrometres)"), (5, "code 5")])
def test_other_lengths_than_mm_are_refused_unless_they_are_meant_as_mm(tmp_path: Path, code: int, shown: str) -> None:
    path = saved(tmp_path / "scan.nii", noise(), xyzt_units=code + 8)
    refusal = refused(path)
    assert refusal.rule == "lengths are in millimetres (xyzt_units 2)"
    assert refusal.value == shown
    assert refusal.remedy == "rewrite the header in mm, or take the numbers as mm with data.repair=[lengths_are_mm]"
    assert refusal.override == "data.repair=[lengths_are_mm]"
    scan = with_repairs(path, "lengths_are_mm", "use_qform")
    assert np.allclose(scan.volume.affine, AFFINE)
    assert scan.applied == Reading(repair=("lengths_are_mm",))
    assert [finding.remedy for finding in scan.findings] == ["the numbers were taken as mm"]


def test_unit_and_orientation_can_be_mended_at_once(tmp_path: Path) -> None:
    path = saved(tmp_path / "scan.nii", noise(), **NO_FORM, xyzt_units=1)
    scan = with_repairs(path, "lengths_are_mm", orientation="LPI")
    assert scan.applied == Reading(assume_orientation="LPI", repair=("lengths_are_mm",))
    assert len(scan.findings) == 2
