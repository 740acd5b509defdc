"""Probabilities and maps of uncertainty go out as 16-bit NIfTI files that every reader opens as numbers from 0 to 1."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import numpy as np

from medseg.files.nifti.writing import Head, write_stored
from medseg.values.error import Refusal
from medseg.values.volume import Array, FloatArray

_STEPS = 1 << 15
_PLANES = 32  # at once: rows along z are read in pieces that are worth the way, also from a memory-mapped file
_ROUNDING = 1e-3  # what half precision and resampling may add to 0 and 1


def write_probabilities(path: Path, probabilities: Array | Collection[Array], affine: FloatArray) -> None:
    """Write probabilities `(K, X, Y, Z)` of any float type (.nii or .nii.gz); K becomes the fourth axis.

    A collection of K arrays `(X, Y, Z)` serves as well, and may make them one by one; a few planes are held at a time.
    NIfTI has no 16-bit floats. Stored are whole numbers 0..32768 (uint16) and the slope 1/32768, so that readers give
    numbers from 0 to 1 that are off by at most 1.6e-5: 0, 1 and every float16 from 1/32 on come back exactly, because
    the slope is a power of 2.
    The file appears whole or not at all, and the same content gives the same bytes. Refuses numbers outside 0..1 (by
    more than a thousandth; NaN too), channels of different shapes, and a path that cannot be written.
    Source: nifti1.h, "DATA SCALING".
    """
    channels = iter(probabilities)
    first = next(channels, None)
    if first is None or first.ndim != 3 or 0 in first.shape:
        shape = (len(probabilities), *(() if first is None else first.shape))
        raise Refusal(str(path), "probabilities are a non-empty (K, X, Y, Z)", shape, "add the axis of the outputs")
    shape = (len(probabilities), *first.shape)
    head = Head(shape, np.dtype("<u2"), affine, 1 / _STEPS)
    parts = _stored(path, _beginning_with(first, channels), shape)
    del first  # else it would stay beside the others
    write_stored(path, head, parts)


def write_uncertainty(path: Path, uncertainty: Array, affine: FloatArray) -> None:
    """Write a map `(X, Y, Z)` of numbers from 0 to 1, in the way of `write_probabilities`, as a file of three axes."""
    write_probabilities(path, uncertainty[None], affine)


def _beginning_with(first: Array, others: Iterator[Array]) -> Iterator[Array]:
    yield first
    del first
    yield from others


def _stored(path: Path, channels: Iterable[Array], shape: tuple[int, ...]) -> Iterator[Array]:
    """Yield blocks of planes of the channels as they are stored; refuses others than `shape` (K, X, Y, Z) promises."""
    count = 0
    for channel in channels:
        count += 1
        if channel.shape != shape[1:]:
            rule = f"all channels have the shape {shape[1:]}"
            raise Refusal(str(path), rule, channel.shape, "give all on one grid")
        for start in range(0, shape[3], _PLANES):
            yield _steps(path, np.asarray(channel[:, :, start : start + _PLANES], np.float32))
        del channel  # else it would stay until the next one is made
    if count != shape[0]:
        raise Refusal(str(path), f"there are {shape[0]} channels", count, "give as many as the collection counts")


def _steps(path: Path, block: FloatArray) -> Array:
    low, high = float(block.min()), float(block.max())
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):  # so that NaN does not pass
        value = f"{low:g} to {high:g}"
        raise Refusal(str(path), "numbers are from 0 to 1", value, "normalise them before they are written")
    steps: Array = np.rint(block.clip(0, 1) * _STEPS).astype("<u2")
    return steps
