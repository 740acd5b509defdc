"""MetaImage headers (.mha, .mhd): read and checked before any voxel is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from medseg.files.foreign.claim import (
    FETCH,
    LARGEST_HEADER,
    MEND,
    NOWHERE,
    Claim,
    affine_of,
    assumed,
    check_edges,
    data_file,
    in_millimetres,
    numbers,
    refuse_shape,
    whole_numbers,
)
from medseg.files.nifti.affine import Position
from medseg.files.reading import Reading
from medseg.values.error import Refusal

_DTYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_MATRIX = ("TransformMatrix", "Rotation", "Orientation")
_OFFSET = ("Offset", "Position", "Origin")
_SWAPPED = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
_TRUE = ("true", "t", "1", "yes")
_FALSE = ("false", "f", "0", "no")
_SKEW = 1e-6


def read_meta(path: Path, reading: Reading) -> Claim:
    """Read the header of a MetaImage file; refuses what cannot be a three-dimensional real image on a known grid.

    Source: the MetaIO documentation of ITK. Several channels per voxel, or a fourth dimension, are volumes.
    """
    name = str(path)
    fields, end = _fields(path)
    sizes = whole_numbers(name, "DimSize", _needed(name, fields, "DimSize"))
    if fields.get("NDims", "") != str(len(sizes)):
        raise Refusal(name, "DimSize has one number per dimension", f"{fields.get('NDims')}, {tuple(sizes)}", FETCH)
    refuse_shape(name, sizes)
    if not _flag(name, fields, ("BinaryData",), False):
        raise Refusal(name, "voxels are stored as binary numbers", "text", "write it again as binary")
    volumes = _volumes(name, fields, sizes)
    packed = _flag(name, fields, ("CompressedData",), False)
    data, offset = _place(path, fields, end)
    grid = (sizes[0], sizes[1], sizes[2])
    dtype = _dtype(name, fields)
    total = volumes * int(np.prod(grid, dtype=object)) * dtype.itemsize
    skip = _skip(name, fields, data, offset, None if packed else total)
    size = _packed_size(name, fields) if packed else None
    position = _position(name, fields, len(sizes), reading)
    return Claim(
        path=path,
        io="MetaImageIO",
        grid=grid,
        volumes=volumes,
        volume_axis=3 if len(sizes) == 4 else 0,
        dtype=dtype,
        position=position,
        data=data,
        offset=skip,
        packed=packed,
        packed_bytes=size,
    )


def data_named(path: Path) -> Path:
    """Return the file that holds the voxels of a header: itself where they follow it."""
    fields, end = _fields(path)
    return _place(path, fields, end)[0]


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """Return the fields up to ElementDataFile, the last one, and the byte behind its line."""
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        left = LARGEST_HEADER
        while left > 0 and (line := file.readline(min(left, 1 << 16))):
            left -= len(line)
            key, found, text = line.decode("latin-1").partition("=")
            key = key.strip()
            if not found or not key.isascii() or not key.isprintable():
                raise Refusal(str(path), "is a MetaImage file of lines KEY = VALUE", f"{line[:30]!r}", FETCH)
            if key in fields:
                raise Refusal(str(path), "names every field once", key, MEND)
            fields[key] = text.strip()
            if key == "ElementDataFile":
                return fields, file.tell()
    raise Refusal(str(path), "is a MetaImage file with a line ElementDataFile", "none", FETCH)


def _needed(name: str, fields: Mapping[str, str], field: str) -> str:
    if field not in fields:
        raise Refusal(name, f"the header names its {field}", "nothing", FETCH)
    return fields[field]


def _flag(name: str, fields: Mapping[str, str], keys: tuple[str, ...], default: bool) -> bool:
    found = {fields[key].lower() for key in keys if key in fields}
    truth = {word in _TRUE for word in found}
    if found - {*_TRUE, *_FALSE} or len(truth) > 1:
        raise Refusal(name, f"{keys[0]} is True or False", ", ".join(sorted(found))[:50], MEND)
    return truth.pop() if truth else default


def _dtype(name: str, fields: Mapping[str, str]) -> np.dtype[np.generic]:
    text = _needed(name, fields, "ElementType")
    if text not in _DTYPES:
        raise Refusal(name, "voxels are single real numbers of up to 64 bits", text[:50], "store a grey image")
    slope = numbers(name, "ElementToIntensityFunctionSlope", fields.get("ElementToIntensityFunctionSlope", "1"))
    shift = numbers(name, "ElementToIntensityFunctionOffset", fields.get("ElementToIntensityFunctionOffset", "0"))
    if (slope, shift) != ([1.0], [0.0]):
        rule = "voxels are stored unscaled (ElementToIntensityFunction 1, 0)"
        raise Refusal(name, rule, f"{slope}, {shift}", "store the values themselves")
    return np.dtype((">" if _flag(name, fields, _SWAPPED, False) else "<") + _DTYPES[text])


def _volumes(name: str, fields: Mapping[str, str], sizes: list[int]) -> int:
    channels = whole_numbers(name, "ElementNumberOfChannels", fields.get("ElementNumberOfChannels", "1"))
    if len(channels) != 1 or channels[0] < 1 or (channels[0] > 1 and len(sizes) == 4):
        value = f"{channels} for {len(sizes)} dimensions"
        raise Refusal(name, "several volumes are channels or a fourth dimension", value, "split or stack it")
    return channels[0] if len(sizes) == 3 else sizes[3]


def _packed_size(name: str, fields: Mapping[str, str]) -> int:
    """Return how long the packed stream is; without that number SimpleITK hands out noise and says nothing."""
    found = whole_numbers(name, "CompressedDataSize", _needed(name, fields, "CompressedDataSize"))
    if len(found) != 1:
        raise Refusal(name, "CompressedDataSize is one number", found, FETCH)
    return found[0]


def _place(path: Path, fields: Mapping[str, str], end: int) -> tuple[Path, int]:
    named = fields["ElementDataFile"]
    if named.upper() == "LOCAL":
        return path, end
    return data_file(path, named), 0


def _skip(name: str, fields: Mapping[str, str], data: Path, begin: int, total: int | None) -> int:
    """Return the first byte of the voxels; a HeaderSize of -1 counts back from the end of a raw file."""
    skips = whole_numbers(name, "HeaderSize", fields.get("HeaderSize", "0"))
    if len(skips) != 1 or skips[0] < -1 or (skips[0] and (total is None or str(data) == name)):
        raise Refusal(name, "only bytes of a raw data file are skipped", skips, "store the voxels alone")
    if skips[0] == -1 and total is not None:
        return max(begin, data.stat().st_size - total)
    return begin + skips[0]


def _position(name: str, fields: Mapping[str, str], dimensions: int, reading: Reading) -> Position:
    """Return where the grid lies. Without a matrix only the orientation that readers then assume, RAI, is taken."""
    spacing_field = "ElementSpacing" if "ElementSpacing" in fields else "ElementSize"
    edges = numbers(name, "ElementSpacing", fields.get(spacing_field, ""))[:3]
    check_edges(name, edges)
    unit = fields.get("DistanceUnits", "")
    units = [] if unit in ("?", "???") else [unit]
    key = next((key for key in _MATRIX if key in fields), None)
    letters = fields.get("AnatomicalOrientation", "???").upper()
    if key is None and letters != "RAI":
        rule = "the header names an orientation (TransformMatrix)"
        return in_millimetres(name, units, assumed(name, edges, reading, rule, f"none, axes {letters}"), reading)
    directions = _directions(name, fields[key], dimensions) if key else NOWHERE.affine[:3, :3]
    place = next((fields[key] for key in _OFFSET if key in fields), "")
    origin = np.array(numbers(name, "Offset", place) if place else [0.0] * dimensions)
    if len(origin) != dimensions:
        raise Refusal(name, "Offset has one number per dimension", place[:100], MEND)
    centre = fields.get("CenterOfRotation", "")  # of no use to us, but a wrong one makes other readers lose the spacing
    if centre and len(numbers(name, "CenterOfRotation", centre)) != dimensions:
        raise Refusal(name, "CenterOfRotation has one number per dimension", centre[:100], MEND)
    with np.errstate(over="ignore"):  # an affine that is not finite is refused there
        steps = directions * np.array(edges)
    affine = affine_of(name, steps, origin[:3], "LPS")
    return in_millimetres(name, units, Position(affine), reading)


def _directions(name: str, text: str, dimensions: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return the directions of the axes in LPS as columns (3, 3); the header holds one axis after the other."""
    found = np.array(numbers(name, "TransformMatrix", text), np.float64)
    if found.size != dimensions**2:
        raise Refusal(name, f"TransformMatrix has {dimensions**2} numbers", text[:100], MEND)
    matrix = found.reshape(dimensions, dimensions).T
    if dimensions == 4 and (np.abs(matrix[3, :3]).max() > _SKEW or np.abs(matrix[:3, 3]).max() > _SKEW):
        raise Refusal(name, "the fourth dimension is apart from space", text[:100], "split it into volumes")
    return np.asarray(matrix[:3, :3])
