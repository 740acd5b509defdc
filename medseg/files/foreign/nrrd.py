"""NRRD headers (.nrrd, .nhdr): read and checked before any voxel is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from medseg.files.foreign.claim import (
    FETCH,
    LARGEST_HEADER,
    MEND,
    Claim,
    affine_of,
    assumed,
    data_file,
    in_millimetres,
    numbers,
    refuse_shape,
    whole_numbers,
)
from medseg.files.nifti.affine import Position
from medseg.files.reading import Reading
from medseg.values.error import Refusal
from medseg.values.finding import Finding

_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_DTYPES = {word: code for code, words in _TYPES.items() for word in words}
_SPACES = {
    "right-anterior-superior": "RAS",
    "ras": "RAS",
    "left-anterior-superior": "LAS",
    "las": "LAS",
    "left-posterior-superior": "LPS",
    "lps": "LPS",
}
_COLOURS = ("rgb-color", "rgba-color", "hsv-color", "xyz-color", "3-color", "4-color")
_SEVERAL = ("list", "vector", "scalar", "2-vector", "3-vector", "4-vector", "covariant-vector", "point", "3-gradient")
_SPATIAL = ("domain", "space", "", "???", "none")
_SAME_FIELD = {"datafile": "data file", "lineskip": "line skip", "byteskip": "byte skip"}
_NO_ORIGIN = Finding(
    severity="warn", rule="the header names its space origin", value="nothing", remedy="it was taken as 0"
)
_VECTOR = re.compile(r"none|\([^()]*\)")


def read_nrrd(path: Path, reading: Reading) -> Claim:
    """Read the header of an NRRD file; refuses what cannot be a three-dimensional real image on a known grid.

    Source: teem.sourceforge.net/nrrd/format.html. Taken are raw and gzip encoding, one data file, and a fourth axis
    that is a list or a vector, wherever it stands.
    """
    name = str(path)
    fields, end = _fields(path)
    sizes = whole_numbers(name, "sizes", _needed(name, fields, "sizes"))
    if fields.get("dimension", "").strip() != str(len(sizes)):
        raise Refusal(name, "sizes has one number per dimension", f"{fields.get('dimension')}, {tuple(sizes)}", FETCH)
    refuse_shape(name, sizes)
    several = _volume_axis(name, fields, len(sizes))
    grid = [size for axis, size in enumerate(sizes) if axis != several]
    data = data_file(path, fields["data file"]) if "data file" in fields else path
    dtype = _dtype(name, fields)
    packed = _packed(name, fields)
    volumes = 1 if several is None else sizes[several]
    position = _position(name, fields, several, reading)
    total = int(np.prod(sizes, dtype=object)) * dtype.itemsize
    offset = _offset(name, fields, data, end if data == path else 0, None if packed else total)
    return Claim(
        path=path,
        io="NrrdImageIO",
        grid=(grid[0], grid[1], grid[2]),
        volumes=volumes,
        volume_axis=several,
        dtype=dtype,
        position=position,
        data=data,
        offset=offset,
        packed=packed,
    )


def data_named(path: Path) -> Path:
    """Return the file that holds the voxels of a header: itself where it names none."""
    fields, _ = _fields(path)
    return data_file(path, fields["data file"]) if "data file" in fields else path


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """Return the fields of a header by lower-case name, and the byte behind the blank line that ends it."""
    with path.open("rb") as file:
        block = file.read(LARGEST_HEADER)
    if not re.match(rb"NRRD000[1-6]\r?\n", block):
        raise Refusal(str(path), "is an NRRD file", f"first bytes {block[:8].hex() or 'none'}", FETCH)
    blank = re.search(rb"\n\r?\n", block)
    if blank is None and len(block) == LARGEST_HEADER:
        raise Refusal(str(path), "the header ends within 1 MiB", "no blank line", FETCH)
    head = block[: blank.start()] if blank else block
    fields: dict[str, str] = {}
    for line in head.decode("latin-1").splitlines()[1:]:
        key, found, text = line.partition(": ")
        if line.startswith("#") or not found or ":=" in key:
            continue
        key = _SAME_FIELD.get(key.strip().lower(), key.strip().lower())
        if key in fields:
            raise Refusal(str(path), "names every field once", key, MEND)
        fields[key] = text.strip()
    return fields, blank.end() if blank else len(block)


def _needed(name: str, fields: Mapping[str, str], field: str) -> str:
    if field not in fields:
        raise Refusal(name, f"the header names its {field}", "nothing", FETCH)
    return fields[field]


def _dtype(name: str, fields: Mapping[str, str]) -> np.dtype[np.generic]:
    text = _needed(name, fields, "type").lower()
    if text not in _DTYPES:
        raise Refusal(name, "voxels are single real numbers of up to 64 bits", text[:50], "store a grey image")
    code = _DTYPES[text]
    order = fields.get("endian", "little" if code.endswith("1") else "").lower()
    if order not in ("little", "big"):
        raise Refusal(name, "the header names its endian, little or big", order or "nothing", MEND)
    if fields.get("old min") or fields.get("old max"):
        value = f"{fields.get('old min')} to {fields.get('old max')}"
        raise Refusal(name, "voxels are stored unscaled (no old min, old max)", value, "store the values themselves")
    return np.dtype({"little": "<", "big": ">"}[order] + code)


def _packed(name: str, fields: Mapping[str, str]) -> bool:
    encoding = _needed(name, fields, "encoding").lower()
    if encoding not in ("raw", "gzip", "gz"):
        raise Refusal(name, "voxels are stored raw or gzip packed", encoding[:50], "write it again with gzip encoding")
    return encoding != "raw"


def _offset(name: str, fields: Mapping[str, str], data: Path, begin: int, total: int | None) -> int:
    """Return the first byte of the voxels; a byte skip of -1 counts back from the end of a raw file."""
    lines = whole_numbers(name, "line skip", fields.get("line skip", "0"))
    skips = whole_numbers(name, "byte skip", fields.get("byte skip", "0"))
    if len(lines) != 1 or len(skips) != 1 or lines[0] != 0 or skips[0] < -1 or (skips[0] and total is None):
        value = f"{fields.get('line skip', '0')} lines, {fields.get('byte skip', '0')} bytes"
        raise Refusal(name, "only bytes of a raw file are skipped", value, "store the voxels alone")
    if skips[0] == -1 and total is not None:
        return max(begin, data.stat().st_size - total)
    return begin + skips[0]


def _volume_axis(name: str, fields: Mapping[str, str], dimensions: int) -> int | None:
    """Return the axis that counts volumes: the one whose kind or direction says that it is not in space."""
    kinds = fields.get("kinds", "").lower().split()
    colour = next((kind for kind in kinds if kind in _COLOURS), None)
    if colour:
        raise Refusal(name, "voxels are single real numbers of up to 64 bits", f"colours ({colour})", "store it grey")
    apart = {axis for axis, kind in enumerate(kinds) if kind in _SEVERAL}
    placeless = [
        axis for axis, vector in enumerate(_VECTOR.findall(fields.get("space directions", ""))) if vector == "none"
    ]
    strange = {kind for kind in kinds if kind not in _SPATIAL and kind not in _SEVERAL}
    if strange or len(apart) != dimensions - 3 or len(kinds) not in (0, dimensions) or not apart.issuperset(placeless):
        rule = "three axes are in space, and a fourth one is of kind list or vector"
        raise Refusal(name, rule, f"kinds {' '.join(kinds) or 'unnamed'}, {dimensions} dimensions", "name its kind")
    return min(apart, default=None)


def _position(name: str, fields: Mapping[str, str], several: int | None, reading: Reading) -> Position:
    space = fields.get("space", "").lower()
    rule = "the header names an orientation (space and space directions)"
    if "space directions" not in fields:
        words = numbers(name, "spacings", fields.get("spacings", ""))
        edges = [edge for axis, edge in enumerate(words) if axis != several]
        position = assumed(name, edges, reading, rule, "no space directions")
        return in_millimetres(name, _quoted(fields.get("units", "")), position, reading)
    axes = _axes(name, fields["space directions"])
    units = _quoted(fields.get("space units", ""))
    if space not in _SPACES:
        with np.errstate(all="ignore"):
            edges = [float(edge) for edge in np.linalg.norm(axes, axis=0)]
        value = f"space {space[:50] or 'unnamed'}"
        return in_millimetres(name, units, assumed(name, edges, reading, rule, value), reading)
    origin = np.array(_numbers_of(name, "space origin", fields.get("space origin", "(0,0,0)")))
    findings = () if "space origin" in fields else (_NO_ORIGIN,)
    return in_millimetres(name, units, Position(affine_of(name, axes, origin, _SPACES[space]), findings), reading)


def _axes(name: str, text: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return the directions of the axes in space as columns (3, 3)."""
    vectors = [vector for vector in _VECTOR.findall(text) if vector != "none"]
    if len(vectors) != 3 or _VECTOR.sub("", text).strip():
        raise Refusal(name, "space directions holds three vectors", text[:100], MEND)
    return np.array([_numbers_of(name, "space directions", vector) for vector in vectors], np.float64).T


def _numbers_of(name: str, field: str, vector: str) -> list[float]:
    found = numbers(name, field, vector.strip().removeprefix("(").removesuffix(")").replace(",", " "))
    if len(found) != 3:
        raise Refusal(name, f"a vector of {field} has three numbers", vector[:100], MEND)
    return found


def _quoted(text: str) -> list[str]:
    return [unit for unit in re.findall(r'"([^"]*)"', text) if unit != "???"]
