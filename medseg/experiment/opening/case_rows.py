"""One scan of a data set as the row of a table."""

from __future__ import annotations

from typing import Any

from medseg.files.records import CaseRecord, SchemeRecord, Sight
from medseg.ops.scoring.rows import UNKNOWN


def case_row(record: CaseRecord, sight: Sight | None, scheme: SchemeRecord) -> dict[str, Any]:
    """Return what the index knows of a scan; a volume is None where the scan could not be read.

    cohort: "tumour", "healthy", "unknown" (nobody looked for tumour) or "refused".  Voxels and spacing are those of the
    stored axes.  LABEL_ml: volume of a label.
    """
    volumes = {f"{name}_ml": None if sight is None else sight.label_ml.get(name, 0.0) for name in scheme.labels}
    shape, spacing_mm = record.shape or (None,) * 3, record.spacing_mm or (None,) * 3
    return {
        "case": record.case,
        "subject": record.subject,
        "site": record.site,
        "cohort": _cohort(record, scheme),
        "channels": ", ".join(record.channels),
        **{f"voxels_{axis}": size for axis, size in zip("xyz", shape, strict=True)},
        **{f"spacing_{axis}_mm": edge for axis, edge in zip("xyz", spacing_mm, strict=True)},
        **volumes,
        "lesions": None if sight is None else sight.lesion_count,
        "warnings": sum(finding.severity == "warn" for finding in record.findings),
        "refused": None if record.refused is None else f"{record.refused.rule}, got {record.refused.value}",
    }


def _cohort(record: CaseRecord, scheme: SchemeRecord) -> str:
    if record.refused is not None:
        return "refused"
    if not scheme.scheme.is_annotated(scheme.tumour, record.annotated):
        return UNKNOWN
    return "tumour" if record.tumour_voxels else "healthy"
