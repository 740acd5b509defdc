"""NIfTI files that are cut, spoilt, packed oddly, missing, or no NIfTI at all; and bombs."""

from __future__ import annotations

import gzip
import os
import zipfile
from functools import partial
from pathlib import Path

import numpy as np

from tests.intake.kinds import AFFINE, GIGABYTE, IMAGE, Kind, Made, bad, good
from tests.intake.nifti_bytes import claiming, cut, flipped, nifti, nifti_bytes, pair, sparse, zeros_packed

NOISE = np.random.default_rng(15).normal(100, 20, (16, 16, 16)).astype(np.float32)
HEAD_FLAGS = b"\x1f\x8b\x08\x1e\x00\x00\x00\x00\x00\xff" + b"\x03\x00xyz" + b"name.nii\x00" + b"a comment\x00"


def with_name_and_comment(folder: Path) -> Made:
    """Pack with every optional field of the gzip header."""
    import zlib

    packed = gzip.compress(nifti_bytes(IMAGE), mtime=0)
    head = HEAD_FLAGS + (zlib.crc32(HEAD_FLAGS) & 0xFFFF).to_bytes(2, "little")
    path = folder / "scan.nii.gz"
    path.write_bytes(head + packed[10:])
    return Made(path, IMAGE, AFFINE)


def in_two_members(folder: Path) -> Made:
    """Pack as two gzip members, as parallel packers do."""
    content = nifti_bytes(IMAGE)
    path = folder / "scan.nii.gz"
    path.write_bytes(gzip.compress(content[:500]) + gzip.compress(content[500:]))
    return Made(path, IMAGE, AFFINE)


def written(name: str, content: bytes) -> partial[Made]:
    """Write some bytes that are no scan."""

    def make(folder: Path) -> Made:
        (folder / name).write_bytes(content)
        return Made(folder / name)

    return partial(make)


def zipped(folder: Path) -> Made:
    """Write a zip archive under the name of a scan."""
    path = folder / "scan.nii.gz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("scan.nii", nifti_bytes(IMAGE))
    return Made(path)


def twice_packed(folder: Path) -> Made:
    """Pack a packed file again."""
    return nifti(folder, spoil=partial(gzip.compress, mtime=0))


def named(name: str) -> partial[Made]:
    """Hand out a path without writing anything."""
    return partial(lambda folder: Made(folder / name))


def a_folder(folder: Path) -> Made:
    """Make a folder with the name of a file."""
    (folder / "scan.nii").mkdir()
    return Made(folder / "scan.nii")


def a_pipe(folder: Path) -> Made:
    """Make a pipe that nobody writes to: opening it would wait for ever."""
    os.mkfifo(folder / "scan.nii")
    return Made(folder / "scan.nii")


def a_circle(folder: Path) -> Made:
    """Make a link to itself."""
    (folder / "scan.nii").symlink_to("scan.nii")
    return Made(folder / "scan.nii")


def a_device(folder: Path) -> Made:
    """Make a link to a device that never ends."""
    (folder / "scan.nii").symlink_to("/dev/zero")
    return Made(folder / "scan.nii")


def bomb(folder: Path, claims: tuple[int, ...], dtype: str, zeros: int) -> Made:
    """Pack zeros behind a header."""
    path = folder / "scan.nii.gz"
    path.write_bytes(zeros_packed(claiming(claims, dtype), zeros))
    return Made(path)


def empty_mask(folder: Path) -> Made:
    """Pack a mask without any label, as small as it gets."""
    voxels = np.zeros((256, 256, 256), np.uint8)
    path = folder / "scan.nii.gz"
    path.write_bytes(zeros_packed(claiming(voxels.shape, "u1"), voxels.size))
    return Made(path, voxels, AFFINE)


def hole(folder: Path, shape: tuple[int, ...], dtype: str, size: int) -> Made:
    """Write a file that is nearly all hole."""
    return Made(sparse(folder / "scan.nii", claiming(shape, dtype), size))


WHOLE = "the gzip stream is whole"
SIZE = "is as long as its header claims"
NO_NIFTI = "is a NIfTI-1 or NIfTI-2 file"
noise = partial(nifti, voxels=NOISE)
plain = partial(nifti, voxels=NOISE, name="scan.nii")

STREAMS: list[Kind] = [
    good("NIfTI-1", partial(nifti, name="scan.nii")),
    good("NIfTI-1, packed", nifti),
    good("packed without the ending", partial(nifti, name="scan.nii", spoil=partial(gzip.compress, mtime=0))),
    good("not packed in spite of the ending", partial(nifti, spoil=gzip.decompress)),
    good("no ending at all", partial(nifti, name="scan")),
    good("endings in capitals", partial(nifti, name="SCAN.NII")),
    good("two gzip members", in_two_members),
    good("name, comment and checksum in the gzip header", with_name_and_comment),
    good("header and image apart, by the header", partial(pair, opened=".hdr")),
    good("header and image apart, by the image", partial(pair, opened=".img")),
    good("header and image apart, packed", partial(pair, opened=".hdr", packed=True)),
    good("a header without its image", partial(pair, opened=".hdr"), oracle="both"),
    bad("an image that is not there", "is a file that exists", partial(pair, opened=".hdr", without=".img")),
    bad("an image without its header", "is a file that exists", partial(pair, opened=".img", without=".hdr")),
    bad("packed, cut in half", WHOLE, partial(noise, spoil=cut(0.5))),
    bad("packed, without its trailer", WHOLE, partial(noise, spoil=lambda data: data[:-8])),
    bad("packed, without the last 4 bytes", WHOLE, partial(noise, spoil=lambda data: data[:-4])),
    bad("packed, a bit flipped in its checksum", WHOLE, partial(noise, spoil=flipped(-8))),
    bad("packed, a bit flipped in its length", WHOLE, partial(noise, spoil=flipped(-1, 3))),
    bad("packed, a bit flipped in the middle", WHOLE, partial(noise, spoil=flipped(2000, 2))),
    bad("packed, garbage behind it", WHOLE, partial(noise, spoil=lambda data: data + b"garbage")),
    bad("packed, only the first two bytes", WHOLE, partial(noise, spoil=lambda data: data[:2])),
    bad("packed twice", NO_NIFTI, twice_packed),
    bad("cut in half", SIZE, partial(plain, spoil=cut(0.5))),
    bad("only the header", SIZE, partial(plain, spoil=lambda data: data[:352])),
    bad("one byte short", SIZE, partial(plain, spoil=lambda data: data[:-1])),
    bad("one byte long", SIZE, partial(plain, spoil=lambda data: data + b"\0")),
    bad(
        "packed soundly after it was cut",
        SIZE,
        partial(noise, spoil=lambda data: gzip.compress(gzip.decompress(data)[:-9])),
    ),
    bad("cut inside the header", NO_NIFTI, partial(plain, spoil=lambda data: data[:200])),
    bad("nothing in it", NO_NIFTI, written("scan.nii.gz", b"")),
    bad("one byte", NO_NIFTI, written("scan.nii", b"\x5c")),
    bad("a page that says sign in", NO_NIFTI, written("scan.nii.gz", b"<!DOCTYPE html><title>Sign in</title>" * 30)),
    bad("a picture", NO_NIFTI, written("scan.nii", b"\x89PNG\r\n\x1a\n" + bytes(600))),
    bad(
        "a pointer of large file storage",
        NO_NIFTI,
        written("scan.nii.gz", b"version https://git-lfs.github.com/spec/v1\n"),
    ),
    bad("a zip archive", NO_NIFTI, zipped),
    bad("an NRRD by the name of a NIfTI", NO_NIFTI, written("scan.nii", b"NRRD0004\ntype: short\n\n" + bytes(600))),
    bad("nothing there", "is a file that exists", named("scan.nii.gz")),
    bad("a folder by the name of a file", "is a file that exists", a_folder),
    bad("a pipe", "is a file that exists", a_pipe),
    bad("a link to itself", "is a file that exists", a_circle),
    bad("a link to a device", "is a file that exists", a_device, bomb=True),
    bad(
        "512 MB out of 0.5 MB",
        "no image shrinks more than 500 times",
        partial(bomb, claims=(1024, 512, 512), dtype="<i2", zeros=GIGABYTE // 2),
        bomb=True,
    ),
    bad("4 GB claimed by a kilobyte", SIZE, partial(bomb, claims=(2048, 1024, 1024), dtype="<i2", zeros=0), bomb=True),
    bad(
        "a small header in front of 512 MB",
        SIZE,
        partial(bomb, claims=(8, 8, 8), dtype="<i2", zeros=GIGABYTE // 2),
        bomb=True,
    ),
    bad(
        "10 GB of hole",
        "no image shrinks more than 500 times",
        partial(hole, shape=(2048, 2048, 1280), dtype="<i2", size=10 * GIGABYTE + 352),
        bomb=True,
    ),
    bad(
        "10 GB of hole behind a small header",
        SIZE,
        partial(hole, shape=(8, 8, 8), dtype="<i2", size=10 * GIGABYTE),
        bomb=True,
    ),
    bad(
        "a mask of 512 MB out of 0.5 MB, as 16 bits",
        "a mask has at most 8 times the voxels of its image",
        partial(bomb, claims=(1024, 512, 512), dtype="<i2", zeros=GIGABYTE // 2),
        what="mask",
        bomb=True,
        limit=8 * IMAGE.size,
    ),
    good("a mask without any label, packed a thousandfold", empty_mask, what="mask"),
]
