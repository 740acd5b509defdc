"""Random generators that have names instead of a history."""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, *name: str | int) -> np.random.Generator:
    """Return the random generator that belongs to `name`, e.g. `stream(seed, "patch", step, index)`.

    Worker count, call order and resuming cannot change what it yields.
    Source: counter-based Philox, Salmon et al. 2011, keyed by a SHA-256 of seed and name.
    """
    digest = hashlib.sha256(repr((seed, *name)).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "big")))
