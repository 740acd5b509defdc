"""What the numbers in the masks mean: from the settings, else from the data set's own description."""

from __future__ import annotations

from collections.abc import Mapping

from medseg.files.layouts.values import DataSettings, Found
from medseg.values.error import Refusal, wrong_setting
from medseg.values.labels import LabelScheme


def label_scheme(settings: DataSettings, found: Found) -> LabelScheme:
    """Make the label scheme: labels from the settings, else from the data set's own description (in lower case).

    The ignored number is that of `data.ignore`, else what the data set calls "ignore", unless the settings name it as
    a label. Regions are those of the settings, else of the data set, else every label is one. The tumour is the one
    that is set, else a region of the name `tumour` or `tumor`, else the only region, else a region `foreground` that
    joins all labels. Refuses a data set without labels, and a case whose list of annotated labels names another.
    """
    ignore = _ignore(settings, found)
    labels = dict(settings.labels) or {name: number for name, number in found.labels.items() if number != ignore}
    if not labels:
        remedy = "set data.labels, like data.labels='{tumour: 1}'"
        raise wrong_setting(
            "data.labels", f"names are needed for the numbers in the masks ({found.layout})", "none", remedy
        )
    described = {} if settings.labels else dict(found.regions)
    regions = dict(settings.regions) or described or {name: (number,) for name, number in labels.items()}
    tumour = settings.tumour or _default_tumour(regions)
    if settings.tumour is None and tumour == "foreground":
        regions.setdefault("foreground", tuple(sorted(labels.values())))
    _check_annotated(found, labels)
    return LabelScheme(labels, regions, tumour, ignore)


def _ignore(settings: DataSettings, found: Found) -> int | None:
    named = next((name for name in settings.labels if name.lower() == "ignore"), None)
    if named is not None:
        number = settings.labels[named]
        remedy = f"take it out and set data.ignore={number}"
        raise wrong_setting("data.labels", "names what was annotated", f"{named}: {number}", remedy)
    if settings.ignore is not None or found.ignore in settings.labels.values():
        return settings.ignore
    return found.ignore


def _default_tumour(regions: Mapping[str, tuple[int, ...]]) -> str:
    for name in ("tumour", "tumor"):
        if name in regions:
            return name
    if len(regions) == 1:
        return next(iter(regions))
    if "foreground" in regions:
        raise wrong_setting(
            "data.tumour", f"is one of the regions {sorted(regions)}", "none", "say which is the tumour"
        )
    return "foreground"


def _check_annotated(found: Found, labels: Mapping[str, int]) -> None:
    for case in found.cases:
        unknown = [name for name in case.annotated or () if name not in labels]
        if unknown:
            rule = f"annotated labels are among {', '.join(labels)}"
            raise Refusal(case.case, rule, ", ".join(unknown), "mend the column annotated, or set data.labels")
