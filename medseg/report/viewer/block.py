"""The piece of page that opens cases in the viewer: dialog, styles, script, NiiVue and the layers of every case."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from medseg.report.pixels import FALSE, MISSED, RIGHT
from medseg.report.templates import environment
from medseg.report.viewer.asset import packed_script
from medseg.report.viewer.layers import CaseLayers
from medseg.report.viewer.sheet import CELL
from medseg.values.labels import LabelScheme
from medseg.values.palette import colour_of

TRUTH, PREDICTION, OTHER = (0, 158, 115), (204, 121, 167), (204, 121, 167)
EVERY = "every label"
LAYOUTS = (
    ("planes", "three planes"),
    ("both", "planes and 3-D"),
    ("axial", "axial"),
    ("coronal", "coronal"),
    ("sagittal", "sagittal"),
    ("space", "3-D"),
)
_LAYERS = (
    {"name": "difference", "title": "Difference", "shown": True, "opacity": 60},
    {"name": "truth", "title": "Truth", "shown": False, "opacity": 60},
    {"name": "prediction", "title": "Prediction", "shown": False, "opacity": 60},
)


def viewer_block(cases: Sequence[CaseLayers], scheme: LabelScheme) -> Markup:
    """Return what goes once at the end of the page's body; nothing where there are no cases.

    The script defines `openCase(case)`, which opens a case and tells whether it could; next and previous follow the
    rows `tr[data-case]` that are shown, in their order. `data-note` on an element with `data-case` is written under the
    name. A script that asks for `openCase` comes after this block; a page's style for `.viewer` may change its size.
    """
    if not cases:
        return Markup("")
    text = (
        environment()
        .get_template("viewer/viewer.html")
        .render(
            layouts=LAYOUTS,
            regions=_regions(scheme),
            layers=_LAYERS,
            settings=htmlsafe_json_dumps(_settings(scheme)),
            records=[{"case": case.case, "text": htmlsafe_json_dumps(case.record)} for case in cases],
            script=b64encode(packed_script()).decode("ascii"),
        )
    )
    return Markup(text)  # noqa: S704 - a template with autoescape made it


def _settings(scheme: LabelScheme) -> dict[str, Any]:
    """Return what the script reads: regions, labels and the colours of everything."""
    return {
        "cell": CELL,
        "regions": _regions(scheme),
        "labels": [
            {"label": number, "name": name, "colour": colour_of(number)} for name, number in scheme.labels.items()
        ],
        "layers": {"difference": None, "truth": TRUTH, "prediction": PREDICTION},
        "difference": [
            {"kind": "right", "name": "right: marked and true", "colour": RIGHT},
            {"kind": "missed", "name": "missed: true but not marked", "colour": MISSED},
            {"kind": "false", "name": "false: marked but not true", "colour": FALSE},
            {"kind": "other", "name": "another label than the true one", "colour": OTHER},
        ],
    }


def _regions(scheme: LabelScheme) -> list[dict[str, Any]]:
    """Return what can be looked at, the tumour first, and each label by itself last where there are several."""
    names = [scheme.tumour, *(name for name in scheme.regions if name != scheme.tumour)]
    found: list[dict[str, Any]] = [{"name": name, "members": list(scheme.regions[name])} for name in names]
    return [*found, {"name": EVERY, "members": None}] if len(scheme.labels) > 1 else found
