"""NRRD and MetaImage files made byte by byte, so that no writer mends what a test wants to be wrong."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np

SIZES = (6, 5, 4)
STORED = np.random.default_rng(3).integers(-1000, 1000, SIZES).astype(np.int16)
# Columns: the axes of a rotated grid of 2 x 1.5 x 3 mm in LPS.
AXES = np.array([[1.2, -1.2, 0.0], [1.6, 0.9, 0.0], [0.0, 0.0, 3.0]])
ORIGIN = np.array([-7.5, 8.25, 100.125])
AFFINE = np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.vstack([np.column_stack([AXES, ORIGIN]), [0, 0, 0, 1]])


def nrrd(path: Path, voxels: np.ndarray[Any, Any] = STORED, packed: bool = False, **fields: str | None) -> Path:
    """Write an .nrrd; `fields` (underscores for spaces) replace lines of its header, None leaves one out."""
    lines: dict[str, str | None] = {
        "type": voxels.dtype.name,
        "dimension": str(voxels.ndim),
        "sizes": " ".join(map(str, voxels.shape)),
        "space": "left-posterior-superior",
        "space directions": " ".join(f"({x!r},{y!r},{z!r})" for x, y, z in AXES.T.tolist()),
        "space origin": "({},{},{})".format(*ORIGIN),
        "endian": "little",
        "encoding": "gzip" if packed else "raw",
    }
    lines |= {key.replace("_", " "): text for key, text in fields.items()}
    head = "NRRD0005\n# by hand\n" + "".join(f"{key}: {text}\n" for key, text in lines.items() if text is not None)
    data = voxels.tobytes(order="F")
    path.write_bytes(head.encode() + b"\n" + (gzip.compress(data, mtime=0) if packed else data))
    return path


def meta(path: Path, voxels: np.ndarray[Any, Any] = STORED, packed: bool = False, **fields: str | None) -> Path:
    """Write an .mha; `fields` replace lines of its header, None leaves one out."""
    kinds = {"int16": "MET_SHORT", "uint8": "MET_UCHAR", "float32": "MET_FLOAT", "float64": "MET_DOUBLE"}
    data = voxels.tobytes(order="F")
    data = zlib.compress(data) if packed else data
    edges = np.linalg.norm(AXES, axis=0)
    lines: dict[str, str | None] = {
        "ObjectType": "Image",
        "NDims": str(voxels.ndim),
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": str(packed),
        "CompressedDataSize": str(len(data)) if packed else None,
        "TransformMatrix": " ".join(repr(float(number)) for number in (AXES / edges).T.ravel()),
        "Offset": " ".join(map(str, ORIGIN)),
        "ElementSpacing": " ".join(map(repr, edges.tolist())),
        "DimSize": " ".join(map(str, voxels.shape)),
        "ElementType": kinds[voxels.dtype.name],
    }
    lines |= fields
    last = lines.pop("ElementDataFile", "LOCAL")
    head = "".join(f"{key} = {text}\n" for key, text in lines.items() if text is not None)
    path.write_bytes(f"{head}ElementDataFile = {last}\n".encode() + (data if last == "LOCAL" else b""))
    return path
