"""MetaImage files (.mha, .mhd), sound, odd and wrong."""

from __future__ import annotations

import zlib
from functools import partial
from pathlib import Path

import numpy as np

from tests.intake.kinds import FLOATS, FOUR, GIGABYTE, IMAGE, LABELS, LPS_TO_RAS, RIGID, Array, Kind, Made, bad, good
from tests.intake.nifti_bytes import Spoil, cut, flipped, sparse, zeros_packed

TYPES = {"i2": "MET_SHORT", "u1": "MET_UCHAR", "f4": "MET_FLOAT", "f8": "MET_DOUBLE", "i4": "MET_INT"}


def fields_of(voxels: Array, packed: bool, order: str, stored: int) -> dict[str, str | None]:
    """Return the fields of a header in their order."""
    lps = LPS_TO_RAS @ RIGID
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    matrix = (lps[:3, :3] / spacing).T.ravel()
    return {
        "ObjectType": "Image",
        "NDims": str(voxels.ndim),
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": str(order == ">"),
        "CompressedData": str(packed),
        "CompressedDataSize": str(stored) if packed else None,
        "TransformMatrix": " ".join(map(repr, map(float, matrix))),
        "Offset": " ".join(map(repr, map(float, lps[:3, 3]))),
        "CenterOfRotation": "0 0 0",
        "ElementSpacing": " ".join(map(repr, map(float, spacing))),
        "DimSize": " ".join(map(str, voxels.shape)),
        "ElementType": TYPES[voxels.dtype.str[1:]],
    }


def meta(
    folder: Path,
    voxels: Array = IMAGE,
    packed: bool = True,
    order: str = "<",
    spoil: Spoil | None = None,
    expect: Array | None = None,
    **changes: str | None,
) -> Made:
    """Write a MetaImage. Of `changes` None takes a field away; another ElementDataFile puts the voxels apart."""
    plain = voxels.astype(voxels.dtype.newbyteorder(order)).tobytes(order="F")
    data = zlib.compress(plain) if packed else plain
    apart = changes.pop("ElementDataFile", "LOCAL")
    fields = {**fields_of(voxels, packed, order, len(data)), **changes, "ElementDataFile": apart}
    head = "".join(f"{name} = {value}\n" for name, value in fields.items() if value is not None).encode()
    path = folder / ("scan.mha" if apart == "LOCAL" else "scan.mhd")
    if apart == "LOCAL":
        path.write_bytes((spoil or bytes)(head + data))
    else:
        path.write_bytes(head)
        if apart in ("voxels.raw", "voxels.zraw"):
            (folder / str(apart)).write_bytes((spoil or bytes)(data))
    return Made(path, voxels if expect is None else expect, RIGID)


def bomb(folder: Path, sizes: str, zeros: int) -> Made:
    """Pack zeros behind a header."""
    data = zeros_packed(b"", zeros, wrapper="zlib")
    made = meta(folder, DimSize=sizes, CompressedDataSize=str(len(data)))
    head = made.path.read_bytes().split(b"LOCAL\n")[0] + b"LOCAL\n"
    made.path.write_bytes(head + data)
    return Made(made.path)


def hole(folder: Path, sizes: str, size: int) -> Made:
    """Write a file that is nearly all hole."""
    made = meta(folder, packed=False, DimSize=sizes)
    head = made.path.read_bytes()[: -IMAGE.nbytes]
    return Made(sparse(made.path, head, len(head) + size))


def without_orientation(folder: Path) -> Made:
    """Say how large the voxels are but not how they lie."""
    made = meta(folder, TransformMatrix=None, Offset=None, AnatomicalOrientation="???")
    return Made(made.path, IMAGE, np.diag([1.5, 2, 3, 1.0]))


def vectors(folder: Path) -> Made:
    """Make an image of three numbers per voxel."""
    voxels = np.moveaxis(FOUR, -1, 0)  # the components of a voxel lie side by side
    made = meta(
        folder, voxels=voxels, NDims="3", DimSize=" ".join(map(str, FOUR.shape[:3])), ElementNumberOfChannels="3"
    )
    return Made(made.path, FOUR[..., 2], RIGID)


HOLED = FLOATS.copy()
HOLED[0, 0, :2] = np.nan, np.inf
BLURRED = LABELS.astype(np.float32)
BLURRED[0, 0, 0] = 0.7
SIZE = "is as long as its header claims"
raw = partial(meta, packed=False)
apart = partial(raw, ElementDataFile="voxels.raw")

META: list[Kind] = [
    good("MHA", meta),
    good("MHA, not packed", raw),
    good("MHD with its voxels apart", apart),
    good("MHD with its voxels apart, packed", partial(meta, ElementDataFile="voxels.zraw")),
    good("MHA in big-endian order", partial(raw, order=">")),
    good("MHA of doubles", partial(meta, voxels=FLOATS.astype(np.float64), expect=FLOATS)),
    good("MHA of vectors, the third component", vectors, component=2),
    good("MHA mask", partial(meta, voxels=LABELS), what="mask"),
    bad(
        "MHA without orientation",
        "the header names an orientation (TransformMatrix)",
        without_orientation,
        orientation="RAS",
    ),
    bad("MHA cut in half", SIZE, partial(raw, spoil=cut(0.7))),
    bad("MHD, voxels apart, cut in half", SIZE, partial(apart, spoil=cut(0.5))),
    bad("MHD, voxels apart, one byte long", SIZE, partial(apart, spoil=lambda data: data + b"1")),
    bad("MHA packed, cut in half", SIZE, partial(meta, spoil=cut(0.8))),
    bad("MHA packed, a bit flipped in its checksum", "the packed stream is whole", partial(meta, spoil=flipped(-1))),
    bad("MHA packed, a bit flipped in the middle", "the packed stream is whole", partial(meta, spoil=flipped(-300))),
    bad("MHA packed, without its packed size", "CompressedDataSize", partial(meta, CompressedDataSize=None)),
    bad("MHA of another size than packed", SIZE, partial(meta, DimSize="9 8 6")),
    bad("MHA that claims the impossible", SIZE, partial(raw, DimSize="32767 32767 32767"), bomb=True),
    bad(
        "MHA of 512 MB out of 0.5 MB",
        "no image shrinks more than 500 times",
        partial(bomb, sizes="1024 512 512", zeros=GIGABYTE // 2),
        bomb=True,
    ),
    bad("MHA with 512 MB behind a small header", SIZE, partial(bomb, sizes="9 8 7", zeros=GIGABYTE // 2), bomb=True),
    bad(
        "MHA of 10 GB of hole",
        "no image shrinks more than 500 times",
        partial(hole, sizes="2048 2048 1280", size=10 * GIGABYTE),
        bomb=True,
    ),
    bad("MHA with a size of 0", "at least one voxel", partial(meta, DimSize="9 0 7")),
    bad("MHA with a size below 0", "every dimension has at least one voxel", partial(meta, DimSize="9 -8 7")),
    bad(
        "MHA of two dimensions",
        "three dimensions",
        partial(
            meta,
            NDims="2",
            DimSize="72 7",
            TransformMatrix="1 0 0 1",
            Offset="0 0",
            ElementSpacing="1 1",
            CenterOfRotation="0 0",
        ),
    ),
    bad(
        "MHA of NaN and infinity",
        "all voxels are finite 32-bit numbers",
        partial(meta, voxels=HOLED, expect=np.where(np.isfinite(HOLED), HOLED, HOLED[np.isfinite(HOLED)].min())),
        mends="fill_nonfinite",
    ),
    bad(
        "MHA mask of interpolated floats",
        "a mask holds whole numbers from 0 to 255",
        partial(meta, voxels=BLURRED, expect=np.rint(BLURRED).astype(np.uint8)),
        what="mask",
        mends="round_mask",
    ),
    bad("MHA with a matrix of NaN", "the affine is finite", partial(meta, TransformMatrix="nan 0 0 0 1 0 0 0 1")),
    bad("MHA with an edge of 0", "voxel edges are finite and above 0 mm", partial(meta, ElementSpacing="0 2 3")),
    bad(
        "MHA with two axes along one line",
        "the affine can be inverted",
        partial(meta, TransformMatrix="1 0 0 1 0 0 0 0 1"),
    ),
    bad("MHA of an unknown type", "voxels are single real numbers", partial(meta, ElementType="MET_QUADRUPLE")),
    bad("MHA without a size", "the header names its DimSize", partial(meta, DimSize=None)),
    bad("MHD without its voxels", "is a file that exists", partial(raw, ElementDataFile="missing.raw")),
    bad(
        "MHD that reaches out of its folder",
        "the header names one data file in its own folder",
        partial(raw, ElementDataFile="../../etc/passwd"),
    ),
    bad(
        "MHD that reaches for an absolute path",
        "the header names one data file in its own folder",
        partial(raw, ElementDataFile="/etc/passwd"),
    ),
    bad(
        "MHD of a list of files",
        "the header names one data file in its own folder",
        partial(raw, ElementDataFile="LIST"),
    ),
    bad(
        "MHD of numbered files",
        "the header names one data file in its own folder",
        partial(raw, ElementDataFile="part%03d.raw 1 7 1"),
    ),
    bad(
        "MHA with nothing in it",
        "is a MetaImage file with a line ElementDataFile",
        partial(meta, spoil=lambda data: b""),
    ),
    bad(
        "MHA that is a text",
        "is a MetaImage file of lines KEY = VALUE",
        partial(meta, spoil=lambda data: b"patient lies on the left\n" * 30),
    ),
    bad("MHA of text", "voxels are stored as binary numbers", partial(raw, BinaryData="False")),
]
