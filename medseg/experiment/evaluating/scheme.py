"""What the numbers in the masks mean: regions of the settings, else one for each label of the truth."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from medseg.experiment.evaluating.settings import EvaluateSettings
from medseg.files.layouts.find import label_scheme
from medseg.files.layouts.rewording import told_of
from medseg.files.layouts.values import DataSettings, Found
from medseg.ops.scoring.rows import ALL, HEALTHY
from medseg.values.error import wrong_setting
from medseg.values.labels import LabelScheme


def scheme_of(settings: EvaluateSettings, found: Found, numbers: Collection[int]) -> LabelScheme:
    """Make the label scheme; `numbers` are those that stand in the true masks.

    Names of labels are those of `data.labels`, else the data set's own; a number without a name becomes `label_N`.
    Regions are those of the settings, else the data set's own, else every label is one. The tumour is the one that is
    set, else a region `tumour`, else the only one, else `foreground`, all labels together.
    Refuses (exit 2) a truth without any label that has a name or a voxel, regions of other numbers, and names that rows
    of the report have.
    """
    ignore = found.ignore if settings.data.ignore is None else settings.data.ignore
    named = dict(settings.data.labels) or {name: number for name, number in found.labels.items() if number != ignore}
    members = {number for region in settings.regions.values() for number in region}
    labels = _complete(named, {*numbers, *members} - {0, ignore})
    if not labels:
        remedy = "name what was looked for: data.labels='{tumour: 1}'"
        raise wrong_setting("truth", "holds a label somewhere, or labels have names", "nothing but background", remedy)
    own = {} if settings.data.labels else found.regions
    asked = DataSettings(
        labels=labels, regions=dict(settings.regions or own), tumour=settings.tumour, ignore=settings.data.ignore
    )
    with told_of("truth", {"data.regions": "regions", "data.tumour": "tumour", "score.nsd_": "nsd_"}):
        scheme = label_scheme(asked, found)
        settings.demand_regions(scheme.regions)
    for name in sorted({HEALTHY, ALL} & set(scheme.regions)):
        raise wrong_setting(f"regions.{name}", "no region has the name of a report row", name, "rename it")
    return scheme


def check_coding(coding: Mapping[int, int], scheme: LabelScheme) -> None:
    """Refuse (exit 2) a coding of the predictions that turns a number into one that means nothing in the truth."""
    for old, new in sorted(coding.items()):
        if new not in scheme.values:
            other = f"; the other way round it is labels='{{{new}: {old}}}'" if old in scheme.values else ""
            rule = f"a number of the predictions becomes one of the truth, {list(scheme.values)}"
            remedy = f"write {{prediction's number: truth's number}}{other}"
            raise wrong_setting("labels", rule, f"{old}: {new}", remedy)


def coding_remedy(strange: Collection[int], scheme: LabelScheme) -> str:
    """Say how numbers of predictions are read as those of the truth, in both directions."""
    first = min(strange)
    known = [number for number in scheme.values if number]
    meant = ([number for number in known if number > first] or known)[-1]
    return (
        f"where a {first} of the predictions is a {meant} of the truth, set labels='{{{first}: {meant}}}' (on the left "
        f"the prediction's number, on the right the truth's), labels='{{{first}: 0}}' where it is background, or "
        f"data.labels='{{NAME: {first}}}' where it is a label that no true mask holds"
    )


def _complete(named: Mapping[str, int], numbers: Collection[int]) -> dict[str, int]:
    """Give names to numbers that have none."""
    labels = dict(named)
    for number in sorted(set(numbers) - set(named.values())):
        name = f"label_{number}"
        while name in labels:
            name += "_"
        labels[name] = number
    return labels
