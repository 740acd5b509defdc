"""Folders from what is typed, names that tell runs apart, and runs of one experiment taken together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from medseg.experiment.comparing.finding import find_folders
from medseg.experiment.comparing.grouping import chance_of, differing_settings, group_runs, one_experiment
from medseg.experiment.comparing.reading import ScoredRun, read_runs
from medseg.values.error import Refusal
from tests.experiment.compared_runs import scans, write_evaluated, write_run

SCANS = scans({"t0": 0.5, "h0": None})


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(name: str, **settings: Any) -> Path:
    return write_run(Path("runs") / name, SCANS, **settings)


def read(*names: str) -> list[ScoredRun]:
    return read_runs([Path("runs") / name for name in names])


def test_patterns_name_folders_in_the_order_of_their_numbers(here: Path) -> None:
    for name in ("a_10", "a_2", "b_1"):
        made(name)
    Path("runs/a_3").write_text("no folder", encoding="utf-8")
    found = find_folders(["runs/b_1", "runs/a_*"])
    assert [path.name for path in found] == ["b_1", "a_2", "a_10"]


def test_names_of_a_sweep_are_joined_again_at_their_commas(here: Path) -> None:
    for name in ("x-network=unet2d,seed=1", "x-network=unet2d,seed=2", "plain"):
        made(name)
    typed = ["runs/x-network=unet2d", "seed=1", "runs/plain", "runs/x-network=unet2d", "seed=2"]
    found = [path.name for path in find_folders(typed)]
    assert found == ["x-network=unet2d,seed=1", "plain", "x-network=unet2d,seed=2"]


def test_a_folder_with_the_letters_of_a_pattern_is_itself(here: Path) -> None:
    for name in ("a[1]", "a1"):
        made(name)
    assert [path.name for path in find_folders(["runs/a[1]"])] == ["a[1]"]


@pytest.mark.parametrize("typed", ["runs/nowhere", "runs/none_*", ""])
def test_what_is_no_folder_is_refused(here: Path, typed: str) -> None:
    made("a")
    with pytest.raises(Refusal, match="runs: folders of runs, or that `evaluate` wrote, are needed, got") as caught:
        find_folders(["runs/a", typed])
    assert caught.value.exit_code == 2


def test_runs_are_called_by_what_tells_their_paths_apart(here: Path) -> None:
    folders = [write_evaluated(Path(name), SCANS) for name in ("one/a", "two/a", "two/b")]
    assert [run.name for run in read_runs(folders)] == ["one/a", "two/a", "two/b"]
    assert [run.name for run in read_runs(folders[1:])] == ["a", "b"]
    assert [run.name for run in read_runs([folders[0], folders[0]])] == ["a", "a (2)"]


def test_jobs_of_a_sweep_are_called_by_their_settings(here: Path) -> None:
    names = ("my-exp-seed=1,network=a", "my-exp-seed=2,network=a", "my-exp-seed=10,network=b-1")
    for name in (*names, "plain"):
        made(name)
    assert [run.name for run in read(*names)] == ["seed=1,network=a", "seed=2,network=a", "seed=10,network=b-1"]
    assert [run.name for run in read(*names, "plain")] == [*names, "plain"]


def test_the_report_of_a_run_is_the_run(here: Path) -> None:
    made("a", seed=3)
    run = read_runs([Path("runs/a/report")])[0]
    assert (run.name, run.folder, chance_of(run)) == ("a", Path("runs/a"), (3, None))


def test_rows_tell_which_predictions_failed(here: Path) -> None:
    rows = [row | {"reason": "no memory"} if row["case"] == "t0" else row for row in SCANS]
    run = read_runs([write_evaluated(here / "e", rows)])[0]
    assert run.failed == {"t0": "no memory"}
    assert run.cases == {"t0", "h0"}
    assert run.regions == ("core", "tumour", "healthy", "all")


def test_runs_that_differ_only_in_their_seed_are_one_side(here: Path) -> None:
    for seed in (1, 2, 3):
        made(f"x-network=unet3d,seed={seed}", seed=seed, network={"kind": "unet3d", "width": 8})
        made(f"x-network=unet2d,seed={seed}", seed=seed, network={"kind": "unet2d", "width": 8})
    runs = read(*(f"x-network={kind},seed={seed}" for seed in (1, 2, 3) for kind in ("unet3d", "unet2d")))
    groups = group_runs(runs, together=True)
    assert [group.name for group in groups] == ["network=unet3d (3 seeds)", "network=unet2d (3 seeds)"]
    assert [len(group.runs) for group in groups] == [3, 3]
    assert [member.seed for member in groups[0].side.members] == [1, 2, 3]
    assert differing_settings(groups) == [("network.kind", ["unet3d", "unet2d"])]
    assert [group.name for group in group_runs(runs, together=False)] == [run.name for run in runs]


def test_folds_are_taken_together_too_and_names_need_no_pattern(here: Path) -> None:
    for fold in (0, 1):
        made(f"fold-{fold}", split={"held_out": "c", "folds": 2, "fold": fold})
        made(f"wide_{fold}", split={"held_out": "c", "folds": 2, "fold": fold}, network={"kind": "unet3d", "width": 9})
    groups = group_runs(read("fold-0", "fold-1", "wide_0", "wide_1"), together=True)
    assert [group.name for group in groups] == ["fold-0 to fold-1 (2 folds)", "wide (2 folds)"]
    assert [member.fold for member in groups[0].side.members] == [0, 1]


def test_machines_names_and_pages_make_no_other_experiment(here: Path) -> None:
    made("a_1", seed=1, machine={"device": "cuda"}, report={"title": "first"}, debug=True)
    made("a_2", seed=2)
    made("b", score={"empty": "one"})
    groups = group_runs(read("a_1", "a_2", "b"), together=True)
    assert [group.name for group in groups] == ["a (2 seeds)", "b"]


def test_the_same_seed_twice_is_a_repetition_and_no_group(here: Path) -> None:
    for name in ("a", "again", "b"):
        made(name, network={"kind": "unet2d" if name == "b" else "unet3d"})
    groups = group_runs(read("a", "again", "b"), together=True)
    assert [group.name for group in groups] == ["a", "again", "b"]


def test_runs_of_one_experiment_are_compared_one_by_one(here: Path) -> None:
    for seed in (1, 2):
        made(f"a_{seed}", seed=seed)
    runs = read("a_1", "a_2")
    assert [group.name for group in group_runs(runs, together=True)] == ["a_1", "a_2"]
    found = one_experiment(runs)
    assert found is not None
    assert found.name == "a (2 seeds)"


def test_folders_without_settings_stand_alone(here: Path) -> None:
    runs = read_runs([write_evaluated(here / name, SCANS) for name in ("a", "b", "c")])
    assert [group.name for group in group_runs(runs, together=True)] == ["a", "b", "c"]
    assert one_experiment(runs) is None
    assert differing_settings(group_runs(runs, together=True)) == []


def test_what_one_side_does_not_record_is_said(here: Path) -> None:
    made("a", network={"kind": "unet3d"})
    made("b", network={"kind": "unet2d"}, extra=1)
    write_evaluated(Path("runs/c"), SCANS)
    told = differing_settings(group_runs(read("a", "b", "c"), together=True))
    assert told == [
        ("extra", ["not there", "1", "not recorded"]),
        ("network.kind", ["unet3d", "unet2d", "not recorded"]),
    ]


def test_a_strangers_settings_and_summary_are_refused_by_name(here: Path) -> None:
    (made("a") / "settings.yaml").write_text("seed: &one [1]\nname: *one\n", encoding="utf-8")
    with pytest.raises(Refusal, match=r"settings\.yaml: it is YAML, got an alias"):
        read("a")
    (made("b") / "report" / "summary.json").write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(Refusal, match=r"summary\.json: it is JSON, got "):
        read("b")
