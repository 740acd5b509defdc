"""Trackers: fed from the journal, dropped when they fail, refused when they are not installed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from medseg.engines.sampling.settings import PatchSettings
from medseg.engines.training.settings import TrainingSettings
from medseg.engines.training.trackers.opening import NEEDED, flat, require
from medseg.engines.training.trackers.tracker import Row, Trackers, moments
from medseg.values.error import Refusal
from medseg.values.settings import Settings


class Paper:
    """A tracker that writes lines into a file."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("a", encoding="utf-8")

    def write(self, text: str) -> None:
        self.file.write(f"{text}\n")
        self.file.flush()

    def steps(self, rows: Sequence[Row]) -> None:
        self.write(f"steps {[int(row['step']) for row in rows]}")

    def validation(self, step: int, dice: float | None) -> None:
        self.write(f"validation {step} {dice}")

    def save(self) -> None:
        self.write("save")

    def close(self, finished: bool) -> None:
        self.write(f"close {finished}")
        self.file.close()


def rows(*steps: int) -> list[dict[str, float]]:
    return [{"step": n, "loss": 1 / n, "learning_rate": 0.1, "gradient_norm": 2.0, "seconds": 0.5 * n} for n in steps]


VALIDATION = {"step": 3, "validation_dice": 0.5, "cases": {"jane_doe": 0.25, "john_doe": 0.75}, "seconds": 9.0}


def test_steps_are_handed_on_with_a_validation_a_save_or_the_end(tmp_path: Path) -> None:
    trackers = Trackers()
    trackers.add({"paper": Paper(tmp_path / "paper")})
    trackers.steps(rows(1, 2))
    trackers.steps(rows(3))
    assert (tmp_path / "paper").read_text() == ""
    trackers.validation(VALIDATION)
    trackers.steps(rows(4))
    trackers.save()
    trackers.steps(rows(5))
    trackers.close()
    trackers.close(finished=False)
    trackers.steps(rows(6))
    trackers.save()
    expected = ["steps [1, 2, 3]", "validation 3 0.5", "steps [4]", "save", "steps [5]", "close True"]
    assert (tmp_path / "paper").read_text().splitlines() == expected


def test_a_tracker_that_fails_is_dropped_with_one_warning_and_the_others_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trackers = Trackers()
    trackers.add({"full": Paper(Path("/dev/full")), "paper": Paper(tmp_path / "paper")})
    for step in (1, 2, 3):
        trackers.steps(rows(step))
        trackers.save()
    trackers.close()
    kept = (tmp_path / "paper").read_text().splitlines()
    assert kept == [line for n in (1, 2, 3) for line in (f"steps [{n}]", "save")] + ["close True"]
    assert [record.getMessage() for record in caplog.records] == [
        "the tracker full failed and is left out from here on (OSError: [Errno 28] No space left on device); "
        "training goes on"
    ]


def test_moments_lie_as_far_apart_as_the_steps() -> None:
    first, second, third = moments(rows(2, 4, 5))
    assert (second - first, third - second) == (pytest.approx(1.0), pytest.approx(0.5))


def test_settings_become_flat_facts() -> None:
    facts = flat(TrainingSettings(steps=5, freeze=("a",), start_from="package"))
    assert facts["steps"] == 5
    assert facts["freeze"] == "['a']"
    assert facts["minutes"] == "None"
    assert not any(isinstance(value, (dict, list)) for value in facts.values())


def test_facts_name_no_cases() -> None:
    class Stage(Settings):
        patches: PatchSettings

    assert not any("jane" in name for name in flat(Stage(patches=PatchSettings(case_weights={"jane_doe": 2.0}))))


@pytest.mark.parametrize("kind", sorted(NEEDED))
def test_a_tracker_that_is_not_installed_is_refused_with_its_extra(kind: str) -> None:
    message = (
        rf"machine\.trackers: {kind} needs the extra '{kind}', got no a_package_that_nobody_has; "
        rf"pip install 'medseg\[{kind}\]', or take {kind} out of machine\.trackers"
    )
    with pytest.raises(Refusal, match=message) as caught:
        require([kind], {kind: ("pathlib", "a_package_that_nobody_has")})
    assert caught.value.exit_code == 2


def test_a_folder_of_a_trackers_name_is_no_tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "left_behind_by_a_tracker").mkdir()  # as W&B leaves wandb/ where it was started
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Refusal, match="got no left_behind_by_a_tracker"):
        require(["wandb"], {"wandb": ("left_behind_by_a_tracker",)})
