"""Folders that are written into: what links in them point to stays as it is."""

from __future__ import annotations

from pathlib import Path

from medseg.experiment.claiming import claimed
from medseg.experiment.outcome import Outcome
from medseg.experiment.publish import publish


def test_publishing_takes_away_links_and_not_what_they_point_to(tmp_path: Path) -> None:
    mine, run = tmp_path / "mine", tmp_path / "run"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years")
    run.mkdir()
    (run / "model").symlink_to(mine)
    (run / "curve.csv").symlink_to(mine / "thesis.txt")
    (run / "report").symlink_to(tmp_path / "nowhere")
    publish(run, Outcome())
    assert list(run.iterdir()) == []
    assert (mine / "thesis.txt").read_text() == "years"


def test_a_claim_changes_nothing_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".mark").symlink_to(tmp_path / "thesis.txt")
    with claimed(tmp_path / "out", ".mark", "masks", lambda: None):
        pass
    assert (tmp_path / "thesis.txt").read_text() == "years"
