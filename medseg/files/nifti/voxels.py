"""Voxels of NIfTI files: streamed box by box into their final array, checked on the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import numpy as np

from medseg.files.nifti.affine import Grid
from medseg.files.nifti.door import Source, is_suspicious
from medseg.files.reading import Repair, override
from medseg.values.error import Refusal
from medseg.values.finding import Finding
from medseg.values.volume import Array

Box = tuple[slice, slice, slice]
Order = Literal["C", "F"]
_WHOLE_NUMBER_TOLERANCE = 1e-5
_FEWEST, _MOST = 1 << 16, 1 << 18
_SHARE = 32
_SHOWN = 5
_FINITE = "all voxels are finite 32-bit numbers"
_LABELS = "a mask holds whole numbers from 0 to 255"


@dataclass(frozen=True, slots=True, eq=False)
class Voxels:
    """Voxels `(X, Y, Z)` with what was noticed and the repairs that made a difference."""

    array: Array
    findings: tuple[Finding, ...] = ()
    repairs: tuple[Repair, ...] = ()


def read_numbers(source: Source, component: int, repairs: tuple[Repair, ...], order: Order = "C") -> Voxels:
    """Read one volume as float32, slope and intercept applied, into memory of one order; "F" is that of the file.

    Refuses voxels that are NaN or infinite (or fills them, where asked to), and finite ones beyond 32 bits.
    """
    out = _room(source, np.dtype(np.float32), order)
    direct = _lies_as_stored(out, source)
    missing = beyond = 0
    for box, stored in _boxes(source, component, out if direct else None):
        with np.errstate(over="ignore", invalid="ignore"):
            numbers = stored if direct else _values(stored, source).astype(np.float32, copy=False)
        if not direct:
            out[box] = numbers
        if _may_overflow(source) and not (finite := np.isfinite(numbers)).all():
            unknown = ~np.isfinite(stored)
            missing += int(np.count_nonzero(unknown))
            beyond += int(np.count_nonzero(~finite & ~unknown))
    if not missing + beyond:
        return Voxels(out)
    return _filled(source, out, missing, beyond, repairs)


def read_labels(source: Source, repairs: tuple[Repair, ...], order: Order = "C") -> Voxels:
    """Read the first volume as uint8 labels, into memory of one order; "F" is that of the file.

    Whole numbers stored as floats are taken (to 1e-5, the rounding of a stored slope). Refuses other values and
    those outside 0..255; fractions are rounded, halves up, where `round_mask` asks for it.
    """
    out = _room(source, np.dtype(np.uint8), order)
    direct = _lies_as_stored(out, source)
    wrong = _Wrong()
    for box, stored in _boxes(source, 0, out if direct else None):
        if not direct:
            out[box] = _labels(_values(stored, source), wrong)
    if not wrong.count:
        return Voxels(out)
    setting = override("round_mask")
    if "round_mask" in repairs and not wrong.hopeless:
        note = Finding(severity="note", rule=_LABELS, value=wrong.shown(), remedy="rounded", override=setting)
        return Voxels(out, (note,), ("round_mask",))
    remedy = "write it again without interpolation"
    if wrong.hopeless:
        raise Refusal(str(source.path), _LABELS, wrong.shown(), remedy)
    raise Refusal(str(source.path), _LABELS, wrong.shown(), f"{remedy}, or round with {setting}", override=setting)


def cut(grid: Grid, most: int) -> Iterator[Box]:
    """Cut a grid into boxes of at most `most` voxels each that follow each other in a file (x fastest)."""
    x, y, z = grid
    everything = slice(None)
    if x * y <= most:
        for box in _spans(z, most // (x * y)):
            yield everything, everything, box
        return
    for k in range(z):
        if x <= most:
            for box in _spans(y, most // x):
                yield everything, box, slice(k, k + 1)
        else:
            for j in range(y):
                for box in _spans(x, most):
                    yield box, slice(j, j + 1), slice(k, k + 1)


def _spans(size: int, step: int) -> Iterator[slice]:
    return (slice(start, min(start + step, size)) for start in range(0, size, step))


def _boxes(source: Source, component: int, room: Array | None) -> Iterator[tuple[Box, Array]]:
    """Yield the stored numbers of one volume, box by box, and check the file to its end.

    They come in one buffer; with a `room` that takes the volume as it is stored they are put there, and stay.
    """
    header = source.header
    most = min(max(header.voxels // _SHARE, _FEWEST), _MOST)
    if room is None:
        buffer = memoryview(bytearray(min(most, header.voxels) * header.dtype.itemsize))
    else:
        buffer = room.T.reshape(-1).view(np.uint8).data
    source.stream.skip(header.offset + component * header.volume_bytes - source.stream.position)
    for box in cut(header.grid, most):
        shape = tuple(len(range(size)[side]) for side, size in zip(box, header.grid, strict=True))
        count = prod(shape) * header.dtype.itemsize
        source.fill(buffer[:count])
        yield box, np.frombuffer(buffer[:count], header.dtype).reshape(shape, order="F")
        buffer = buffer if room is None else buffer[count:]
    source.finish()


def _lies_as_stored(out: Array, source: Source) -> bool:
    """Tell whether the bytes of the file are those of the array: nothing is scaled, turned or converted."""
    return out.flags.f_contiguous and out.dtype == source.header.dtype and not source.header.scaled


def _room(source: Source, dtype: np.dtype[Any], order: Order) -> Array:
    """Allocate a volume. A file that could be a lie is refused by reading it to its end first."""
    grid = source.header.grid
    if is_suspicious(source):
        with source.again() as rehearsal:
            rehearsal.finish()
    try:
        return np.empty(grid, dtype, order)
    except (MemoryError, ValueError):
        with source.again() as rehearsal:
            rehearsal.finish()
        value = f"{prod(grid) * dtype.itemsize} bytes"
        raise Refusal(str(source.path), "its voxels fit into memory", value, "use a larger machine") from None


def _values(stored: Array, source: Source) -> Array:
    header = source.header
    if not header.scaled:
        return stored
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite then is found by the caller
        return stored.astype(np.float64) * header.slope + header.intercept


def _may_overflow(source: Source) -> bool:
    return source.header.scaled or source.header.dtype.kind == "f"


def _filled(source: Source, out: Array, missing: int, beyond: int, repairs: tuple[Repair, ...]) -> Voxels:
    """Put the lowest finite number where there is none, part by part; or refuse."""
    name, setting = str(source.path), override("fill_nonfinite")
    value = f"{missing} of {out.size} NaN or infinite"
    if beyond or missing == out.size:
        value = f"{beyond} of {out.size} too large for 32 bits" if beyond else value
        raise Refusal(name, _FINITE, value, "repair or leave out the image")
    if "fill_nonfinite" not in repairs:
        remedy = f"repair or leave out the image, or fill them with {setting}"
        raise Refusal(name, _FINITE, value, remedy, override=setting)
    flat = out.ravel(order="A")  # a view, whichever of both orders the voxels lie in
    parts = [flat[start : start + _MOST] for start in range(0, out.size, _MOST)]
    lowest = min(float(part.min(where=np.isfinite(part), initial=np.inf)) for part in parts)
    for part in parts:
        part[~np.isfinite(part)] = lowest
    note = Finding(severity="note", rule=_FINITE, value=value, remedy=f"filled with {lowest:g}", override=setting)
    return Voxels(out, (note,), ("fill_nonfinite",))


def _labels(values: Array, wrong: _Wrong) -> Array:
    """Return the values as labels, at little cost where all of them are."""
    if values.dtype == np.uint8:
        return values
    with np.errstate(invalid="ignore"):
        labels = values.astype(np.uint8)
    return labels if (labels == values).all() else wrong.mended(values)


class _Wrong:
    """The values met so far that are no labels: how many, the lowest few, and whether rounding cannot mend them."""

    def __init__(self) -> None:
        self.count, self.hopeless = 0, False
        self._lowest: Array = np.empty(0)

    def mended(self, values: Array) -> Array:
        """Return the nearest labels, 0 where there is none, after taking down the values that are no labels."""
        with np.errstate(invalid="ignore"):  # NaN is found below, a signalling one must not print a warning
            numbers = values.astype(np.float64, copy=False)
            nearest = np.floor(numbers + 0.5)
            possible = (nearest >= 0) & (nearest <= 255)
            wrong = ~(possible & (np.abs(numbers - nearest) <= _WHOLE_NUMBER_TOLERANCE))
        if wrong.any():
            self._take_down(numbers[wrong])
            self.hopeless |= bool((~possible).any())
        return np.where(possible, nearest, 0.0).astype(np.uint8)

    def shown(self) -> str:
        """Return the lowest wrong values and their count."""
        return f"{', '.join(f'{value:g}' for value in self._lowest)} ({self.count} voxels)"

    def _take_down(self, values: Array) -> None:
        self.count += values.size
        self._lowest = np.unique(np.concatenate([self._lowest, values]))[:_SHOWN]
