"""The formula of docs/inference.md, and the memory that a process really takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from medseg.engines.inference.foreseeing import foreseen_bytes
from medseg.engines.inference.settings import InferenceSettings
from tests.engines.window_cases import frame

# Imports, threads and what the allocator keeps: noise beside the tens of megabytes that are measured.
MARGIN = 6e6


@pytest.mark.parametrize(
    ("shape", "patch", "plane", "outputs", "expected"),
    [
        # slab 16 x 40 x 48, a row of windows 16 x 16 x 48, one window blended, and one in and out
        ((2, 90, 40, 48), (16, 16, 16), None, 3, 4 * 3 * (16 * 40 * 48 + 16 * 16 * 48 + 16**3) + 4 * 16**3 * (4 + 6)),
        # the length along the slab axis does not matter
        ((2, 900, 40, 48), (16, 16, 16), None, 3, 4 * 3 * (16 * 40 * 48 + 16 * 16 * 48 + 16**3) + 4 * 16**3 * 10),
        # one window covers the two other axes: no rows
        ((1, 90, 16, 10), (16, 16, 16), None, 2, 4 * 2 * 16 * 16 * 10 + 4 * 16**3 * (2 + 4)),
        # slices: one plane
        ((1, 90, 40, 48), (1, 16, 16), 0, 2, 4 * 2 * (40 * 48 + 16 * 48 + 16**2) + 4 * 16**2 * (2 + 4)),
    ],
)
def test_the_formula_counts_slab_rows_and_a_window(
    shape: Any, patch: Any, plane: int | None, outputs: int, expected: int
) -> None:
    assert foreseen_bytes(frame(patch, plane), shape, outputs, InferenceSettings()) == expected


def test_doubt_is_one_more_number_per_voxel() -> None:
    shape, given = (1, 90, 40, 48), frame((16, 16, 16))
    alone, mirrored = InferenceSettings(), InferenceSettings(mirror=True)
    more = foreseen_bytes(given, shape, 4, alone) + 4 * 16**3 * 4  # and a third answer for each window
    assert foreseen_bytes(given, shape, 3, mirrored) == foreseen_bytes(given, shape, 3, alone, members=2) == more
    nothing_to_flip = frame((16, 16, 16), mirror_axes=())
    assert foreseen_bytes(nothing_to_flip, shape, 3, mirrored) == foreseen_bytes(given, shape, 3, alone)


CHILD = """
import json, sys
from pathlib import Path
import numpy as np, torch
from medseg.engines.inference.foreseeing import foreseen_bytes
from medseg.engines.inference.frame import Frame, Room
from medseg.engines.inference.settings import InferenceSettings
from medseg.engines.inference.stream import stream_slabs

torch.set_num_threads(1)

def network(outputs):
    def forward(x):
        answer = torch.empty((len(x), outputs, *x.shape[2:]))
        for number in range(outputs):
            torch.mul(x[:, 0], float(number + 1), out=answer[:, number])
        return answer
    return forward

def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) << 10

def measure(shape, size, outputs, folds, filed):
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    frame, settings = Frame((size,) * 3, None, "softmax"), InferenceSettings(overlap=0.25)
    formula = foreseen_bytes(frame, shape, outputs, settings, folds)
    room = Room(torch.device("cpu"), 1 if filed else formula)
    members = [network(outputs)] * folds
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    voxels = 0
    for slab in stream_slabs(members, image, frame, settings, room):
        voxels += slab.scores[0].numel()
        del slab
    assert voxels == image[0].size
    return status("VmHWM") - before, formula

measure((1, 40, 40, 40), 32, 2, 2, False)
cases = json.loads(sys.argv[1])
print(json.dumps([measure(*case) for case in cases]))
"""


def can_reset_peaks() -> bool:
    return os.access("/proc/self/clear_refs", os.W_OK)


@pytest.mark.skipif(not can_reset_peaks(), reason="the system does not tell peaks of memory anew")
def test_memory_is_what_the_formula_says_and_files_take_its_place() -> None:
    cases = [
        ((1, 140, 130, 130), 64, 3, 2, False),
        ((1, 280, 130, 130), 64, 3, 2, False),
        ((1, 100, 100, 130), 32, 20, 1, False),
        ((1, 100, 100, 130), 32, 20, 1, True),
    ]
    # A fixed threshold: what is freed goes back to the system, and the peak is that of what is used.
    surroundings = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    command = [sys.executable, "-c", CHILD, json.dumps(cases)]
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (short, formula), (long, same), (many, most), (filed, _) = json.loads(done.stdout.splitlines()[-1])
    assert formula == same
    for found, foreseen in ((short, formula), (long, formula), (many, most)):
        assert 0.7 * foreseen - MARGIN < found < 1.05 * foreseen + MARGIN
    assert filed < many - 0.35 * (4 * 20 * 32 * 100 * 100)
