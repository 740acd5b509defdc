"""Files that claim, or unpack to, far more than they are cost no memory: measured in a real process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.intake.bad_files import KINDS
from tests.intake.dicom_bytes import having, series
from tests.intake.kinds import Kind, Made
from tests.intake.meta_files import meta
from tests.intake.nifti_bytes import nifti
from tests.intake.nrrd_files import nrrd

BOMBS = [kind for kind in KINDS if kind.bomb]
HEALTHY = [kind for kind in KINDS if kind.name in ("NIfTI-1, packed", "NRRD", "MHA", "DICOM: CT")]
NOISE = np.random.default_rng(1).integers(0, 200, (256, 256, 512)).astype(np.uint8)
SLICES = np.moveaxis(NOISE, 0, 2)[:, :, :128].astype(np.int16)
LARGE: Mapping[str, tuple[str, Callable[[Path], Made]]] = {
    "NIfTI image": ("image", partial(nifti, voxels=NOISE, name="scan.nii")),
    "NIfTI mask": ("mask", partial(nifti, voxels=NOISE, name="scan.nii")),
    "NRRD image": ("image", partial(nrrd, voxels=NOISE, encoding="raw")),
    "NRRD mask": ("mask", partial(nrrd, voxels=NOISE, encoding="raw")),
    "MHA image": ("image", partial(meta, voxels=NOISE, packed=False)),
    "MHA mask": ("mask", partial(meta, voxels=NOISE, packed=False)),
    "NRRD of doubles": ("image", partial(nrrd, voxels=NOISE[:, :, :128].astype(np.float64), encoding="raw")),
    "DICOM PET": ("image", partial(series, change=having(RescaleSlope="0.37"), modality="PT", voxels=SLICES)),
    "DICOM image": ("image", partial(series, voxels=SLICES)),
}
ROOT = Path(__file__).parents[2]
MOST_MB = 100
PIECES_MB = 8  # what is read or inflated at a time
METER = """
import json, sys
from pathlib import Path
from medseg.files.reading import AS_IT_IS
from medseg.files.scans import scan_image, scan_mask
from medseg.values.error import Refusal

def family():
    children = Path("/proc/self/task").glob("*/children")
    return ["self", *(one for path in children for one in path.read_text().split())]

def of_all(field):
    lines = [line for one in family() for line in Path(f"/proc/{one}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024

healthy, asked = json.load(sys.stdin)
for path in healthy:
    scan_image(Path(path))
for name, what, path, limit in asked:
    for one in family():
        Path(f"/proc/{one}/clear_refs").write_text("5")
    before, rule = of_all("VmRSS:"), ""
    try:
        scan_mask(Path(path), AS_IT_IS, limit) if what == "mask" else scan_image(Path(path))
    except Refusal as refusal:
        rule = refusal.rule
    print(json.dumps([name, rule, of_all("VmHWM:") - before]), flush=True)
"""


@pytest.fixture(scope="module")
def metered(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, tuple[str, float]]:
    """Read every bomb in one child that has read sound files before: the rule ("" if none) and the peak growth in MB.

    The peak is that of the memory maps of the child and of the readers it has started, set back before every file:
    what a process that was forked from a large one reports to `getrusage` may be the parent's.
    """
    folder = tmp_path_factory.mktemp("bombs")
    asked = []
    for number, kind in enumerate(BOMBS):
        (folder / str(number)).mkdir()
        asked.append((kind.name, kind.what, str(kind.make(folder / str(number)).path), kind.limit))
    for name, (what, make) in LARGE.items():
        (folder / name).mkdir()
        asked.append((name, what, str(make(folder / name).path), None))
    healthy = []
    for kind in HEALTHY:
        (folder / kind.name).mkdir()
        healthy.append(str(kind.make(folder / kind.name).path))
    done = subprocess.run(
        [sys.executable, "-c", METER],
        cwd=ROOT,
        input=json.dumps([healthy, asked]),
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
        check=True,
    )
    rows = map(json.loads, done.stdout.splitlines())
    return {name: (rule, growth) for name, rule, growth in rows}


@pytest.mark.parametrize("kind", BOMBS, ids=[kind.name for kind in BOMBS])
def test_a_bomb_costs_no_memory(metered: Mapping[str, tuple[str, float]], kind: Kind) -> None:
    rule, growth = metered[kind.name]
    assert rule
    assert kind.rule is not None
    assert kind.rule in rule
    assert growth < MOST_MB


@pytest.mark.parametrize("name", LARGE)
def test_a_sound_scan_costs_at_most_twice_its_voxels(metered: Mapping[str, tuple[str, float]], name: str) -> None:
    rule, growth = metered[name]
    size = {"NRRD of doubles": NOISE.size // 4, "DICOM PET": SLICES.size, "DICOM image": SLICES.size}.get(
        name, NOISE.size
    )
    real = size * (1 if name.endswith("mask") else 4) / 2**20
    assert rule == ""
    assert real * 0.9 <= growth < 2 * real + PIECES_MB
