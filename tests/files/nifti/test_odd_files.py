"""Every odd file is read as a second reader reads it, or refused for a reason that the second reader confirms."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, Literal, NamedTuple

import nibabel
import numpy as np
import pytest

from medseg.files.nifti.scan import read_heading, scan_image
from medseg.files.reading import Reading
from medseg.values.error import Refusal

ROOT = Path(__file__).parents[3]
ODD = ROOT.parent / "shared" / "data" / "odd"
PAGE = ROOT / "docs" / "odd_files.md"
Reason = Literal["alone", "colours", "complex", "connections", "flat", "holes", "no scan", "unset"]
RULES: dict[Reason, str] = {
    "alone": "is a file that exists",
    "colours": "voxels are single real numbers of up to 64 bits",
    "complex": "has three dimensions, or four for several volumes",
    "connections": "has three dimensions, or four for several volumes",
    "flat": "has three dimensions, or four for several volumes",
    "holes": "all voxels are finite 32-bit numbers",
    "no scan": "is a NIfTI-1 or NIfTI-2 file",
    "unset": "the header names an orientation (sform or qform)",
}
BY_HAND = "`data.assume_orientation=RAS` (or what is true) reads it"


class Odd(NamedTuple):
    """A file, why it is refused (None: it is read), and what is odd about it."""

    file: str
    refused: Reason | None
    oddity: str


def of_type(name: str) -> Odd:
    return Odd(f"nifti_rs/27/{name}.nii", None, f"3 x 3 x 3 voxels of {name}")


def damaged(name: str) -> Odd:
    return Odd(f"nifti_rs/fuzz_artifacts/{name}", "no scan", "made by a fuzzer: neither size nor magic of a header")


TABLE = [
    Odd("nibabel_tests/analyze.hdr", "no scan", "ANALYZE 7.5: the format does not tell left from right"),
    Odd("nibabel_tests/anatomical.nii", None, "big-endian; sform and qform say the same"),
    Odd("nibabel_tests/example4d.nii.gz", None, "two volumes; a tilted sform whose qform lost digits in rounding"),
    Odd("nibabel_tests/example_nifti2.nii.gz", None, "NIfTI-2 of two volumes"),
    Odd("nibabel_tests/functional.nii", None, "twenty volumes of scaled integers"),
    Odd("nibabel_tests/nifti1.hdr", "alone", "header of a pair without its .img"),
    Odd("nibabel_tests/nifti2.hdr", "alone", "NIfTI-2 header of a pair without its .img"),
    Odd("nibabel_tests/reoriented_anat_moved.nii", None, "big-endian floats"),
    Odd(
        "nibabel_tests/resampled_anat_moved.nii",
        "holes",
        "153 of 1071 voxels are NaN; `data.repair=[fill_nonfinite]` reads it",
    ),
    Odd(
        "nibabel_tests/row_major.dconn.nii",
        "connections",
        "CIFTI-2: a matrix of connections in a NIfTI-2 file, no grid",
    ),
    Odd("nibabel_tests/standard.nii.gz", None, "no qform, no units"),
    Odd("nibabel_tests/test.mgz", "no scan", "FreeSurfer's MGH format, packed"),
    Odd("nifti_reader_js/5D_small.nii", None, "vectors on the fifth axis: three volumes"),
    Odd(
        "nifti_reader_js/5D_zeros.nii.gz",
        None,
        "vectors on the fifth axis, all of them zero (a data set refuses it as constant)",
    ),
    Odd("nifti_reader_js/air.hdr.gz", None, "packed pair, named by its header"),
    Odd("nifti_reader_js/air.img.gz", None, "packed pair, named by its voxels"),
    Odd("nifti_reader_js/air2.hdr.gz", None, "packed NIfTI-2 pair, named by its header"),
    Odd("nifti_reader_js/air2.img.gz", None, "packed NIfTI-2 pair, named by its voxels"),
    Odd("nifti_reader_js/avg152T1_LR_nifti.nii", None, "big-endian header, left-right flipped axes"),
    Odd("nifti_reader_js/avg152T1_LR_nifti.nii.gz", None, "the same, packed"),
    Odd("nifti_reader_js/avg152T1_LR_nifti2.nii.gz", None, "the same as floats in NIfTI-2"),
    Odd("nifti_reader_js/big.nii.gz", None, "big-endian, only a qform, a statistic by its intent code"),
    Odd("nifti_reader_js/little.nii.gz", None, "little-endian, only a qform, a fourth axis of one"),
    Odd("nifti_reader_js/not-nifti.nii", "no scan", "bytes without meaning under the name of a scan"),
    Odd("nifti_reader_js/with_extension.nii.gz", None, "a header extension in front of the voxels"),
    *map(of_type, ("float32", "float64", "int16", "int32", "int64", "int8", "uint16", "uint32", "uint64", "uint8")),
    Odd("nifti_rs/avg152T1_LR_nifti.hdr.gz", "alone", "packed header of a pair without its .img"),
    Odd("nifti_rs/avg152T1_LR_nifti.nii.gz", None, "big-endian header, left-right flipped axes"),
    Odd("nifti_rs/complex/complex32.nii", "complex", "a flat picture of complex numbers"),
    Odd("nifti_rs/complex/complex64.nii", "complex", "a flat picture of complex numbers"),
    Odd("nifti_rs/f32.nii.gz", None, "no qform, no units"),
    damaged("crash-08123ef33416bd6f0c5fa63d44b681b8581d62a0"),
    damaged("crash-1.nii"),
    damaged("crash-98aa054390f8d3f932f190dc22ef62c6ff2d6619"),
    damaged("crash-d03c6346fe83a026738f6b8cd2a9335a3f8cb158"),
    damaged("crash-ed7d46344d7efb3b9f0c374d66d2e02f66cc447d.nii"),
    Odd("nifti_rs/minimal.hdr", "unset", f"pair without an orientation; {BY_HAND}"),
    Odd("nifti_rs/minimal.hdr.gz", "unset", f"packed pair without an orientation; {BY_HAND}"),
    Odd("nifti_rs/minimal.img", "unset", f"pair without an orientation; {BY_HAND}"),
    Odd("nifti_rs/minimal.img.gz", "unset", f"packed pair without an orientation; {BY_HAND}"),
    Odd("nifti_rs/minimal.nii", "unset", f"no orientation; {BY_HAND}"),
    Odd("nifti_rs/minimal.nii.gz", "unset", f"no orientation; {BY_HAND}"),
    Odd("nifti_rs/minimal2.hdr", "unset", f"plain header of packed voxels, no orientation; {BY_HAND}"),
    Odd("nifti_rs/minimal2.img.gz", "unset", f"packed voxels of a plain header, no orientation; {BY_HAND}"),
    Odd("nifti_rs/minimal_extended_hdr.nii", "flat", "a flat picture of 8 x 8 behind a header extension"),
    Odd("nifti_rs/rgb/3D.nii", "colours", "red, green and blue in each voxel"),
    Odd("nifti_rs/rgb/4D.nii", "colours", "red, green and blue in each voxel, two volumes"),
    Odd("nifti_rs/rgba/4D.nii", "colours", "red, green, blue and opacity in each voxel, two volumes"),
    Odd("nifti_rs/zstat1.nii.gz", None, "big-endian, only a qform, a statistic by its intent code"),
]
READ = [odd for odd in TABLE if odd.refused is None]
# SimpleITK does not know NIfTI-2, and crashes on vectors of scaled integers
BOTH_READ = [odd for odd in READ if not any(mark in odd.file for mark in ("nifti2", "air2", "5D"))]
REFUSED = [odd for odd in TABLE if odd.refused is not None]
HEAD = """# Odd files and what becomes of them

The small real files in `shared/data/odd` (test data of nibabel, nifti-rs and NIFTI-Reader-JS) that readers trip over.
"Read" means: voxels and affine are those of nibabel, and of SimpleITK where it reads the file at all. "Refused" names
the rule; that it is true is confirmed with nibabel. `tests/files/nifti/test_odd_files.py` holds this table and
checks it.

| file | outcome | what is odd about it |
|---|---|---|
"""
needs_data = pytest.mark.skipif(not ODD.is_dir(), reason="needs the odd files of ../shared/data")


def page() -> str:
    """Return the page of the documentation that shows the table."""
    rows = [f"| `{file}` | {_outcome(reason)} | {oddity} |\n" for file, reason, oddity in TABLE]
    count = f"\n{len(TABLE)} files: {len(READ)} read, {len(REFUSED)} refused.\n"
    return HEAD + "".join(rows) + count


def _outcome(reason: Reason | None) -> str:
    return f"refused: {RULES[reason]}" if reason else "read"


def second_reading(path: Path) -> Any:
    """Open a file with nibabel; it does not find the halves of a pair that is packed in two ways by itself."""
    if path.name.startswith("minimal2."):
        header = nibabel.nifti1.Nifti1PairHeader((path.parent / "minimal2.hdr").read_bytes(), endianness=">")
        content = gzip.decompress((path.parent / "minimal2.img.gz").read_bytes())
        voxels = np.frombuffer(content, header.get_data_dtype()).reshape(header.get_data_shape(), order="F")
        return nibabel.Nifti1Pair(voxels, None, header)
    return nibabel.load(path)


def numbers(image: Any) -> np.ndarray[Any, Any]:
    """Return voxels `(X, Y, Z, volumes)` as float32."""
    voxels = np.asarray(image.dataobj).astype(np.float32)
    return voxels.reshape((*voxels.shape[:3], -1))


@needs_data
def test_the_table_names_every_file() -> None:
    found = sorted(path.relative_to(ODD).as_posix() for path in ODD.rglob("*") if path.is_file())
    assert sorted(odd.file for odd in TABLE) == found


def test_the_page_shows_the_table() -> None:
    assert PAGE.read_text() == page()


@needs_data
@pytest.mark.parametrize("odd", READ, ids=[odd.file for odd in READ])
def test_a_file_is_read_as_nibabel_reads_it(odd: Odd) -> None:
    expected = second_reading(ODD / odd.file)
    voxels = numbers(expected)
    assert read_heading(ODD / odd.file).volumes == voxels.shape[3]
    for component in range(voxels.shape[3]):
        scan = scan_image(ODD / odd.file, component)
        assert np.array_equal(scan.volume.voxels[0], voxels[..., component])
        assert np.allclose(scan.volume.affine, expected.affine, atol=1e-5)
        assert scan.findings == ()


@needs_data
@pytest.mark.parametrize("odd", BOTH_READ, ids=[odd.file for odd in BOTH_READ])
def test_a_file_is_read_as_simpleitk_reads_it(odd: Odd) -> None:
    import SimpleITK

    image = SimpleITK.ReadImage(str(ODD / odd.file))
    voxels = SimpleITK.GetArrayFromImage(image).T.astype(np.float32)
    voxels = voxels.reshape((*voxels.shape[:3], -1))
    for component in range(voxels.shape[3]):
        scan = scan_image(ODD / odd.file, component)
        assert np.allclose(scan.volume.voxels[0], voxels[..., component], rtol=1e-6)
    for index in ([0, 0, 0], [side - 1 for side in scan.volume.shape]):
        point = np.array(image.TransformIndexToPhysicalPoint([*index, 0][: image.GetDimension()])[:3]) * [-1, -1, 1]
        assert np.allclose(scan.volume.affine @ [*index, 1], [*point, 1], atol=0.05)


@needs_data
@pytest.mark.parametrize("odd", REFUSED, ids=[odd.file for odd in REFUSED])
def test_a_file_is_refused_by_its_rule(odd: Odd) -> None:
    assert odd.refused is not None
    with pytest.raises(Refusal) as caught:
        scan_image(ODD / odd.file)
    assert caught.value.rule == RULES[odd.refused]
    assert Path(caught.value.subject).name.split(".")[0] == Path(odd.file).name.split(".")[0]


@needs_data
@pytest.mark.parametrize("odd", REFUSED, ids=[odd.file for odd in REFUSED])
def test_nibabel_confirms_the_reason(odd: Odd) -> None:
    path = ODD / odd.file
    if odd.refused == "no scan":
        confirm_no_scan(path)
    elif odd.refused == "alone":
        with pytest.raises(FileNotFoundError):
            nibabel.load(path).get_fdata()
    elif odd.refused == "connections":
        assert isinstance(nibabel.load(path), nibabel.Cifti2Image)
    else:
        confirm(odd.refused, second_reading(path))


def confirm_no_scan(path: Path) -> None:
    try:
        image = nibabel.load(path)
    except (nibabel.filebasedimages.ImageFileError, nibabel.spatialimages.HeaderDataError):
        return
    assert not isinstance(image, (nibabel.Nifti1Pair, nibabel.Nifti2Pair))


def confirm(reason: Reason | None, image: Any) -> None:
    header = image.header
    facts = {
        "colours": header.get_data_dtype().names is not None,
        "complex": len(image.shape) == 2 and header.get_data_dtype().kind == "c",
        "flat": len(image.shape) == 2,
        "holes": reason == "holes" and not np.isfinite(numbers(image)).all(),
        "unset": int(header["sform_code"]) == 0 and int(header["qform_code"]) == 0,
    }
    assert facts[str(reason)]


@needs_data
@pytest.mark.parametrize("odd", [odd for odd in REFUSED if odd.refused == "unset"], ids=lambda odd: odd.file)
def test_a_given_orientation_reads_what_names_none(odd: Odd) -> None:
    scan = scan_image(ODD / odd.file, 0, Reading(assume_orientation="RAS"))
    expected = second_reading(ODD / odd.file)
    assert np.array_equal(scan.volume.voxels[0], numbers(expected)[..., 0])
    assert np.array_equal(np.diag(scan.volume.affine)[:3], expected.header.get_zooms()[:3])


@needs_data
def test_filling_reads_what_has_holes() -> None:
    path = ODD / "nibabel_tests" / "resampled_anat_moved.nii"
    scan = scan_image(path, 0, Reading(repair=("fill_nonfinite",)))
    expected = numbers(second_reading(path))[..., 0]
    assert np.array_equal(scan.volume.voxels[0], np.where(np.isfinite(expected), expected, np.nanmin(expected)))


if __name__ == "__main__":
    PAGE.write_text(page())
