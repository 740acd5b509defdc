from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from medseg.stages.check import CheckSettings, findings_of, run
from medseg.values.finding import Finding
from medseg.values.machine import Machine
from tests.stages.surveying.tiny_survey import Scan, sound, write_index

ROUND = Finding(
    severity="refuse", rule="whole numbers", value="0.5", remedy="round", override="data.repair=[round_mask]"
)
CUT = Finding(severity="refuse", rule="the file is whole", value="half of it", remedy="copy it again", file="a.nii.gz")
NOTE = Finding(severity="note", rule="the affine is sound", value="the qform was used", remedy="nothing")


def planted() -> list[Scan]:
    scans = sound()
    scans[4].findings = (NOTE, ROUND)
    scans[7].findings = (ROUND, CUT)
    scans[9].findings = (CUT,)
    scans[11].findings = (ROUND,)
    scans[13].findings = (NOTE,)
    scans[2].spacing = (1.0, 1.0, 9.0)
    return scans


def checked(tmp_path: Path, scans: list[Scan], **settings: Any) -> tuple[dict[str, Any], str]:
    index = write_index(tmp_path / "index", scans, {scan.case: "UExBQ0U=" for scan in scans if scan.number != 9})
    run(CheckSettings(**settings), {"index": index}, tmp_path, Machine())
    page = (tmp_path / "check.html").read_text(encoding="utf-8")
    return json.loads((tmp_path / "check.json").read_text(encoding="utf-8")), page


def test_check_json_names_every_case_with_its_findings(tmp_path: Path) -> None:
    found, _ = checked(tmp_path, planted())
    assert list(found) == ["cases", "dataset"]
    assert list(found["cases"]) == [f"case_{number:03d}" for number in range(30)]
    refused = [case for case, one in found["cases"].items() if not one["accepted"]]
    assert refused == ["case_004", "case_007", "case_009", "case_011"]
    assert found["cases"]["case_000"] == {"findings": [], "accepted": True}
    assert found["cases"]["case_009"]["findings"] == [
        {"severity": "refuse", "rule": "the file is whole", "value": "half of it", "remedy": "copy it again",
         "file": "a.nii.gz", "override": None}
    ]  # fmt: skip
    assert [one["severity"] for one in found["cases"]["case_004"]["findings"]] == ["note", "refuse"]
    assert "scans of a set have similar voxels" in {one["rule"] for one in found["dataset"]}
    assert all(set(one) == set(Finding.model_fields) for one in found["dataset"])


def test_the_page_counts_groups_and_mends(tmp_path: Path) -> None:
    _, page = checked(tmp_path, planted(), title="Check of mine", words=("data.root=my scans",))
    assert "<title>Check of mine</title>" in page
    assert "26 of 30 scans can be used; 4 are refused, and 1 more should be looked at." in page
    assert "would let in 2 of 4 refused scans" in page
    assert "medseg check &#39;data.root=my scans&#39; &#39;data.repair=[round_mask]&#39;" in page
    assert page.count("<article") == 30
    assert page.count("data:image/webp") == 29
    mend = page[page.index('id="mend"') : page.index('id="scans"')]
    assert mend.index("case_004, case_007, case_011") < mend.index("case_007, case_009"), "most scans first"


def test_a_set_without_findings_is_checked(tmp_path: Path) -> None:
    found, page = checked(tmp_path, sound())
    assert all(one["accepted"] for one in found["cases"].values())
    assert "All 30 scans can be used." in page
    assert "mend them" not in page


def test_a_refused_case_always_says_why() -> None:
    scan = Scan(0, findings=(CUT,))
    bare = scan.record().model_copy(update={"findings": (NOTE,)})
    assert [one.rule for one in findings_of(bare)] == ["the file is whole", "the affine is sound"]
    assert findings_of(scan.record()) == (CUT,)


@pytest.mark.parametrize("channel", ["flair", 'a", "cases": [', "ü\n{{x}}"])
def test_names_of_channels_cannot_confuse_the_reading(tmp_path: Path, channel: str) -> None:
    found, _ = checked(tmp_path, sound(6, ranges={channel: (0.0, 9.0)}))
    assert len(found["cases"]) == 6


def test_the_same_index_gives_the_same_bytes(tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        checked(tmp_path / place, planted())
    for name in ("check.json", "check.html"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
