"""The evaluation benchmark: how goals are judged, what its scans hold, and that contestants find the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
PROCESSES, THREADS = (f"MONAI: Dice, HD95, NSD, 2 {kind}" for kind in ("processes", "threads"))


@pytest.fixture(autouse=True)
def beside_the_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def test_goals_are_judged_by_medians_and_by_the_faster_way_of_monai() -> None:
    from evaluation import judged, table

    seconds = {"medseg": [1.0, 9.0, 2.0], PROCESSES: [4.0, 5.0, 5.0], THREADS: [8.0, 8.0, 8.0]}
    found = judged(seconds, [9.0, 12.0, 11.0])
    assert (found["share_of_monai"], found["command_seconds"]) == (0.4, 11.0)
    assert found["reached"] == {"share_of_monai": True, "command_seconds": False}
    assert "| **share of MONAI's Dice + HD95 + NSD** | **0.40** |" in table(found)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_scans_have_several_lesions_and_everyone_finds_the_same_numbers(tmp_path: Path) -> None:
    pytest.importorskip("surface_distance")
    from evaluation import SMALL, write_cases
    from evaluation_contestant import WORK, read_cases
    from scipy.ndimage import label

    write_cases(SMALL, tmp_path)
    cases = read_cases(tmp_path)
    assert len(cases) == SMALL.cases
    for case, (truth, guess) in enumerate(cases):
        assert set(np.unique(truth)) == set(np.unique(guess)) == {0, 1, 2, 3}
        assert label(truth)[1] > 1
        assert not np.array_equal(truth, guess)
        ours, theirs = (WORK[name](cases)(case) for name in ("medseg", "surface-distance"))
        for name, values in theirs.items():
            assert ours[name] == pytest.approx(values, abs=1e-6)
