"""Layout `nnunet`: imagesTr/CASE_0000.nii.gz, one file per channel, and labelsTr/CASE.nii.gz.

Source: dataset formats of nnU-Net versions 1 and 2, Isensee et al. 2021, doi:10.1038/s41592-020-01008-z.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medseg.files.layouts.description import (
    DESCRIPTION,
    check_mask,
    chosen_channels,
    description,
    malformed,
    meaning,
    modalities,
)
from medseg.files.layouts.folders import by_stem, same_stem
from medseg.files.layouts.people import NO_TABLE, Table
from medseg.files.layouts.tree import Tree, named_file
from medseg.files.layouts.values import ChannelFile, DataSettings, Found, FoundCase, Part
from medseg.files.scan_names import is_scan_name
from medseg.values.error import Refusal, wrong_setting

_IMAGES, _LABELS = "imagesTr", "labelsTr"
TEST_IMAGES, _TEST_LABELS = "imagesTs", "labelsTs"
NUMBERED = re.compile(r"^(.+)_(\d{4})$", re.ASCII | re.DOTALL)


def fits(tree: Tree, settings: DataSettings) -> bool:
    """Tell whether the images are named per channel, by the names alone or by what dataset.json says.

    By the names: every image ends in a number of four digits, one of them in 0000, and no mask has the name of an
    image. That is so for nnU-Net whatever dataset.json says, and never for the Decathlon, whose images and masks have
    equal names; so a dataset.json with "training" pairs, which both have, does not make two layouts fit.
    By dataset.json: "channel_names", "file_ending" or "dataset" without "training", as nnU-Net's version 2 has it.
    Settings that name a mask mean another layout: here its place is given.
    """
    if settings.mask is not None:
        return False
    described = description(tree)
    version_2 = not described.get("training") and bool({"channel_names", "file_ending", "dataset"} & set(described))
    if version_2 and ("dataset" in described or _IMAGES in tree.listing().folders):
        return True
    images = tree.listing(_IMAGES).scans.values()
    numbers = [match.group(2) if (match := NUMBERED.match(stem)) else "" for stem in images]
    masks = set(tree.listing(_LABELS).scans.values())
    return "0000" in numbers and all(numbers) and masks.isdisjoint(images)


def find(tree: Tree, settings: DataSettings) -> tuple[Found, Table]:
    """Find the training cases, and the test cases as held-out ones where labelsTs/ has masks for them.

    Channels are those that dataset.json names, else the numbers that the files have. Version 2 may list files anywhere
    below the folder under "dataset". Refuses an image without a channel number, and a number that has no name.
    """
    check_mask(settings, "nnunet")
    described = description(tree)
    groups = list(_groups(tree, described))
    if not groups:
        value = f"none in {tree.root}"
        raise wrong_setting("data.layout", f"layout nnunet has a folder {_IMAGES}", value, "set data.layout=auto")
    named = modalities(described, _by_number(groups))
    chosen = chosen_channels(settings, named)
    cases = [case for group in groups for case in _cases(group, named, chosen)]
    means = meaning(described)
    return Found("nnunet", tuple(chosen), tuple(cases), means.labels, means.regions, means.ignore), NO_TABLE


@dataclass(frozen=True, slots=True)
class _Group:
    """Images by case and channel number, masks by case, and the part of the split that these cases are."""

    images: Mapping[str, Mapping[int, Path]]
    masks: Mapping[str, Path]
    part: Part | None = None


def _groups(tree: Tree, described: Mapping[str, Any]) -> Iterator[_Group]:
    ending = _ending(described)
    there = tree.listing().folders
    if "dataset" in described:
        yield _listed(tree, described["dataset"])
    elif _IMAGES in there:
        yield _Group(_numbered(tree, _IMAGES, ending), by_stem(tree, _LABELS, same_stem("*"), ending))
    masks = by_stem(tree, _TEST_LABELS, same_stem("*"), ending)
    if TEST_IMAGES in there and masks:
        yield _Group(_numbered(tree, TEST_IMAGES, ending), masks, "held_out")


def _ending(described: Mapping[str, Any]) -> str:
    """Return the one ending that counts, "" where dataset.json names none."""
    ending = described.get("file_ending", "")
    if not isinstance(ending, str) or (ending and not is_scan_name(f"x{ending}")):
        raise malformed('"file_ending" is the ending of a scan', ending, "like .nii.gz, .nrrd or .mha")
    return ending


def _numbered(tree: Tree, folder: str, ending: str) -> dict[str, dict[int, Path]]:
    images: dict[str, dict[int, Path]] = {}
    for stem, path in by_stem(tree, folder, same_stem("*"), ending).items():
        match = NUMBERED.match(stem)
        if not match:
            rule = "every image ends in the four digits of its channel, like CASE_0000"
            raise Refusal(path.as_posix(), rule, stem, "rename the file, or set data.layout")
        images.setdefault(match.group(1), {})[int(match.group(2))] = path
    return images


def _listed(tree: Tree, dataset: object) -> _Group:
    """Read {"CASE": {"images": [path, ...], "label": path}}; paths may be absolute or lead elsewhere."""
    images: dict[str, Mapping[int, Path]] = {}
    masks: dict[str, Path] = {}
    for case, entry in dataset.items() if isinstance(dataset, dict) else [("", dataset)]:
        paths, mask = _entry(case, entry)
        images[case] = {number: named_file(tree, path, DESCRIPTION) for number, path in enumerate(paths)}
        if mask:
            masks[case] = named_file(tree, mask, DESCRIPTION)
    return _Group(images, masks)


def _entry(case: str, entry: object) -> tuple[list[str], str]:
    images = entry.get("images") if isinstance(entry, dict) else None
    label = (entry.get("label") or "") if isinstance(entry, dict) else ""
    if not isinstance(images, list) or not all(isinstance(text, str) and text for text in [*images, label or "none"]):
        rule = '"dataset" maps cases to {"images": [path, ...], "label": path}'
        raise malformed(rule, f"{case}: {entry}", "mend the file")
    return images, str(label)


def _by_number(groups: Iterable[_Group]) -> dict[str, str]:
    """Name the channels of files that nobody described."""
    last = max((number for group in groups for own in group.images.values() for number in own), default=0)
    return {str(number): f"channel_{number}" if last else "image" for number in range(last + 1)}


def _cases(group: _Group, named: tuple[str, ...], chosen: Mapping[str, int]) -> Iterator[FoundCase]:
    for case in sorted(group.images.keys() | group.masks.keys()):
        own = group.images.get(case, {})
        if own and max(own) >= len(named):
            value = f"channel {max(own):04d} of {case}"
            raise malformed(f"names every channel of the images, not only {', '.join(named)}", value, "add its name")
        files = {name: ChannelFile(own[number]) for name, number in chosen.items() if number in own}
        yield FoundCase(case, case, files, group.masks.get(case), part=group.part)
