"""A scan in the interactive viewer, inside a frame of a notebook."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from medseg.report.notebook.shown import Shown
from medseg.report.pictured import Pictured
from medseg.report.templates import environment
from medseg.report.viewer.block import viewer_block
from medseg.report.viewer.layers import make_layers, share_of
from medseg.values.labels import LabelScheme
from medseg.values.volume import Array, Volume

_FRAME = Markup(
    '<iframe title="{title}" style="width: 100%; height: {height}px; border: 0" sandbox="allow-scripts" '
    'srcdoc="{page}"></iframe>'
)


def view_case(case: str, pictured: Pictured, scheme: LabelScheme, height: int) -> Shown:
    """Show a scan with truth and prediction in a frame `height` pixels high; nothing is fetched from anywhere."""
    return framed(f"{case}, in slices and in 3-D", viewer_page(case, pictured, scheme), height)


def view_scan(case: str, image: Volume, truth: Array, scheme: LabelScheme, height: int) -> Shown:
    """Show one channel (1, X, Y, Z) with its mask (X, Y, Z) alone, in the colours of its labels."""
    nothing = np.zeros_like(truth)
    pictured = Pictured(image.voxels[0], truth, nothing, image.spacing_mm, affine=image.affine)
    return framed(f"{case}, in slices and in 3-D", viewer_page(case, pictured, scheme, judged=False), height)


def viewer_page(case: str, pictured: Pictured, scheme: LabelScheme, judged: bool = True) -> str:
    """Return the page with the viewer, opened at the scan; the same input gives the same text.

    Without a prediction (not `judged`) the layers that need one are left out.
    """
    layers = make_layers(case, pictured, scheme.regions[scheme.tumour], share_of(1))
    block = viewer_block([layers], scheme).replace(" autofocus", "", 1)  # the focus stays in the notebook
    parts = {"case": case, "block": block, "judged": judged}
    return environment().get_template("notebook/viewer.html").render(parts)


def framed(title: str, page: str, height: int) -> Shown:
    """Show a whole page in a frame of its own, `height` pixels high, from which it reaches nothing around it."""
    return Shown(str(_FRAME.format(title=title, height=int(height), page=page)))
