"""Pictures of cases as the page shows them: one plane in full, the other two beside it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medseg.report.overlays import Panel
from medseg.report.thumbnail import webp
from medseg.report.verdicts import Verdict
from medseg.report.wording import Row, number
from medseg.values.labels import LabelScheme

QUALITY = 86


@dataclass(frozen=True, slots=True)
class Example:
    """A case to show: its row of the tumour region, and its pictures."""

    row: Row
    panels: Sequence[Panel]


Groups = Sequence[tuple[str, Sequence[Example]]]


def gallery(groups: Groups, scheme: LabelScheme, verdicts: Mapping[str, Verdict]) -> list[dict[str, Any]]:
    """Return headings and cases with what is to be read beside each picture."""
    return [
        {"heading": heading, "cases": [_case(one, scheme, verdicts) for one in examples]}
        for heading, examples in groups
    ]


def _case(example: Example, scheme: LabelScheme, verdicts: Mapping[str, Verdict]) -> dict[str, Any]:
    row, case = example.row, str(example.row["case"])
    volumes = (
        f"truth {number(row['volume_truth_ml'], 'ml')} ml, predicted {number(row['volume_predicted_ml'], 'ml')} ml"
    )
    facts = volumes if row["dice"] is None or row["cohort"] != "tumour" else f"Dice {number(row['dice'])}, {volumes}"
    main, beside = _arranged(example.panels)
    return {
        "case": case,
        "facts": facts,
        "reasons": "; ".join(verdicts[case].reasons) if case in verdicts else "",
        "panels": [_panel(panel, case, scheme.tumour) for panel in main],
        "beside": [_panel(panel, case, scheme.tumour) | {"caption": _place(panel)} for panel in beside],
    }


def _arranged(panels: Sequence[Panel]) -> tuple[list[Panel], list[Panel]]:
    """Part the panels: all of the first plane, and of each other plane the last one, which shows most."""
    planes: dict[str, list[Panel]] = {}
    for panel in panels:
        planes.setdefault(panel.plane, []).append(panel)
    first, *others = planes.values()
    return first, [own[-1] for own in others]


def _panel(panel: Panel, case: str, region: str) -> dict[str, Any]:
    what = {
        "image": f"image of {case}",
        "truth": f"true {region} of {case}",
        "prediction": f"predicted {region} of {case}",
        "agreement": f"right, missed and false {region} of {case}",
    }[panel.kind]
    where = f"{panel.plane} slice {panel.slice} of {panel.slices}"
    caption = f"{panel.kind}, {_place(panel)}"
    source = "data:image/webp;base64," + b64encode(webp(panel.picture.convert("RGB"), QUALITY)).decode("ascii")
    return {"source": source, "alt": f"{what}, {where}", "caption": caption, "side": panel.picture.width}


def _place(panel: Panel) -> str:
    return f"{panel.plane} {panel.slice}/{panel.slices}"
