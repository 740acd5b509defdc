"""NRRD files, sound, odd and wrong."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from tests.intake.kinds import FLOATS, GIGABYTE, IMAGE, LABELS, LPS_TO_RAS, RIGID, Array, Kind, Made, bad, good
from tests.intake.nifti_bytes import Spoil, cut, flipped, sparse, zeros_packed

TYPES = {"i2": "short", "u1": "uchar", "f4": "float", "f8": "double", "u2": "ushort", "i4": "int"}
PACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    "raw": bytes,
    "gzip": partial(gzip.compress, mtime=0),
    "bzip2": bz2.compress,
    "hex": lambda data: data.hex().encode(),
    "ascii": bytes,
}


def fields_of(voxels: Array, affine: Array, encoding: str, order: str) -> dict[str, str | None]:
    """Return the fields that describe voxels (first axis fastest) in the order in which they are written."""
    code = voxels.dtype.str[1:]
    lps = LPS_TO_RAS @ affine
    vectors = [f"({','.join(map(repr, map(float, lps[:3, axis])))})" for axis in range(3)]
    return {
        "type": TYPES[code],
        "dimension": str(voxels.ndim),
        "space": "left-posterior-superior",
        "sizes": " ".join(map(str, voxels.shape)),
        "space directions": " ".join(vectors),
        "kinds": "domain domain domain",
        "endian": "little" if order == "<" else "big",
        "encoding": encoding,
        "space origin": f"({','.join(map(repr, map(float, lps[:3, 3])))})",
    }


def nrrd(
    folder: Path,
    voxels: Array = IMAGE,
    encoding: str = "gzip",
    order: str = "<",
    spoil: Spoil | None = None,
    expect: Array | None = None,
    affine: Array = RIGID,
    **changes: str | None,
) -> Made:
    """Write an NRRD. Of `changes`, named with _ for a blank, None takes a field away; `data_file` puts voxels apart."""
    fields = fields_of(voxels, RIGID, encoding, order)
    fields.update({name.replace("_", " "): value for name, value in changes.items()})
    head = "NRRD0004\n# made by a test\n" + "".join(
        f"{name}: {value}\n" for name, value in fields.items() if value is not None
    )
    data = PACKERS[encoding](voxels.astype(voxels.dtype.newbyteorder(order)).tobytes(order="F"))
    apart = fields.get("data file")
    path = folder / ("scan.nhdr" if apart else "scan.nrrd")
    if apart:
        path.write_bytes((spoil or bytes)(head.encode()))
        if apart == "voxels.raw":
            (folder / apart).write_bytes(data)
    else:
        path.write_bytes((spoil or bytes)(head.encode() + b"\n" + data))
    return Made(path, voxels if expect is None else expect, affine)


def bomb(folder: Path, sizes: str, zeros: int) -> Made:
    """Pack zeros behind a header."""
    made = nrrd(folder, encoding="raw", sizes=sizes)
    head = made.path.read_bytes()[: -IMAGE.nbytes].replace(b"encoding: raw", b"encoding: gzip")
    made.path.write_bytes(head + zeros_packed(b"", zeros))
    return Made(made.path)


def hole(folder: Path, sizes: str, size: int) -> Made:
    """Write a file that is nearly all hole."""
    made = nrrd(folder, encoding="raw", sizes=sizes)
    head = made.path.read_bytes()[: -IMAGE.nbytes]
    return Made(sparse(made.path, head, len(head) + size))


def linked_outside(folder: Path) -> Made:
    """Let the data file be a link out of the folder."""
    outside = folder / "outside.raw"
    outside.write_bytes(IMAGE.tobytes(order="F"))
    inner = folder / "inner"
    inner.mkdir()
    (inner / "link.raw").symlink_to(outside)
    return nrrd(inner, encoding="raw", data_file="link.raw")


def without_orientation(folder: Path) -> Made:
    """Say how large the voxels are but not how they lie."""
    made = nrrd(folder, space=None, space_directions=None, space_origin=None, spacings="1.5 2 3")
    return Made(made.path, IMAGE, np.diag([1.5, 2, 3, 1.0]))


def in_ras(folder: Path) -> Made:
    """Write directions and origin in the other world frame."""
    vectors = " ".join(f"({','.join(map(repr, map(float, RIGID[:3, axis])))})" for axis in range(3))
    origin = f"({','.join(map(repr, map(float, RIGID[:3, 3])))})"
    return nrrd(folder, space="right-anterior-superior", space_directions=vectors, space_origin=origin)


HOLED = FLOATS.copy()
HOLED[0, 0, :2] = np.nan, np.inf
BLURRED = LABELS.astype(np.float32)
BLURRED[0, 0, 0] = 0.7
raw = partial(nrrd, encoding="raw")
apart = partial(raw, data_file="voxels.raw")

NRRD: list[Kind] = [
    good("NRRD", nrrd),
    good("NRRD, not packed", raw),
    good("NRRD, header and voxels apart", apart),
    good("NRRD in big-endian order", partial(raw, order=">")),
    good("NRRD in right-anterior-superior space", in_ras),
    good(
        "NRRD with key/value pairs",
        partial(nrrd, spoil=lambda data: data.replace(b"encoding", b"who:=me\nencoding", 1)),
    ),
    good("NRRD of doubles", partial(nrrd, voxels=FLOATS.astype(np.float64), expect=FLOATS)),
    good("NRRD with line ends of two characters", partial(apart, spoil=lambda data: data.replace(b"\n", b"\r\n"))),
    good("NRRD whose voxels are a link, as archives of links have them", linked_outside),
    good("NRRD mask", partial(nrrd, voxels=LABELS), what="mask"),
    bad(
        "NRRD without orientation",
        "the header names an orientation (space and space directions)",
        without_orientation,
        orientation="RAS",
    ),
    bad("NRRD cut in half", "is as long as its header claims", partial(raw, spoil=cut(0.6))),
    bad("NRRD, voxels apart, one byte short", "is as long as its header claims", partial(apart, sizes="9 8 8")),
    bad(
        "NRRD with bytes behind the voxels",
        "is as long as its header claims",
        partial(raw, spoil=lambda data: data + b"12"),
    ),
    bad("NRRD packed, cut in half", "the packed stream is whole", partial(nrrd, spoil=cut(0.7))),
    bad("NRRD packed, a bit flipped in its checksum", "the packed stream is whole", partial(nrrd, spoil=flipped(-8))),
    bad("NRRD packed, a bit flipped in the middle", "the packed stream is whole", partial(nrrd, spoil=flipped(-400))),
    bad(
        "NRRD packed, garbage behind it",
        "the packed stream ends with the file",
        partial(nrrd, spoil=lambda data: data + b"12"),
    ),
    bad("NRRD of another size than packed", "is as long as its header claims", partial(nrrd, sizes="9 8 6")),
    bad(
        "NRRD that claims the impossible",
        "is as long as its header claims",
        partial(nrrd, sizes="32767 32767 32767"),
        bomb=True,
    ),
    bad(
        "NRRD that claims more than 64 bits count",
        "is as long as its header claims",
        partial(nrrd, sizes=f"{2**62} {2**62} 7"),
        bomb=True,
    ),
    bad(
        "NRRD of 512 MB out of 0.5 MB",
        "no image shrinks more than 500 times",
        partial(bomb, sizes="1024 512 512", zeros=GIGABYTE // 2),
        bomb=True,
    ),
    bad(
        "NRRD with 512 MB behind a small header",
        "is as long as its header claims",
        partial(bomb, sizes="9 8 7", zeros=GIGABYTE // 2),
        bomb=True,
    ),
    bad(
        "NRRD of 10 GB of hole",
        "no image shrinks more than 500 times",
        partial(hole, sizes="2048 2048 1280", size=10 * GIGABYTE),
        bomb=True,
    ),
    bad("NRRD with a size of 0", "at least one voxel", partial(nrrd, sizes="9 0 7")),
    bad("NRRD with a size below 0", "every dimension has at least one voxel", partial(nrrd, sizes="9 -8 7")),
    bad("NRRD with two sizes for three dimensions", "sizes has one number per dimension", partial(nrrd, sizes="9 56")),
    bad(
        "NRRD of two dimensions",
        "three dimensions",
        partial(nrrd, dimension="2", sizes="72 7", space_directions=None, space=None, space_origin=None, kinds=None),
    ),
    bad(
        "NRRD of NaN and infinity",
        "all voxels are finite 32-bit numbers",
        partial(nrrd, voxels=HOLED, expect=np.where(np.isfinite(HOLED), HOLED, HOLED[np.isfinite(HOLED)].min())),
        mends="fill_nonfinite",
    ),
    bad(
        "NRRD mask of interpolated floats",
        "a mask holds whole numbers from 0 to 255",
        partial(nrrd, voxels=BLURRED, expect=np.rint(BLURRED).astype(np.uint8)),
        what="mask",
        mends="round_mask",
    ),
    bad(
        "NRRD with directions of NaN",
        "the affine is finite",
        partial(nrrd, space_directions="(nan,0,0) (0,1,0) (0,0,1)"),
    ),
    bad("NRRD with an origin of NaN", "the affine is finite", partial(nrrd, space_origin="(nan,0,0)")),
    bad(
        "NRRD with two axes along one line",
        "the affine can be inverted",
        partial(nrrd, space_directions="(1,0,0) (1,0,0) (0,0,1)"),
    ),
    bad("NRRD of an unknown type", "voxels are single real numbers", partial(nrrd, type="quadruple")),
    bad(
        "NRRD of an unknown encoding",
        "voxels are stored raw or gzip packed",
        partial(nrrd, spoil=lambda data: data.replace(b"gzip", b"zstd")),
    ),
    bad("NRRD of text", "voxels are stored raw or gzip packed", partial(nrrd, encoding="ascii")),
    bad("NRRD without sizes", "the header names its sizes", partial(nrrd, sizes=None)),
    bad("NRRD without voxels that are apart", "is a file that exists", partial(raw, data_file="missing.raw")),
    bad(
        "NRRD that reaches out of its folder",
        "the header names one data file in its own folder",
        partial(raw, data_file="../../etc/passwd"),
    ),
    bad(
        "NRRD that reaches for an absolute path",
        "the header names one data file in its own folder",
        partial(raw, data_file="/etc/passwd"),
    ),
    bad("NRRD of a list of files", "the header names one data file in its own folder", partial(raw, data_file="LIST")),
    bad(
        "NRRD of numbered files",
        "the header names one data file in its own folder",
        partial(raw, data_file="part%03d.raw 1 9 1"),
    ),
    bad(
        "NRRD without the blank line",
        "is as long as its header claims",
        partial(nrrd, spoil=lambda data: data.replace(b"\n\n", b"\n", 1)),
    ),
    bad("NRRD without its magic", "is an NRRD file", partial(nrrd, spoil=lambda data: b"XRRD" + data[4:])),
    bad("NRRD with nothing in it", "is an NRRD file", partial(nrrd, spoil=lambda data: b"")),
    bad(
        "NRRD of colours",
        "voxels are single real numbers of up to 64 bits",
        partial(
            raw,
            voxels=np.ones((3, 9, 8, 7), np.uint8),
            kinds="RGB-color domain domain domain",
            space_directions="none (1,0,0) (0,1,0) (0,0,1)",
        ),
    ),
]
