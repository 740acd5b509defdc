from __future__ import annotations

from medseg.values.error import Refusal
from medseg.values.finding import Finding, finding_of, one_line


def test_a_finding_is_said_like_an_error() -> None:
    refusal = Refusal("case_1", "a rule", 7, "a remedy", override="data.repair=[round_mask]")
    finding = finding_of(refusal, "a/b.nii")
    assert one_line(finding, "case_1") == str(refusal)
    assert (finding.severity, finding.file, finding.override) == ("refuse", "a/b.nii", "data.repair=[round_mask]")


def test_names_from_disk_cannot_break_the_line_or_the_terminal() -> None:
    finding = Finding(severity="warn", rule="names are plain", value="a\nb\x1b[31m\x9b c\t\u202ed", remedy="rename it")
    line = one_line(finding)
    assert line == "data set: names are plain, got a b?[31m? c ?d; rename it"
    assert line.isprintable()
