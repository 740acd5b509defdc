"""Reports from material of any origin: parts that are there or not, odd names, the same bytes in any order."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medseg.report.pictured import Pictured
from medseg.report.scores import read_scores
from medseg.report.settings import ReportSettings
from medseg.stages.reporting.material import Background, Material
from medseg.stages.reporting.writing import write_report
from medseg.values.labels import LabelScheme
from tests.report.html_page import NASTY, Page, assert_in_order, assert_self_contained
from tests.report.scored_rows import healthy, row
from tests.report.test_certainty import BINS, LEARNED

SCHEME = LabelScheme({"core": 1, "rim": 2}, {"tumour": (1, 2), "core": (1,)}, "tumour")
Rows = Sequence[dict[str, Any]]


def score(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    own = {"case": rows[0]["case"], "failed": rows[0].get("reason"), "notes": [], "froc": None, "reliability": {}}
    return own | {"rows": list(rows), "lesions": [{"ml": 1.0, "found": True}]} | more


def pictured(image: bool = True, shift: int = 1) -> Pictured:
    truth = np.zeros((16, 14, 12), np.uint8)
    truth[5:9, 4:8, 4:8] = 2
    truth[6:8, 5:7, 5:7] = 1
    grey = np.random.default_rng(0).normal(100, 9, truth.shape).astype(np.float32)
    return Pictured(grey if image else None, truth, np.roll(truth, shift, 0), (1.0, 1.0, 2.0))


def scores() -> list[dict[str, Any]]:
    made = [score(row(f"c{i}", 0.6 + i / 20), row(f"c{i}", 0.5 + i / 20, region="core")) for i in range(5)]
    return [*made, score(healthy("well", 1.5)), score(row("gone", 0.0, reason="no memory", volume_predicted_ml=None))]


def material(**parts: Any) -> Material:
    found = scores()
    cases = [one["case"] for one in found if one["failed"] is None]
    return replace(Material(SCHEME, found, dict.fromkeys(cases, pictured)), **parts)


def written(out: Path, made: Material) -> tuple[str, Page]:
    write_report(out, made)
    text = (out / "report.html").read_text(encoding="utf-8")
    return text, Page(text)


def ids(page: Page) -> set[str]:
    return {str(own["id"]) for tag, own in page.elements if tag == "section"}


ALWAYS = {"comparison", "badly", "measures", "dice", "volumes", "examples", "cases", "unscored", "settings"}


def test_a_page_of_bare_scores_has_no_empty_parts(tmp_path: Path) -> None:
    text, page = written(tmp_path, material())
    assert ids(page) == ALWAYS
    assert_self_contained(text)
    assert_in_order(page)
    assert "Everything that was set" not in text
    assert "Noticed while scoring" not in text


def test_everything_that_is_known_gets_its_part(tmp_path: Path) -> None:
    made = scores()
    for number, one in enumerate(made):
        one["notes"] = ["the prediction was resampled"] if number == 0 else []
        for own in one["rows"]:
            own["site"] = "Bonn" if number % 2 else "Turin"
    background = Background(
        facts=[("Training", "40 scans")],
        settings="training:\n  steps: 7000\n",
        provenance=[("train: commit", "abc123")],
        curve=[{"step": float(i), "loss": 1 / i, "validation_dice": 0.5} for i in range(1, 9)],
        calibration=LEARNED,
        refused=[{"case": "torn", "subject": "mask", "rule": "is whole", "value": "half", "remedy": "mend it"}],
        warnings={"c0": ["voxels are 9 mm thick"]},
    )
    text, page = written(tmp_path, material(scores=made, background=background))
    assert ids(page) == ALWAYS | {"sites", "certainty", "training"}
    assert_self_contained(text)
    assert_in_order(page)
    for words in ("Bonn", "Turin", "40 scans", "steps: 7000", "abc123", "mend it", "the prediction was resampled"):
        assert words in text
    assert "noticed about the scan: voxels are 9 mm thick" in text


def test_names_of_strangers_stay_text(tmp_path: Path) -> None:
    made = [score(row("nasty", 0.2, subject=NASTY, site=NASTY)), score(healthy("well", 0.0, site="b"))]
    for one in (made[0], *made[0]["rows"]):
        one["case"] = NASTY.replace("/", "|")
    scheme = LabelScheme({NASTY: 1}, {"tumour": (1,), NASTY: (1,)}, "tumour")
    background = Background(((NASTY, NASTY),), NASTY, ((NASTY, NASTY),), warnings={made[0]["case"]: [NASTY]})
    text, page = written(tmp_path, Material(scheme, made, {made[0]["case"]: pictured}, background=background))
    assert_self_contained(text)
    assert_in_order(page)
    assert "alert(1)</script>" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL).replace("&lt;", "")
    assert "<img src=x" not in text
    assert json.loads(re.findall(r'id="measured">(.*?)</script>', text)[0])["tumour"]


def test_an_evaluation_speaks_of_no_training(tmp_path: Path) -> None:
    text, page = written(tmp_path, material(kind="evaluation", scans={"c0": partial(pictured, image=False)}))
    assert "held-out" not in text.lower().replace("held_out", "")
    assert "used for training" not in text
    assert "On 6 scans with tumour the predictions&#39; tumour Dice is" in text
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert summary["answer"].startswith("On 6 scans with tumour the predictions' tumour Dice is ")
    assert sorted(path.name for path in (tmp_path / "cases").iterdir()) == ["c0.png"]
    pictures = [str(own["alt"]) for tag, own in page.elements if tag == "img"]
    assert pictures
    assert not any(alt.startswith("image of") for alt in pictures)


def test_the_order_of_cases_does_not_change_a_byte(tmp_path: Path) -> None:
    made = material()
    write_report(tmp_path / "a", made)
    shuffled: Mapping[str, Any] = dict(reversed(list(made.scans.items())))
    write_report(tmp_path / "b", replace(made, scores=made.scores[::-1], scans=shuffled))
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) == 3 + 6
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_what_is_written_appears_whole_and_replaces_what_was_there(tmp_path: Path) -> None:
    write_report(tmp_path, material())
    before = (tmp_path / "report.html").read_bytes()

    def broken() -> Pictured:
        raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError, match="the disk is gone"):
        write_report(tmp_path, material(scans={"c0": broken}))
    assert (tmp_path / "report.html").read_bytes() == before
    assert len(read_scores(tmp_path / "scores.csv")) == 12
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".part")]


def test_every_false_alarm_is_shown_however_few_examples_are_asked_for(tmp_path: Path) -> None:
    made = [*scores(), *(score(healthy(f"alarm{i}", 1.0 + i)) for i in range(4))]
    scans = {one["case"]: pictured for one in made if one["failed"] is None}
    _, page = written(tmp_path, material(scores=made, scans=scans, settings=ReportSettings(examples=1)))
    shown = {re.sub(r".* of (\S+), .*", r"\1", str(own["alt"])) for tag, own in page.elements if tag == "img"}
    assert shown == {"c0", "c2", "c4", "well", "alarm0", "alarm1", "alarm2", "alarm3"}


def test_probabilities_that_were_kept_are_drawn(tmp_path: Path) -> None:
    kept = {"voxels": BINS["answers"], "inside": [5] * 15, "probability": [6.0] * 15, "squared": 9.5}
    made = [one | {"reliability": {"tumour": kept}} for one in scores()]
    _, page = written(tmp_path, material(scores=made))
    assert "certainty" in ids(page)
