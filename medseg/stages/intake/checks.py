"""What every case is held to beyond its files being whole: complete, in one place, with known numbers in its mask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medseg.files.layouts.find import ChannelFile, FoundCase
from medseg.files.reading import Reading, override
from medseg.files.scan_values import Heading
from medseg.ops.grids import Grid, box_in, meets, same_grid
from medseg.ops.sighting import constant_end
from medseg.values.error import Refusal
from medseg.values.finding import Finding
from medseg.values.labels import LabelScheme
from medseg.values.volume import Array

_SUSPICIOUS_END = 0.25  # share of empty slices at one end only
_ASKED_FOR = "nothing, it was asked for"


@dataclass(frozen=True, slots=True)
class Rules:
    """What every case of a data set is held to."""

    channels: tuple[str, ...]
    scheme: LabelScheme
    reading: Reading
    zeros_for_missing: bool
    resample_channels: bool


def check_complete(case: FoundCase, rules: Rules) -> tuple[Finding, ...]:
    """Refuse a case without mask, without a channel that must be there, or with one file in two roles."""
    missing = [name for name in rules.channels if name not in case.channels]
    none_left = len(missing) == len(rules.channels)
    if missing and (none_left or not rules.zeros_for_missing):
        rule = f"has a file for each of the channels {', '.join(rules.channels)}"
        asked = None if none_left else "data.missing_channel=zeros"
        remedy = (
            "add the file" if none_left else f"add the file, leave the channel out of data.channels, or set {asked}"
        )
        raise Refusal(case.case, rule, f"none for {', '.join(missing)}", remedy, override=asked)
    if case.mask is None:
        raise Refusal(case.case, "has a mask", "an image without mask", "add the mask or take the case out")
    used = [(file.path, file.component) for file in case.channels.values()] + [(case.mask, 0)]
    twice = [path.as_posix() for path, component in used if used.count((path, component)) > 1]
    if twice:
        rule = "every channel and the mask has a file of its own"
        raise Refusal(case.case, rule, twice[0], "narrow the file patterns")
    if not missing:
        return ()
    rule, value = "has a file for each channel", f"none for {', '.join(missing)}: filled with zeros"
    return (Finding(severity="note", rule=rule, value=value, remedy=_ASKED_FOR, override="data.missing_channel=zeros"),)


def check_volumes(file: ChannelFile, heading: Heading, reading: Reading) -> tuple[Finding, ...]:
    """Refuse an image of another number of volumes than its layout says, unless its first may stand for it."""
    if heading.volumes == file.volumes:
        return ()
    rule, value = f"holds {file.volumes} volume(s)", str(heading.volumes)
    remedy = "split it into one file per channel, or describe it in dataset.json"
    if file.volumes > 1:
        raise Refusal(file.path.as_posix(), rule, value, remedy)
    asked = override("first_volume")
    if "first_volume" not in reading.repair:
        raise Refusal(file.path.as_posix(), rule, value, f"{remedy}, or take its first with {asked}", override=asked)
    return (
        Finding(severity="note", rule=rule, value=f"{value}, the first is used", remedy=_ASKED_FOR, override=asked),
    )


def check_place(file: ChannelFile, grid: Grid, first: Grid, resample: bool) -> tuple[Finding, ...]:
    """Refuse a channel that shows other space than the first, or lies on another grid where resampling is off."""
    if same_grid(grid, first):
        return ()
    low, high = box_in(grid, first)
    box = f"voxels {np.round(low, 1).tolist()} to {np.round(high, 1).tolist()} of the first channel's {first.shape}"
    name = file.path.as_posix()
    if not meets(grid, first):
        remedy = "register the channels or mend the header"
        raise Refusal(name, "all channels show the same part of space", box, remedy)
    rule, value = "all channels lie on the grid of the first one", f"shape {grid.shape}, {box}"
    asked = "data.resample_channels=true"
    if not resample:
        raise Refusal(name, rule, value, f"set {asked}, or resample it yourself", override=asked)
    remedy = "nothing, it is resampled when it is read; data.resample_channels=false refuses it"
    return (Finding(severity="note", rule=rule, value=value, remedy=remedy),)


def check_voxels(file: ChannelFile, voxels: Array, lowest: float, highest: float) -> tuple[Finding, ...]:
    """Refuse an image (X, Y, Z) of one value; warn of one whose last slices look as if a file had been cut short."""
    if lowest == highest:
        value = f"{lowest:g} everywhere"
        raise Refusal(file.path.as_posix(), "voxels differ from each other", value, "replace the image")
    end, slices = constant_end(voxels), voxels.shape[2]
    if end <= _SUSPICIOUS_END * slices:
        return ()
    value = f"the last {end} of {slices} slices hold {float(voxels[0, 0, -1]):g} only"
    remedy = "compare with the source: some readers fill the end of a truncated file with zeros"
    return (Finding(severity="warn", rule="slices at one end of the scan are not empty", value=value, remedy=remedy),)


def check_numbers(file: str, counts: Mapping[int, int], rules: Rules) -> tuple[tuple[int, ...], tuple[Finding, ...]]:
    """Refuse numbers outside the scheme, unless they may become background: then return them, with a note.

    counts: voxels of each number in the mask.
    """
    unknown = tuple(number for number in counts if number not in rules.scheme.allowed)
    if not unknown:
        return (), ()
    value = f"{', '.join(map(str, unknown[:8]))} in {sum(counts[number] for number in unknown)} voxels"
    rule, asked = f"a mask holds only {', '.join(map(str, rules.scheme.allowed))}", override("drop_unknown_labels")
    if "drop_unknown_labels" not in rules.reading.repair:
        remedy = f"add them to data.labels, mend the mask, or make them background with {asked}"
        raise Refusal(file, rule, value, remedy, override=asked)
    note = Finding(severity="note", rule=rule, value=f"{value}, now background", remedy=_ASKED_FOR, override=asked)
    return unknown, (note,)


def check_annotated(case: FoundCase, counts: dict[str, int], scheme: LabelScheme) -> tuple[Finding, ...]:
    """Warn of labels in the mask that the list of annotated labels leaves out: they count nowhere."""
    if case.annotated is None:
        return ()
    extra = [
        name for name, number in scheme.labels.items() if name not in case.annotated and counts.get(str(number), 0)
    ]
    if not extra:
        return ()
    rule = f"the mask holds only the labels annotated in this case: {', '.join(case.annotated) or 'none'}"
    remedy = "add them to the column annotated if they are complete; until then they are left out"
    return (Finding(severity="warn", rule=rule, value=", ".join(extra), remedy=remedy),)
