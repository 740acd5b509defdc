"""The list of a command's scans: its page is about this command, also where an earlier record is still there."""

from __future__ import annotations

from pathlib import Path

from medseg.experiment.segmenting.listing import Listing
from medseg.experiment.segmenting.writing import write_record
from tests.report.segmented_scans import failed, picture, scan


def test_a_failed_scan_is_failed_on_the_page_whatever_record_is_left_of_it(tmp_path: Path) -> None:
    for case in ("kept", "lost"):
        write_record(tmp_path, scan(case, picture=picture(), notes=("from an earlier command",)))
    listing = Listing(tmp_path, {})
    listing.add(scan("kept", notes=("said now",)))
    listing.add(failed("lost", "no room for a record; free some space"))
    listing.write_page("Sheet", {})
    page = listing.page.read_text(encoding="utf-8")
    assert page.count("data:image/webp") == 1, "the picture that lies on the disk, of the one that is the same"
    assert "No room for a record" in page or "no room for a record" in page
    assert "said now" in page
    assert "from an earlier command" not in page
