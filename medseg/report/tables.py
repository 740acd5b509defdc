"""The report's first table, cell by cell: the region where it is, and what happens where it is not."""

from __future__ import annotations

from medseg.report.wording import (
    Cells,
    Json,
    count,
    interval,
    number,
    part,
    percents,
    piece,
    tissue,
    unknown_scans,
)


def comparison_table(summary: Json, region: str) -> Cells:
    """Make the report's first table: the region where it is, and what happens where it is not."""
    tumour, healthy = summary["cohorts"]["tumour"], summary["cohorts"]["healthy"]
    rows = [_mean(f"Dice of {region}, on scans with {region}", tumour["dice"], _failures(summary, region))]
    rows += _labels(summary)
    where = "all scans" if healthy["n"] else "outside the truth, inside the body"
    rows.append(_mean(f"Dice of {tissue(region)}", tumour["healthy_tissue_dice"], where))
    rows += _healthy(healthy) + _detection(tumour, region)
    note = f"A scan in which {region} was not found counts as Dice 0."
    if not healthy["n"]:
        note += " There are no healthy scans, so false alarms on them cannot be told."
    if unknown := unknown_scans(summary):
        note += f" In {count(unknown, 'scan')} {region} was not annotated: they are in neither cohort."
    title = f"{region[:1].upper()}{region[1:]} against {tissue(region)}"
    return {"heading": title, "note": note, "rows": rows}


def lesion_table(summary: Json) -> list[Cells]:
    """List the lesions that were found by size; sizes without any are left out, and a single size says nothing new."""
    bins = [b for b in summary["cohorts"]["tumour"]["lesions"]["bins"] if b["n"]]
    if len(bins) < 2:
        return []
    return [
        {
            "size": _size(b),
            "lesions": b["n"],
            "found": b["found"],
            "share": f"{100 * b['recall']:.0f} %",
            "interval": percents(b["recall_ci95"]),
        }
        for b in bins
    ]


def _mean(question: str, found: Json, remark: str = "") -> Cells:
    notes = [remark, f"median {number(found['median'])}" if found["n"] else ""]
    notes.append(f"{found['undefined']} undefined" if found["undefined"] else "")
    notes.append("too few patients for an interval" if found["n"] and found["ci95"][0] is None else "")
    answer = number(found["mean"])
    return _line(question, answer, "; ".join(filter(None, notes)), interval(found["ci95"]), count(found["n"], "scan"))


def _line(question: str, answer: str, remark: str = "", ends: str = "", n: str = "") -> Cells:
    return {"question": question, "answer": answer, "interval": ends, "n": n, "remark": remark}


def _failures(summary: Json, region: str) -> str:
    n = len(summary["failed"])
    return f"{count(n, 'prediction')} failed in all, which is 0 where there is {region}" if n else ""


def _labels(summary: Json) -> list[Cells]:
    """Add the mean over single labels where it says something that the region's own line does not."""
    mean = summary["mean_dice"]
    same = mean["mean"] == summary["cohorts"]["tumour"]["dice"]["mean"]
    return [] if same or not mean["n"] else [_mean("Mean Dice over the single labels", mean)]


def _healthy(healthy: Json) -> list[Cells]:
    if not healthy["n"]:
        return []
    volume = healthy["false_positive_ml"]
    spread = f"95th percentile {number(volume['p95'], 'ml')} ml, largest {number(volume['max'], 'ml')} ml"
    if volume["undefined"]:
        spread += f"; {volume['undefined']} undefined"
    mean = number(volume["mean"], "ml") + (" ml" if volume["n"] else "")
    clean, scans = part(healthy["clean"], healthy["n"]), count(healthy["n"], "scan")
    ends = percents(healthy["clean_share_ci95"])
    return [
        _line("Healthy scans without a single false voxel", clean, "", ends, scans),
        _line(
            "False volume on healthy scans, mean", mean, spread if volume["n"] else "", "", count(volume["n"], "scan")
        ),
    ]


def _detection(tumour: Json, region: str) -> list[Cells]:
    found, lesions, noun = tumour["detection"], tumour["lesions"], piece(region)
    ill, well = found["tumour_subjects"], found["healthy_subjects"]
    lines = []
    if ill:
        share, ends = part(found["found"], ill), percents(found["sensitivity_ci95"])
        words = "at least one true voxel marked"
        lines.append(_line(f"Patients with {region} that were noticed", share, words, ends, count(ill, "patient")))
    if well:
        share, ends = part(found["clean"], well), percents(found["specificity_ci95"])
        words = "in none of their scans"
        lines.append(_line("Healthy patients with nothing marked", share, words, ends, count(well, "patient")))
    if lesions["n"]:
        share, ends = part(lesions["found"], lesions["n"]), percents(lesions["recall_ci95"])
        lines.append(_line(f"Single {noun}s found", share, "", ends, count(lesions["n"], noun)))
    return lines


def _size(found: Json) -> str:
    low, high = found["from_ml"], found["to_ml"]
    if high is None:
        return f"{low:g} ml and more"
    return f"under {high:g} ml" if low == 0 else f"{low:g} to {high:g} ml"
