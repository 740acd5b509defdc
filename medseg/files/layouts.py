"""Which cases lie in a folder, whatever the shape of the data set, and what their masks mean."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from medseg.files import layout_brats, layout_msd, layout_pairs
from medseg.files.layout_values import ChannelFile, DataSettings, Found, FoundCase
from medseg.values.error import Refusal, wrong_setting
from medseg.values.labels import LabelScheme

__all__ = ["ChannelFile", "DataSettings", "Found", "FoundCase", "find_cases", "label_scheme"]

_LAYOUTS: dict[str, ModuleType] = {"msd": layout_msd, "brats": layout_brats, "pairs": layout_pairs}
_SHAPES = (
    "msd (dataset.json with training pairs), brats (a folder per case: *_flair, *_t1, ..., *_seg) or "
    "pairs (images/ and labels/, or a folder per case with data.channels and data.mask)"
)


def find_cases(root: Path, settings: DataSettings) -> Found:
    """Find the cases below `root`, sorted by name, in the layout that is set or that fits.

    A missing channel or mask is no refusal here: the case lacks it. Refuses a root that is no folder, and a
    folder that fits no layout or two of them (exit code 2), and a malformed description of the data set.
    """
    if not root.is_dir():
        value = f"{root} (a file)" if root.exists() else str(root)
        raise wrong_setting(
            "data.root", "a folder that exists is needed", value, "set data.root to the data set's folder"
        )
    try:
        name = settings.layout if settings.layout != "auto" else _fitting(root, settings)
        found: Found = _LAYOUTS[name].find(root, settings)
    except OSError as error:
        raise wrong_setting("data.root", "the folder can be read", error, "check its rights") from error
    if not found.cases:
        raise wrong_setting("data.root", f"holds cases in the layout {name}", _contents(root), "check path and layout")
    cases = (replace(case, subject=_subject(case.case, settings)) for case in found.cases)
    return replace(found, cases=tuple(sorted(cases, key=lambda case: case.case)))


def label_scheme(settings: DataSettings, found: Found) -> LabelScheme:
    """Make the label scheme: labels from the settings, else from the data set's own description (in lower case).

    Without `data.regions` every label is a region. The tumour is the one that is set, else a region of the name
    `tumour`, else the only region, else a region `foreground` that joins all labels. Refuses a data set without labels.
    """
    labels = dict(settings.labels or found.labels)
    if not labels:
        remedy = "set data.labels, like data.labels='{tumour: 1}'"
        raise wrong_setting(
            "data.labels", f"names are needed for the numbers in the masks ({found.layout})", "none", remedy
        )
    regions = dict(settings.regions) or {name: (number,) for name, number in labels.items()}
    tumour = settings.tumour or _default_tumour(regions)
    if settings.tumour is None and tumour == "foreground":
        regions.setdefault("foreground", tuple(sorted(labels.values())))
    return LabelScheme(labels, regions, tumour)


def _default_tumour(regions: dict[str, tuple[int, ...]]) -> str:
    if "tumour" in regions:
        return "tumour"
    if len(regions) == 1:
        return next(iter(regions))
    if "foreground" in regions:
        raise wrong_setting(
            "data.tumour", f"is one of the regions {sorted(regions)}", "none", "say which is the tumour"
        )
    return "foreground"


def _fitting(root: Path, settings: DataSettings) -> str:
    fitting = [name for name, layout in _LAYOUTS.items() if layout.fits(root, settings)]
    if len(fitting) > 1:
        remedy = f"set data.layout to {' or '.join(fitting)}"
        raise wrong_setting("data.layout", "the folder fits one layout", " and ".join(fitting), remedy)
    if not fitting:
        raise wrong_setting("data.root", f"the folder fits a layout: {_SHAPES}", _contents(root), "see data.layout")
    return fitting[0]


def _contents(root: Path) -> str:
    names = sorted(entry.name for entry in root.iterdir())
    if not names:
        return f"{root}, an empty folder"
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{root} with {', '.join(names[:3])}{more}"


def _subject(case: str, settings: DataSettings) -> str:
    if settings.subject is None:
        return case
    try:
        expression = re.compile(settings.subject)
    except re.error as error:
        raise wrong_setting(
            "data.subject", "is a regular expression", f"{settings.subject} ({error})", "mend it"
        ) from None
    if expression.groups != 1:
        value = f"{expression.groups} groups in {settings.subject}"
        raise wrong_setting("data.subject", "has one group ( ) that holds the subject", value, "mark it with ( )")
    match = expression.search(case)
    if not match or not match.group(1):
        raise Refusal(
            "data.subject",
            f"finds the subject in every case name, like {settings.subject}",
            case,
            "widen it",
            exit_code=2,
        )
    return match.group(1)
