"""DICOM-SEG masks: what highdicom writes is read, what we write highdicom reads, and the rest is refused."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medseg.files.foreign.dicom.writing import write_dicom_seg
from medseg.files.reading import Reading
from medseg.files.scans import read_heading, read_image, read_mask, scan_image, scan_mask
from medseg.values.error import Refusal
from medseg.values.volume import Volume
from tests.files.foreign.dicom_making import AFFINE, RLE, STORED, enhanced, make_series, pydicom

highdicom = pytest.importorskip("highdicom", reason="needs the extra medseg[dicom]")
NAMES = {1: "core", 2: "rim"}


def labels() -> np.ndarray[Any, Any]:
    """Two labels in planes 1 to 4, with a plane without any between them."""
    mask = np.zeros(STORED.shape, np.uint8)
    mask[2:6, 1:5, 1:3] = 1
    mask[6:8, 2:7, 2] = 2
    mask[1:3, 6:8, 4] = 2
    return mask


def mask_of(voxels: np.ndarray[Any, Any], affine: np.ndarray[Any, Any] = AFFINE) -> Volume:
    return Volume(voxels[None], affine)


def written(folder: Path, voxels: np.ndarray[Any, Any] | None = None) -> tuple[Path, Path]:
    """A series and a segmentation of it."""
    series = make_series(folder / "series")
    image = read_image(series)
    write_dicom_seg(folder / "seg.dcm", mask_of(labels() if voxels is None else voxels, image.affine), NAMES, series)
    return series, folder / "seg.dcm"


def by_highdicom(folder: Path, pixels: np.ndarray[Any, Any], kind: str, **more: Any) -> Path:
    """Let highdicom write `pixels`: (frames, Y, X) labels, or (frames, Y, X, segments)."""
    series = make_series(folder / "series")
    from pydicom.sr.codedict import codes

    segments = pixels.shape[3] if pixels.ndim == 4 else max(int(pixels.max()), 1)
    described = [
        highdicom.seg.SegmentDescription(number, f"s{number}", codes.SCT.Tissue, codes.SCT.Tissue, "MANUAL")
        for number in range(1, segments + 1)
    ]
    made = highdicom.seg.Segmentation(
        [pydicom.dcmread(path) for path in sorted(series.iterdir())],
        pixels,
        kind,
        described,
        highdicom.UID(),
        1,
        highdicom.UID(),
        1,
        "maker",
        "model",
        "1",
        "1",
        **more,
    )
    made.save_as(folder / "seg.dcm")
    return folder / "seg.dcm"


def padded(scan: Any) -> np.ndarray[Any, Any]:
    """Put a partial mask into the grid of the series, as the caller does."""
    offset = np.rint(np.linalg.inv(AFFINE) @ scan.volume.affine)[:3, 3].astype(int)
    np.testing.assert_allclose(
        np.linalg.inv(AFFINE) @ scan.volume.affine - np.eye(4),
        np.r_[np.zeros((0, 4)), [[0, 0, 0, o] for o in offset], [[0, 0, 0, 0]]],
        atol=1e-3,
    )
    whole = np.zeros(STORED.shape, np.uint8)
    x, y, z = offset
    size = scan.volume.shape
    whole[x : x + size[0], y : y + size[1], z : z + size[2]] = scan.volume.voxels[0]
    return whole


def test_what_is_written_is_read(tmp_path: Path) -> None:
    _, path = written(tmp_path)
    scan = scan_mask(path)
    assert scan.partial
    assert scan.volume.shape == (9, 8, 4), "planes 1 to 4: only those were stored"
    assert read_heading(path).grid == (9, 8, 4)
    np.testing.assert_array_equal(padded(scan), labels())


def test_highdicom_reads_what_is_written(tmp_path: Path) -> None:
    series, path = written(tmp_path)
    found = highdicom.seg.segread(path)
    volume = found.get_volume(combine_segments=True)
    to_ours = np.linalg.inv(AFFINE) @ np.diag([-1, -1, 1, 1]) @ volume.affine
    seen = {
        tuple(np.rint(to_ours @ [*index, 1])[:3].astype(int).tolist()): int(volume.array[tuple(index)])
        for index in np.argwhere(volume.array)
    }
    assert seen == {tuple(index.tolist()): int(labels()[tuple(index)]) for index in np.argwhere(labels())}
    assert [found.get_segment_description(number).segment_label for number in (1, 2)] == ["core", "rim"]
    source = pydicom.dcmread(next(series.iterdir()))
    for name in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert found.get(name) == source.get(name)
    assert found.SeriesInstanceUID != source.SeriesInstanceUID


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    series, path = written(tmp_path)
    before = path.read_bytes()
    affine = read_image(series).affine
    write_dicom_seg(path, mask_of(labels(), affine), NAMES, series)
    assert path.read_bytes() == before
    assert date.today().strftime("%Y%m%d").encode() not in before, "no day of writing"
    write_dicom_seg(path, mask_of(np.roll(labels(), 1, 0), affine), NAMES, series)
    assert pydicom.dcmread(path).SOPInstanceUID != pydicom.dcmread(tmp_path / "seg.dcm").file_meta.TransferSyntaxUID
    assert path.read_bytes() != before


def test_gaps_in_the_numbers_and_no_label_at_all(tmp_path: Path) -> None:
    series, path = written(tmp_path)
    affine = read_image(series).affine
    write_dicom_seg(path, mask_of(labels() * 2, affine), {2: "a", 4: "b"}, series)
    np.testing.assert_array_equal(padded(scan_mask(path)), labels() * 2)
    write_dicom_seg(path, mask_of(np.zeros_like(labels()), affine), NAMES, series)
    assert not padded(scan_mask(path)).any()


def test_a_file_of_frames_in_any_order_can_be_segmented(tmp_path: Path) -> None:
    series = enhanced(tmp_path / "a.dcm", order=[4, 0, 2, 5, 1, 3])
    data = pydicom.dcmread(series)
    data.SpecificCharacterSet = "ISO_IR 100"
    for number, group in enumerate(data.PerFrameFunctionalGroupsSequence):
        content = pydicom.Dataset()
        content.DimensionIndexValues = [number + 1]
        group.FrameContentSequence = [content]
    data.save_as(series, enforce_file_format=True)
    write_dicom_seg(tmp_path / "seg.dcm", mask_of(labels(), read_image(series).affine), NAMES, series)
    np.testing.assert_array_equal(padded(scan_mask(tmp_path / "seg.dcm")), labels())


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_what_highdicom_writes(tmp_path: Path, kind: str) -> None:
    path = by_highdicom(tmp_path, labels().transpose(2, 1, 0), kind)
    np.testing.assert_array_equal(padded(scan_mask(path)), labels())


def test_compressed_frames(tmp_path: Path) -> None:
    path = by_highdicom(tmp_path, labels().transpose(2, 1, 0), "LABELMAP", transfer_syntax_uid=RLE)
    np.testing.assert_array_equal(padded(scan_mask(path)), labels())
    code = f"""
import sys
sys.modules["pydicom"] = sys.modules["pydicom.pixels"] = None
from pathlib import Path
from medseg.files.scans import scan_mask
try:
    scan_mask(Path({str(path)!r}))
except Exception as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert (
        "compressed segmentations need pydicom, got no pydicom; install the reader with pip install 'medseg[dicom]'"
        in told
    )


def test_fractions_are_cut_on_request_only(tmp_path: Path) -> None:
    share = np.zeros((6, 8, 9))
    share[2, 3, 4], share[3, 4, 5] = 0.6, 0.4
    path = by_highdicom(tmp_path, share, "FRACTIONAL", max_fractional_value=200)
    with pytest.raises(Refusal, match=r"a mask holds whole labels, got fractions .*\[round_mask\]") as refused:
        read_mask(path)
    assert refused.value.override == "data.repair=[round_mask]"
    scan = scan_mask(path, Reading(repair=("round_mask",)))
    whole = padded(scan)
    assert whole[4, 3, 2] == 1
    assert whole.sum() == 1
    assert scan.applied == Reading(repair=("round_mask",))
    assert [finding.severity for finding in scan.findings] == ["note"]


def test_segments_that_overlap_are_refused(tmp_path: Path) -> None:
    both = np.zeros((6, 8, 9, 2), np.uint8)
    both[2, 2:5, 2:5, 0] = both[2, 4:6, 4:6, 1] = 1
    with pytest.raises(Refusal, match="segments do not overlap, got segments 1 and 2 share 1 voxels"):
        read_mask(by_highdicom(tmp_path, both, "BINARY"))


def changed(path: Path, **values: Any) -> Path:
    data = pydicom.dcmread(path)
    for name, value in values.items():
        setattr(data, name, value)
    data.save_as(path)
    return path


def test_a_segmentation_is_no_image(tmp_path: Path) -> None:
    series, path = written(tmp_path)
    with pytest.raises(Refusal, match=r"is an image, got a segmentation \(DICOM-SEG\); name it as a mask"):
        read_image(path)
    path = path.rename(series / "seg.dcm")
    assert [one.value for one in scan_image(series).findings] == ["1 that are none, like seg.dcm"]
    np.testing.assert_array_equal(padded(scan_mask(series)), labels())
    (series / "two.dcm").write_bytes(path.read_bytes())
    with pytest.raises(Refusal, match=r"a folder holds one segmentation, got 2, like seg.dcm and two.dcm"):
        read_mask(series)


def test_wrong_segmentations_are_refused(tmp_path: Path) -> None:
    _, path = written(tmp_path)
    whole = path.read_bytes()
    with pytest.raises(Refusal, match="the segmentation is BINARY, FRACTIONAL or LABELMAP, got OTHER"):
        read_mask(changed(path, SegmentationType="OTHER"))
    path.write_bytes(whole)
    with pytest.raises(Refusal, match="every frame has its functional groups, got 4 for 5 frames"):
        read_mask(changed(path, NumberOfFrames=5))
    path.write_bytes(whole[:-4])
    with pytest.raises(Refusal, match="is as long as its elements claim"):
        read_mask(path)
    path.write_bytes(whole)
    data = pydicom.dcmread(path)
    data.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0].ImagePositionPatient[2] += 1
    data.save_as(path)
    with pytest.raises(Refusal, match=r"frames are evenly spaced \(to 1 % of a step\)"):
        read_mask(path)
    path.write_bytes(whole)
    with pytest.raises(Refusal, match="a mask has at most 8 times the voxels of its image, got 288 for 10"):
        scan_mask(path, limit_voxels=10)


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    series, path = written(tmp_path)
    affine = read_image(series).affine
    moved = affine.copy()
    moved[0, 3] += 0.5
    with pytest.raises(Refusal, match="the mask lies on the grid of the series, got"):
        write_dicom_seg(path, mask_of(labels(), moved), NAMES, series)
    with pytest.raises(Refusal, match="the mask lies on the grid of the series, got"):
        write_dicom_seg(path, mask_of(labels()[:, :, :5], affine), NAMES, series)
    with pytest.raises(Refusal, match=r"every label from 1 to 255 has a name, got labels \[1, 2\], names for \[1\]"):
        write_dicom_seg(path, mask_of(labels(), affine), {1: "core"}, series)
    with pytest.raises(Refusal, match=r"a mask is .* of uint8, got float32"):
        write_dicom_seg(path, mask_of(labels().astype(np.float32), affine), NAMES, series)
    (tmp_path / "scan.nii.gz").write_bytes(b"")
    for other in (tmp_path / "scan.nii.gz", tmp_path / "gone"):
        with pytest.raises(Refusal, match="a DICOM-SEG belongs to a DICOM series"):
            write_dicom_seg(path, mask_of(labels(), affine), NAMES, other)


def test_without_the_extra_writing_says_what_to_install(tmp_path: Path) -> None:
    series = make_series(tmp_path / "series")
    code = f"""
import sys
sys.modules["highdicom"] = None
from pathlib import Path
from medseg.files.foreign.dicom.writing import write_dicom_seg
from medseg.files.scans import read_image
from medseg.values.volume import Volume
series = Path({str(series)!r})
image = read_image(series)
try:
    write_dicom_seg(Path("seg.dcm"), Volume((image.voxels > 0).astype("u1"), image.affine), {{1: "core"}}, series)
except Exception as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    rule = "seg.dcm: DICOM-SEG is written with highdicom, got no highdicom; install the writer with pip install"
    assert f"{rule} 'medseg[dicom]'" in told
