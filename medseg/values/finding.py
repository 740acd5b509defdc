"""What was noticed about a scan or a data set: how bad it is, the rule, what was found, and what to do."""

from __future__ import annotations

from typing import Literal

from medseg.values.error import Refusal
from medseg.values.settings import Settings

Severity = Literal["refuse", "warn", "note"]
SEVERITIES: tuple[Severity, ...] = ("refuse", "warn", "note")


class Finding(Settings):
    """One thing noticed. `refuse`: the scan cannot be used; `warn`: look at it; `note`: read so, nothing to do.

    `file` is the file it is about (below the data root, POSIX), None where it is about the whole case or data set.
    `override` is the setting that applies the remedy, like `data.repair=[round_mask]`; None where there is none.
    `cases` names the cases that a finding about a data set is about.
    """

    severity: Severity
    rule: str
    value: str
    remedy: str
    file: str | None = None
    override: str | None = None
    cases: tuple[str, ...] = ()


def finding_of(refusal: Refusal, file: str | None = None) -> Finding:
    """Turn a refusal into a finding of severity `refuse`."""
    return Finding(
        severity="refuse",
        rule=refusal.rule,
        value=refusal.value,
        remedy=refusal.remedy,
        file=file,
        override=refusal.override,
    )


def one_line(finding: Finding, subject: str = "data set") -> str:
    """Say a finding as one printable line, like an error: `SUBJECT: RULE, got VALUE; REMEDY`."""
    return printable(f"{subject}: {finding.rule}, got {finding.value}; {finding.remedy}")


def printable(text: str) -> str:
    """Write a text as one line without control characters, so that a name from disk cannot steer a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))
