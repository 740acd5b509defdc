"""The same numbers site by site: hospitals, scanners, studies."""

from __future__ import annotations

from collections.abc import Sequence

from medseg.ops.cohort_cells import Record, rows_of, subjects_of, summarise_cells
from medseg.ops.scoring.rows import ALL, HEALTHY, Row

# The key of the scans whose site is not known; a site is never an empty text.
NO_SITE = ""


def by_site(rows: Sequence[Row], tumour: str, seed: int) -> dict[str, Record]:
    """Return {SITE: {"n", "subjects", "dice", "healthy", "regions"}}; empty where no site is known.

    dice: of tumour on tumour scans.  healthy: "n" scans, "clean" ones among them.  regions: Dice by region.  Where some
    sites are known, scans without one stand under "".
    """
    sites = {_site(row) for row in rows}
    if sites <= {NO_SITE}:
        return {}
    return {site: _describe([row for row in rows if _site(row) == site], tumour, seed, site) for site in sorted(sites)}


def _site(row: Row) -> str:
    return str(row.get("site") or NO_SITE)


def _describe(rows: Sequence[Row], tumour: str, seed: int, site: str) -> Record:
    scans, healthy = rows_of(rows, tumour), rows_of(rows, tumour, "healthy")
    regions = sorted({str(row["region"]) for row in rows} - {HEALTHY, ALL})
    return {
        "n": len(scans),
        "subjects": len(subjects_of(scans)),
        "dice": summarise_cells(rows_of(rows, tumour, "tumour"), "dice", seed, f"site {site}"),
        "healthy": {"n": len(healthy), "clean": sum(row["volume_predicted_ml"] == 0 for row in healthy)},
        "regions": {
            name: summarise_cells(rows_of(rows, name), "dice", seed, f"site {site}, {name}") for name in regions
        },
    }
