"""Files are verified to their last byte, and nothing that a header claims is believed before it is seen."""

from __future__ import annotations

import gzip
import os
import resource
import subprocess
import sys
import zlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.files.nifti.scan import read_heading, scan_image, scan_mask
from medseg.files.nifti.voxels import cut
from medseg.values.error import Refusal
from tests.files.nifti.nifti_files import noise, read_image, read_mask, refusal, refused, saved

Spoil = Callable[[bytes], bytes]

SPOILED: list[tuple[str, Spoil, str]] = [
    ("cut in half", lambda data: data[: len(data) // 2], "the gzip stream is whole"),
    ("trailer cut", lambda data: data[:-4], "the gzip stream is whole"),
    ("checksum flipped", lambda data: data[:-8] + bytes([data[-8] ^ 1]) + data[-7:], "the gzip stream is whole"),
    ("length flipped", lambda data: data[:-1] + bytes([data[-1] ^ 1]), "the gzip stream is whole"),
    ("bit flipped", lambda data: data[:900] + bytes([data[900] ^ 4]) + data[901:], "the gzip stream is whole"),
    ("only the magic", lambda data: data[:2], "the gzip stream is whole"),
    ("zeros and garbage behind", lambda data: data + bytes(99) + b"garbage", "the gzip stream is whole"),
    ("many zeros behind", lambda data: data + bytes(1 << 20), "the gzip stream is whole"),
    ("a broken second member", lambda data: data + b"\x1f\x8b", "the gzip stream is whole"),
    ("thousands of empty members", lambda data: gzip.compress(b"") * 5000 + data, "the gzip stream is whole"),
    ("garbage behind", lambda data: data + b"garbage", "the gzip stream is whole"),
    ("empty", lambda data: b"", "is a NIfTI-1 or NIfTI-2 file"),
]


@pytest.mark.parametrize(("spoil", "rule"), [case[1:] for case in SPOILED], ids=[case[0] for case in SPOILED])
def test_a_damaged_gzip_is_refused(tmp_path: Path, spoil: Spoil, rule: str) -> None:
    path = saved(tmp_path / "scan.nii.gz", noise((12, 12, 12)))
    path.write_bytes(spoil(path.read_bytes()))
    message = refusal(read_image, path)
    assert message.startswith(rule)
    assert message.endswith("again")
    refusal(read_mask, path)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("change", [-1, -300, 1, 2_000_000])
def test_a_file_of_another_size_than_claimed_is_refused(tmp_path: Path, ending: str, change: int) -> None:
    voxels = noise()
    path = saved(tmp_path / f"scan{ending}", voxels)
    content = gzip.decompress(path.read_bytes()) if ending == ".nii.gz" else path.read_bytes()
    content = content[:change] if change < 0 else content + bytes(change)
    path.write_bytes(gzip.compress(content) if ending == ".nii.gz" else content)
    message = refusal(read_image, path)
    assert message.startswith("is as long as its header claims, got ")
    assert f" of {352 + voxels.nbytes} bytes; " in message


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_header_that_claims_the_impossible_allocates_nothing(tmp_path: Path, ending: str) -> None:
    path = saved(tmp_path / f"scan{ending}", noise(), dim=[3, 32767, 32767, 32767, 1, 1, 1, 1])
    assert f" of {352 + 4 * 32767**3} bytes; " in refusal(read_image, path)

    with pytest.raises(Refusal, match="is as long as its header claims"):
        read_heading(path)


@pytest.mark.parametrize(("join", "padding"), [(1, 0), (2, 0), (40, 0), (1, 512), (3, 4096)])
def test_a_gzip_of_several_members_and_some_padding_is_read(tmp_path: Path, join: int, padding: int) -> None:
    path = saved(tmp_path / "scan.nii.gz", noise((20, 20, 20)))
    content = gzip.decompress(path.read_bytes())
    size = -(-len(content) // join)
    members = [gzip.compress(content[start : start + size]) for start in range(0, len(content), size)]
    path.write_bytes(b"".join(members) + gzip.compress(b"") + bytes(padding))
    assert np.array_equal(read_image(path).voxels[0], noise((20, 20, 20)))


def test_the_trailer_is_verified_behind_a_volume_in_the_middle_too(tmp_path: Path) -> None:
    path = saved(tmp_path / "four.nii.gz", noise((8, 8, 8, 3)))
    path.write_bytes(path.read_bytes()[:-8] + bytes(8))
    for component in range(3):
        with pytest.raises(Refusal, match="the gzip stream is whole"):
            scan_image(path, component)


@given(st.tuples(*[st.integers(1, 12)] * 3), st.integers(1, 200))
@settings(max_examples=200, deadline=None)
def test_a_grid_is_cut_into_boxes_in_the_order_of_the_file(grid: tuple[int, int, int], most: int) -> None:
    expected = np.arange(np.prod(grid)).reshape(grid, order="F")
    numbers = [expected[box].ravel(order="F") for box in cut(grid, most)]
    assert np.array_equal(np.concatenate(numbers), np.arange(expected.size))
    assert max(part.size for part in numbers) <= most


@pytest.mark.parametrize("shape", [(300_001, 1, 3), (1, 300_001, 2), (700, 600, 2), (3, 5, 70_000), (1, 1, 1)])
def test_grids_of_any_shape_are_read(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    voxels = noise(shape)
    nibabel.Nifti2Image(voxels, np.diag([2.0, 3, 4, 1])).to_filename(tmp_path / "scan.nii")
    volume = read_image(tmp_path / "scan.nii")
    assert np.array_equal(volume.voxels[0], voxels)
    assert volume.voxels.flags.c_contiguous


def bomb(path: Path, shape: tuple[int, int, int], zeros: int) -> Path:
    """Write a packed uint8 file that claims `shape` and unpacks to `zeros` voxels of 0."""
    saved(path.with_suffix(""), np.zeros((1, 1, 1), np.uint8), dim=[3, *shape, 1, 1, 1, 1])
    head = path.with_suffix("").read_bytes()[:352]
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    with path.open("wb") as file:
        file.write(packer.compress(head))
        for _ in range(zeros // (1 << 20)):
            file.write(packer.compress(bytes(1 << 20)))
        file.write(packer.flush())
    return path


def hole(path: Path, shape: tuple[int, int, int]) -> Path:
    """Write a plain file that is all hole behind its header."""
    saved(path, np.zeros((1, 1, 1), np.uint8), dim=[3, *shape, 1, 1, 1, 1])
    os.truncate(path, 352 + int(np.prod(shape)))
    return path


SHRUNK = "no image shrinks more than 500 times"


def test_an_image_that_shrinks_too_well_is_refused_at_once(tmp_path: Path) -> None:
    path = bomb(tmp_path / "bomb.nii.gz", (512, 512, 128), 1 << 25)
    refusal = refused(path)
    assert refusal.rule == SHRUNK
    assert refusal.value == f"{(1 << 25) + 352} bytes from {path.stat().st_size} on disk"
    assert refusal.remedy == "store it uncompressed and without holes if it is real"
    sparse = refused(hole(tmp_path / "hole.nii", (1024, 1024, 64)))
    assert sparse.rule == SHRUNK
    assert scan_mask(path).volume.shape == (512, 512, 128), "masks shrink that much"


def test_a_small_image_may_shrink_as_it_likes(tmp_path: Path) -> None:
    path = saved(tmp_path / "flat.nii.gz", np.zeros((200, 200, 200), np.uint8))
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 9))
    assert path.stat().st_size * 500 < 8_000_000
    assert not read_image(path).voxels.any()


def test_a_mask_is_held_against_the_size_of_its_image(tmp_path: Path) -> None:
    path = saved(tmp_path / "mask.nii.gz", np.ones((10, 10, 10), np.uint8))
    assert scan_mask(path, limit_voxels=125).volume.voxels.all()
    with pytest.raises(Refusal) as caught:
        scan_mask(path, limit_voxels=124)
    assert caught.value.rule == "a mask has at most 8 times the voxels of its image"
    assert caught.value.value == "1000 for 124"
    assert caught.value.remedy == "resample the mask to the image"


MEASURE = """
import resource, sys
from pathlib import Path
from medseg.files.nifti.scan import scan_image, scan_mask
from medseg.values.error import Refusal
def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) * 1024
read = scan_image if sys.argv[1] == "image" else scan_mask
read(Path(sys.argv[2]))
before = peak()
try:
    outcome = str(read(Path(sys.argv[3])).volume.voxels.nbytes)
except Refusal as refusal:
    outcome = refusal.rule
print(peak() - before, outcome, sep=";")
"""


def growth_of(path: Path, kind: str) -> tuple[int, str]:
    """Return by how many bytes the peak of a process of its own grows when it reads a file, and what came of it."""
    small = saved(path.parent / "small.nii.gz", np.ones((8, 8, 8), np.uint8))
    command = [sys.executable, "-c", MEASURE, kind, str(small), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    growth, outcome = done.stdout.strip().split(";")
    return int(growth), outcome


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.float64])
def test_an_image_costs_its_voxels_and_little_more(tmp_path: Path, ending: str, dtype: type) -> None:
    voxels = np.tile(noise((160, 160, 5), 2), (1, 1, 32)).astype(dtype)
    path = saved(
        tmp_path / f"scan{ending}", voxels, **({"scl_slope": 2.0, "scl_inter": 1.0} if dtype is np.int16 else {})
    )
    growth, outcome = growth_of(path, "image")
    assert outcome == str(voxels.size * 4)
    assert voxels.size * 4 * 0.9 < growth < voxels.size * 4 + (12 << 20)


def test_a_mask_costs_its_voxels_and_little_more(tmp_path: Path) -> None:
    voxels = np.tile(noise((256, 256, 5), 2) > 100, (1, 1, 64)).astype(np.float64)
    growth, outcome = growth_of(saved(tmp_path / "mask.nii", voxels), "mask")
    assert outcome == str(voxels.size)
    assert voxels.size * 0.9 < growth < voxels.size + (12 << 20)


@pytest.mark.parametrize(
    ("kind", "claimed", "zeros", "rule"),
    [
        ("image", (1024, 1024, 512), 1 << 29, SHRUNK),
        ("image", (2000, 2000, 1000), 1 << 24, "is as long as its header claims"),
        ("mask", (1024, 1024, 80), 1 << 22, "is as long as its header claims"),
        ("mask", (1024, 1024, 60), 1 << 26, "is as long as its header claims"),
    ],
)
def test_a_packed_lie_costs_no_memory(
    tmp_path: Path, kind: str, claimed: tuple[int, int, int], zeros: int, rule: str
) -> None:
    path = bomb(tmp_path / "bomb.nii.gz", claimed, zeros)
    if kind == "mask":  # as much rubbish behind it as the ratio of gzip asks for
        path.write_bytes(path.read_bytes() + gzip.compress(os.urandom(1 << 17)))
    growth, outcome = growth_of(path, kind)
    assert outcome == rule
    assert growth < 8 << 20


def test_a_hole_costs_no_memory(tmp_path: Path) -> None:
    path = hole(tmp_path / "hole.nii", (30_000, 30_000, 10))
    growth, outcome = growth_of(path, "image")
    assert outcome == SHRUNK
    assert growth < 8 << 20


def test_a_volume_beyond_the_memory_is_refused(tmp_path: Path) -> None:
    path = hole(tmp_path / "hole.nii", (2048, 1024, 1024))
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30), hard))
    try:
        refusal = refused(path, mask=True)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert refusal.rule == "its voxels fit into memory"
    assert refusal.value == f"{1 << 31} bytes"
    assert refusal.remedy == "use a larger machine"


OUTCOMES = """
import hashlib, sys
from pathlib import Path
if sys.argv[1] == "zlib":
    sys.modules["isal"] = None
from medseg.files.nifti.scan import scan_image
from medseg.files.nifti.stream import codec
from medseg.values.error import Refusal
print(codec().__name__)
for path in sorted(Path(sys.argv[2]).iterdir()):
    try:
        print(path.name, hashlib.sha256(scan_image(path).volume.voxels).hexdigest())
    except Refusal as refusal:
        print(path.name, refusal.rule)
"""


@pytest.mark.skipif(find_spec("isal") is None, reason="needs the package isal")
def test_both_inflaters_come_to_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    for number, (_, spoil, _) in enumerate([("sound", bytes, ""), *SPOILED]):
        path = saved(folder / f"{number}.nii.gz", noise((12, 12, 12)))
        path.write_bytes(spoil(path.read_bytes()))
    lines = {}
    for name in ("zlib", "isal"):
        command = [sys.executable, "-c", OUTCOMES, name, str(folder)]
        lines[name] = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert (lines["zlib"][0], lines["isal"][0]) == ("zlib", "isal.isal_zlib")
    assert lines["zlib"][1:] == lines["isal"][1:]
    assert len(lines["zlib"]) == len(SPOILED) + 2
