"""The command `compare` as it is used: folders go in, sentences, a page and a record come out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medseg.cli.main import main
from medseg.files.nifti.writing import write_mask
from medseg.values.volume import Volume
from tests.experiment.compared_runs import scan, scans, write_evaluated, write_run
from tests.report.html_page import NASTY, Page, assert_in_order, assert_self_contained

BASE = {f"t{number:02}": 0.6 + number / 100 for number in range(20)}
WELL = {"h1": None, "h2": 0.0}


def better(by: float, seed: int = 0) -> dict[str, float]:
    """Dice of a run that is better by some amount, a little more or less from scan to scan and seed to seed."""
    return {case: dice + by + 0.001 * ((7 * n + 3 * seed) % 5 - 2) for n, (case, dice) in enumerate(BASE.items())}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two runs, a and the better b."""
    monkeypatch.chdir(tmp_path)
    write_run(Path("runs/a"), scans(BASE | WELL))
    write_run(Path("runs/b"), scans(better(0.02) | {"h1": None, "h2": None}), network={"kind": "unet2d"})
    return tmp_path


def record(out: str = "out") -> Any:
    return json.loads(Path(out, "compare.json").read_text(encoding="utf-8"))


def test_two_runs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "runs=[runs/a,runs/b]", "out=out"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("tumour: b is better than a by 2.0 Dice points [")
    assert told[0].endswith(" on 20 tumour scans.")
    assert told[1].startswith("b wins 20 of 20 (100 %) against a; Wilcoxon's signed-rank test: p < 0.001.")
    assert told[2].startswith("core: b is better than a by 1.0 Dice points [")
    assert "On 2 healthy scans a marks no tumour in 1, b in 2." in told
    assert told[-1] == "out/compare.html"
    found = record()
    assert found["sentences"] == told[:-1]
    one = found["regions"]["tumour"]["dice"]
    assert (one["n"], one["wins"], one["undefined"]) == (20, 20, 2)
    assert one["difference"] == pytest.approx(0.02, abs=1e-3)
    assert one["ci95"][0] < one["difference"] < one["ci95"][1]
    assert 0 < one["p"] < 0.001
    assert found["pairs"][0]["tumour"]["dice"]["n"] == 20
    assert found["pairs"][0]["healthy"]["clean"] == [1, 2]
    assert (found["first"], found["second"]) == ("a", "b")
    assert [side["name"] for side in found["sides"]] == ["a", "b"]
    assert found["sides"][0]["runs"][0]["folder"] == "runs/a"
    assert sorted(path.name for path in Path("out").iterdir()) == ["compare.html", "compare.json"]


def test_the_page_is_whole_and_needs_nothing_else(here: Path) -> None:
    assert main(["compare", "runs=[runs/a,runs/b]", "out=out"]) == 0
    text = Path("out/compare.html").read_text(encoding="utf-8")
    assert_self_contained(text)
    assert_in_order(Page(text))
    for words in ("b against a", "network.kind", "unet2d", "Scans that changed most", "Every measure"):
        assert words in text
    assert str(here) not in text + json.dumps(record())


def test_the_same_command_gives_the_same_bytes_and_the_other_order_the_other_sign(here: Path) -> None:
    assert main(["compare", "runs=[runs/a,runs/b]", "out=out"]) == 0
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    assert main(["compare", "runs=[runs/a,runs/b]", "out=out"]) == 0
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == before
    assert main(["compare", "runs=[runs/b,runs/a]", "out=turned"]) == 0
    here_, there = (record(out)["regions"]["tumour"]["dice"] for out in ("out", "turned"))
    assert there["difference"] == -here_["difference"]
    assert there["ci95"] == pytest.approx([-end for end in reversed(here_["ci95"])])
    assert (there["p"], there["wins"], there["losses"]) == (here_["p"], 0, 20)


def test_a_run_against_itself(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "runs=[runs/a,runs/a]", "out=out"]) == 0
    assert "a (2) and a have the same Dice on each of 20 tumour scans." in capsys.readouterr().out
    found = record()
    own = [one for region in found["regions"].values() for one in region.values()]
    assert {(one["difference"], one["p"], one["wins"]) for one in own} == {(0, 1, 0)}


def test_the_order_of_rows_does_not_matter(here: Path) -> None:
    rows = scans(better(0.02) | {"h1": None, "h2": None})
    write_run(Path("other/b"), rows[::-1], network={"kind": "unet2d"})
    assert main(["compare", "runs=[runs/a,runs/b]", "out=out"]) == 0
    assert main(["compare", "runs=[runs/a,other/b]", "out=mixed"]) == 0
    straight, mixed = (record(out)["pairs"][0] for out in ("out", "mixed"))
    assert mixed == straight


def test_evaluated_folders_and_runs_are_compared_with_each_other(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = {"empty": "undefined", "nsd_tolerance_mm": 1, "lesions": "none", "predictions": "elsewhere"}
    write_evaluated(Path("evaluated"), scans(better(-0.03) | WELL), settings=rules)
    assert main(["compare", "runs=runs/a,evaluated", "out=out", "measure=hd95_mm", "regions=[tumour]"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("a is better than evaluated by 0.60 mm of Hausdorff distance (95 %) [")
    assert list(record()["regions"]) == ["tumour"]


def test_what_evaluate_writes_is_compared(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder, shift in (("truth", 0), ("good", 0), ("poor", 2)):
        Path(folder).mkdir()
        for case in range(6):
            mask = np.zeros((1, 12, 10, 8), np.uint8)
            mask[0, 2 : 6 + case % 3, 2:7, 2:6] = case < 5
            if (folder, case) != ("poor", 3):
                write_mask(Path(folder, f"s{case}.nii.gz"), Volume(np.roll(mask, shift, 1), np.eye(4)))
    for folder, code in (("good", 0), ("poor", 1)):
        assert main(["evaluate", f"predictions={folder}", "truth=truth", f"out=scored/{folder}"]) == code
    capsys.readouterr()
    assert main(["compare", "runs=[scored/poor,scored/good]", "out=out"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("good is better than poor by ")
    assert "On 1 healthy scan poor marks no label_1 in 1, good in 1." in told
    found = record()
    one = found["pairs"][0]["tumour"]["dice"]
    assert (one["n"], one["wins"], one["means"][1]) == (5, 5, 1.0)
    assert list(found["sides"][0]["failed"]) == ["s3"]
    assert one["means"][0] == pytest.approx(np.mean([0.5, 0.6, 2 / 3, 0, 0.6]))


def test_every_pair_of_more_runs_and_a_reference(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(Path("runs/c"), scans(better(0.01) | WELL), network={"kind": "monai"})
    assert main(["compare", "runs=[runs/*]", "out=out"]) == 0
    assert [(pair["first"], pair["second"]) for pair in record()["pairs"]] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert len(capsys.readouterr().out.splitlines()) == 4
    p = [pair["regions"]["core"]["dice"] for pair in record()["pairs"]]
    assert all(one["p_holm"] >= one["p"] for one in p)
    assert any(one["p_holm"] > one["p"] for one in p)
    text = Path("out/compare.html").read_text(encoding="utf-8")
    assert_in_order(Page(text))
    assert "p, all" in text
    assert main(["compare", "runs=[runs/*]", "reference=runs/b", "out=out"]) == 0
    assert [(pair["first"], pair["second"]) for pair in record()["pairs"]] == [("b", "a"), ("b", "c")]


def test_seeds_are_taken_together_and_it_is_said_what_they_move(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (1, 2, 3):
        shift = 0.002 * (seed - 2)
        for kind, by in (("unet3d", 0.0), ("unet2d", 0.03)):
            rows = scans(better(by + shift, seed))
            write_run(Path(f"sweep/x-network={kind},seed={seed}"), rows, seed=seed, network={"kind": kind})
    words = ["compare", "runs=[sweep/x-network=unet3d*,sweep/x-network=unet2d*]"]
    assert main([*words, "out=out"]) == 0
    told = capsys.readouterr().out.splitlines()
    lead = "tumour: network=unet2d (3 seeds) is better than network=unet3d (3 seeds) by 3.0 Dice points ["
    assert told[0].startswith(lead)
    assert " on 20 scans; seeds alone move it by 0." in told[0]
    assert any(line.startswith("network=unet3d (3 seeds): Over 3 runs with 3 seeds, ") for line in told)
    one = record()["regions"]["tumour"]["dice"]
    assert 0 < one["seeds_alone"] < one["difference"]
    assert "What seeds alone do" in Path("out/compare.html").read_text(encoding="utf-8")
    spread = record()["seeds"][0]
    assert (spread["name"], spread["runs"], spread["seeds"]) == ("network=unet3d (3 seeds)", 3, 3)
    assert 0 < spread["rerun_sd"] < spread["moves"]
    assert spread["fold_sd"] is None
    assert main([*words, "group=none", "out=single"]) == 0
    assert len(record("single")["pairs"]) == 15


def test_seeds_and_folds_are_taken_apart(here: Path) -> None:
    for seed in (1, 2):
        for fold in (0, 1):
            name = Path(f"sweep/x-seed={seed},split.fold={fold}")
            rows = scans(better(0.01 * seed + 0.05 * fold))
            write_run(name, rows, seed=seed, split={"held_out": "c", "folds": 2, "fold": fold})
    assert main(["compare", "runs=[sweep/*,runs/b]", "out=out", "cases=common"]) == 0
    found = record()
    assert [side["name"] for side in found["sides"]] == ["x (2 seeds and 2 folds)", "b"]
    spread = found["seeds"][0]
    assert spread["seed_sd"] == pytest.approx(0.01 / np.sqrt(2))
    assert spread["fold_sd"] == pytest.approx(0.05 / np.sqrt(2))
    text = Path("out/compare.html").read_text(encoding="utf-8")
    assert "The fold adds a standard deviation of 3.5." in text
    assert_in_order(Page(text))


def test_a_difference_within_what_seeds_do_is_called_that(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, shift in ((1, -0.05), (2, 0.05)):
        for kind, by in (("unet3d", 0.0), ("unet2d", 0.03)):
            rows = scans(better(by + shift))
            write_run(Path(f"sweep/{kind}_{seed}"), rows, seed=seed, network={"kind": kind})
    assert main(["compare", "runs=[sweep/unet3d_*,sweep/unet2d_*]", "out=out", "regions=[tumour]"]) == 0
    told = capsys.readouterr().out.splitlines()[0]
    assert told.startswith("unet2d (2 seeds) is ahead of unet3d (2 seeds) by 3.0 Dice points [")
    assert told.endswith(": the difference may be luck of the seed.")
    assert "<td>unet2d (2 seeds), or luck</td>" in Path("out/compare.html").read_text(encoding="utf-8")


def test_seeds_of_one_experiment_tell_what_seeds_do(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (1, 2, 3):
        write_run(Path(f"sweep/x_{seed}"), scans(better(0.01 * seed)), seed=seed)
    assert main(["compare", "runs=[sweep/x_1,sweep/x_2,sweep/x_3]", "out=out"]) == 0
    told = capsys.readouterr().out
    assert "x (3 seeds): Over 3 runs with 3 seeds, another seed alone changes the mean Dice" in told
    assert main(["compare", "runs=[sweep/x_1,sweep/x_2]", "out=two"]) == 0
    told = capsys.readouterr().out
    assert "tumour: x_2 is better than x_1 by 1.0 Dice points [" in told
    assert "x (2 seeds): Two runs with different seeds lie 1.0 Dice points apart, which is too few of them" in told


def test_failed_scans_count_as_the_worst_and_are_listed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = better(0.02)
    rows = scans({case: dice for case, dice in values.items() if case != "t05"} | {"h1": None, "h2": None})
    rows += scan("t05", 0.0, reason="no memory", volume_predicted_ml=None, volume_error_ml=None)
    write_run(Path("runs/failing"), rows)
    assert main(["compare", "runs=[runs/a,runs/failing]", "out=out"]) == 0
    one = record()["pairs"][0]["tumour"]["dice"]
    assert one["n"] == 20
    assert one["losses"] == 1
    assert one["means"][1] < one["means"][0], "19 scans gained 2 points, one lost 65"
    assert record()["sides"][1]["failed"] == {"t05": "no memory"}
    text = Path("out/compare.html").read_text(encoding="utf-8")
    assert "no memory" in text
    assert "failed in failing" in text
    assert record()["pairs"][0]["tumour"]["volume_error_ml"]["undefined"] == 1


def test_other_scans_are_refused_unless_the_common_ones_are_asked_for(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fewer = {case: dice for case, dice in better(0.02).items() if case not in {"t03", "t04"}}
    write_run(Path("runs/fewer"), scans(fewer | WELL | {"t77": 0.5}))
    words = ["compare", "runs=[runs/a,runs/fewer]", "out=out"]
    assert main(words) == 2
    assert _refused(capsys) == (
        "error: runs: all have scored the same scans, got 22 in a, 21 in fewer, 20 in all of them; "
        "t03, t04 not in all but in a; t77 not in all but in fewer; compare on the 20 that all have with cases=common, "
        "or give all runs one list of cases: split.held_out=FILE"
    )
    assert not Path("out").exists()
    assert main([*words, "cases=common"]) == 0
    found = record()
    assert len(found["cases"]) == 20
    assert found["left_out"] == [
        "2 scans of a are not in all runs: t03, t04.",
        "1 scan of fewer is not in all runs: t77.",
    ]
    assert "2 scans of a are not in all runs: t03, t04." in Path("out/compare.html").read_text(encoding="utf-8")


def test_names_from_strangers_do_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = f"t{NASTY}"
    for name, dice in (("x", 0.3), ("y<b>&", 0.6)):
        rows = scans({case: dice, "t\x1b[31mred": 0.5}) + scan("t3", 0.0, reason=NASTY)
        write_evaluated(Path(name), rows)
    assert main(["compare", "runs=[x,y<b>&]", "out=out"]) == 0
    assert "\x1b" not in capsys.readouterr().out
    text = Path("out/compare.html").read_text(encoding="utf-8")
    page = Page(text)
    assert len(page.all("script")) == 1
    assert not page.all("img")
    assert "\x1b" not in text
    assert_in_order(page)


AB = "runs=[runs/a,runs/b]"
NO_SCORES = "runs: scores.csv and summary.json lie in each folder or in its report, got"
NO_MEASURE = "measure: one of dice, iou, sensitivity, precision, specificity, hd95_mm, "
OTHER_TRUTH = "runs: all are scored against the same truth, got"
WRONG = [
    (["runs=[runs/a]", "out=x"], "runs: two runs or more are compared, got runs/a; name more, as runs=[A,B]"),
    (["out=x"], "runs: a path is needed, got none; add runs="),
    ([AB], "out: a path is needed, got none; add out="),
    (["runs=runs/a,gone", "out=x"], "runs: folders of runs, or that `evaluate` wrote, are needed, got gone; check"),
    (["runs=runs/a,runs", "out=x"], f"{NO_SCORES} runs; name a run that has come to its report, or the out=DIR of"),
    (
        ["runs=runs/a,runs/begun", "out=x"],
        f"{NO_SCORES} runs/begun; finish it: medseg run --config-dir runs/begun --config-name settings",
    ),
    ([AB, "out=runs/a"], "out: a comparison goes into a folder of its own, not into a run's"),
    ([AB, "out=runs/b/report"], "out: a comparison goes into a folder of its own"),
    ([AB, "out=file"], "out: the folder of the comparison must be writable, got file ("),
    ([AB, "out=x", "measure=dise"], NO_MEASURE),
    ([AB, "out=x", "measure=volume_truth_ml"], NO_MEASURE),
    ([AB, "out=x", "measure=lesion_dice"], "measure: a measure that some scan has is needed, got lesion_dice, which"),
    ([AB, "out=x", "regions=[rim]"], "regions: one of core, tumour, healthy, all is needed, got rim; name regions"),
    ([AB, "out=x", "reference=c"], "reference: one of a, b is needed, got 'c'; name one of the runs"),
    ([AB, "out=x", "cases=some"], "cases: must be 'same' or 'common', got \"some\""),
    ([AB, "out=x", "mesure=iou"], "mesure: unknown setting, got 'mesure'; did you mean 'measure'?"),
    ([AB, "out=${oc.env:HOME}"], "out: a plain value is needed, not an interpolation"),
    ([AB, "out=x", "-m"], "compare: runs are compared by the settings on the command line"),
    (
        ["runs=runs/a,runs/strict", "out=x"],
        "runs: all are scored by the same rules, got empty undefined in a, zero in strict; "
        "run one of them again with score.empty, or evaluate with empty, as in the other",
    ),
    (
        ["runs=runs/a,redrawn", "out=x"],
        f"{OTHER_TRUTH} tumour of t00 with 4 ml in a and 5 ml in redrawn, and 19 more; "
        "score both folders of masks against one truth with medseg evaluate",
    ),
    (
        ["runs=runs/a,cured", "out=x"],
        f"{OTHER_TRUTH} t00 of cohort tumour in a and healthy in cured, and 19 more; score both",
    ),
    (
        ["runs=runs/a,organ", "out=x"],
        "runs: all name the same region as tumour, got tumour in a, core in organ; score both folders",
    ),
    (
        ["runs=runs/a,others", "out=x", "cases=common"],
        "runs: all have scored the same scans, got 22 in a, 1 in others, 0 in all of them; "
        "h1, h2, t00 and 19 more not in all but in a; x not in all but in others; give all runs one list of cases",
    ),
]


@pytest.mark.parametrize(("words", "told"), WRONG)
def test_wrong_words_end_with_2_and_one_line_and_write_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    _write_unlike_runs()
    before = sorted(here.rglob("*"))
    assert main(["compare", *words]) == 2
    assert _refused(capsys).startswith(f"error: {told}")
    assert sorted(here.rglob("*")) == before


HEAD = "case,region,dice\n"
NO_TABLE = "each line is a row of texts and numbers in their columns, got"
BROKEN = [
    ("case,subject\n1,1\n", "each row names case and region, got row 1 without"),
    (f"{HEAD}t,tumour,good\n", f"{NO_TABLE} could not convert string to float: 'good'; score again, or mend the file"),
    (f"{HEAD}t,tumour,nan\n", "measures are finite numbers, or empty, got dice nan of t"),
    (f"{HEAD}t,tumour,0.5,0.7\n", NO_TABLE),
    (f"{HEAD}t,tumour,0.5\nt,tumour,0.6\n", "there is one row for each case and region, got two for tumour of t"),
    (HEAD, "there is a row of scores, got none"),
]


@pytest.mark.parametrize(("text", "told"), BROKEN)
def test_scores_that_cannot_be_read_end_with_1(
    here: Path, capsys: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    folder = write_evaluated(Path("broken"), scans(BASE))
    (folder / "scores.csv").write_text(text, encoding="utf-8")
    assert main(["compare", "runs=[runs/a,broken]", "out=x"]) == 1
    assert _refused(capsys).startswith(f"error: broken/scores.csv: {told}")


@pytest.mark.parametrize("name", ["summary.json", "evaluate.json", "settings.yaml"])
def test_other_files_that_cannot_be_read_end_with_1(here: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    folder = write_evaluated(Path("broken"), scans(BASE))
    (folder / name).write_text("{[", encoding="utf-8")
    assert main(["compare", "runs=[runs/a,broken]", "out=x"]) == 1
    assert _refused(capsys).startswith(f"error: broken/{name}: it is ")


def test_help_says_how(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--help"]) == 0
    assert "medseg compare runs=[runs/a,runs/b] out=a-b" in capsys.readouterr().out


def _refused(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line that says what is wrong."""
    told = capsys.readouterr()
    assert told.out == ""
    lines = told.err.splitlines()
    assert len(lines) == 2, lines
    return lines[1]


def _write_unlike_runs() -> None:
    rows = scans(BASE | WELL)
    Path("file").write_text("not a folder", encoding="utf-8")
    write_run(Path("runs/strict"), rows, score={"empty": "zero"})
    (write_run(Path("runs/begun"), rows) / "report" / "scores.csv").unlink()
    drawn = [row | {"volume_truth_ml": 5.0} if row["region"] == "tumour" else row for row in rows]
    write_evaluated(Path("redrawn"), [row for row in drawn if row["cohort"] == "tumour"] + scans(WELL))
    write_evaluated(Path("cured"), [row | {"cohort": "healthy", "volume_truth_ml": None} for row in rows])
    write_evaluated(Path("organ"), rows, tumour="core")
    write_evaluated(Path("others"), [row | {"case": "x"} for row in scan("t", 0.5)])
