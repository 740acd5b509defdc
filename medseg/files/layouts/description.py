"""What a data set's own dataset.json says: channels, labels, regions and the number to ignore.

Source: the files of the Medical Segmentation Decathlon and of nnU-Net, versions 1 and 2.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from medseg.files.layouts.tree import Tree, is_plain
from medseg.files.layouts.values import DataSettings
from medseg.values.error import Refusal, wrong_setting

DESCRIPTION = "dataset.json"
_LARGEST = 64 << 20


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the numbers in the masks mean. `regions` is empty where every label stands for itself."""

    labels: Mapping[str, int]
    regions: Mapping[str, tuple[int, ...]]
    ignore: int | None


def description(tree: Tree) -> dict[str, Any]:
    """Read dataset.json, {} where there is none; refuses one that is no JSON object, or above 64 MiB."""
    if DESCRIPTION not in tree.listing().others:
        return {}
    path = tree.root / DESCRIPTION
    if path.stat().st_size > _LARGEST:
        raise malformed("has at most 64 MiB", f"{path.stat().st_size} bytes", "take out what is no description")
    try:
        read = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise malformed("is JSON", error, "mend the file") from None
    if not isinstance(read, dict):
        raise malformed("is a JSON object", type(read).__name__, "mend the file")
    return read


def modalities(described: Mapping[str, Any], otherwise: Mapping[str, str]) -> tuple[str, ...]:
    """Name the channels in their order; equal names get their number. `otherwise` holds where nothing is said."""
    named = described.get("channel_names") or described.get("modality") or otherwise
    if not isinstance(named, Mapping) or sorted(named) != sorted(str(number) for number in range(len(named))):
        raise malformed('"modality" numbers the channels from 0', named, 'write {"0": "FLAIR", "1": "T1"}')
    names = [str(named[str(number)]) for number in range(len(named))]
    _check_plain("channels", names)
    return tuple(name if names.count(name) == 1 else f"{name}_{number}" for number, name in enumerate(names))


def chosen_channels(settings: DataSettings, named: tuple[str, ...]) -> dict[str, int]:
    """Map channel names to numbers: all that are named, or those of `data.channels` by name or number."""
    numbers = {name.lower(): number for number, name in enumerate(named)}
    known = {**{str(number): number for number in range(len(named))}, **numbers}
    chosen = settings.channels or {name: name for name in named}
    for channel, modality in chosen.items():
        if modality.lower() not in known:
            raise wrong_setting(f"data.channels.{channel}", f"is one of {list(named)}", modality, "name one of them")
    return {channel: known[modality.lower()] for channel, modality in chosen.items()}


def meaning(described: Mapping[str, Any]) -> Meaning:
    """Read "labels" in either direction, names in lower case; anything but texts and numbers as nothing known.

    {"1": "Core"}, {"Core": 1} and {"Core": "1"} are labels. {"whole": [1, 2]} is a region: then every name is one, and
    numbers without a name of their own become `label_1` and so on. "ignore" is the number of voxels that nobody
    annotated. "regions_class_order" says how nnU-Net writes predictions and is not needed here.
    """
    members = _members(described.get("labels"))
    ignore = _ignored(members.pop("ignore", None))
    members = {name: numbers for name, numbers in members.items() if numbers != (0,)}
    labels = {name: numbers[0] for name, numbers in members.items() if len(numbers) == 1}
    if len(labels) == len(members):
        return Meaning(labels, {}, ignore)
    unnamed = sorted({number for numbers in members.values() for number in numbers} - set(labels.values()))
    return Meaning({**{f"label_{number}": number for number in unnamed}, **labels}, members, ignore)


def check_mask(settings: DataSettings, layout: str) -> None:
    """Refuse settings that say where the masks are, in a layout that says it itself."""
    if settings.mask is not None:
        rule = f"is not set for the layout {layout}, which says itself where masks are"
        raise wrong_setting("data.mask", rule, settings.mask, "take it out, or set another data.layout")


def malformed(rule: str, value: object, remedy: str) -> Refusal:
    """Make the refusal of a dataset.json."""
    return Refusal(DESCRIPTION, rule, str(value)[:200], remedy)


def _members(written: object) -> dict[str, tuple[int, ...]]:
    try:
        pairs = [_label(one, other) for one, other in written.items()] if isinstance(written, dict) else []
    except (TypeError, ValueError):
        return {}
    names = [name for name, _ in pairs]
    _check_plain("labels", names)
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise malformed('"labels" has every name once, in upper or lower case', twice[0], "rename one of them")
    return dict(pairs)


def _check_plain(what: str, names: Iterable[str]) -> None:
    for name in names:
        if not name.strip() or not is_plain(name):
            raise malformed(f"names of {what} are one line of text", ascii(name), "rename it")


def _ignored(numbers: tuple[int, ...] | None) -> int | None:
    if numbers is not None and len(numbers) != 1:
        raise malformed('"ignore" is one number', list(numbers), "give the ignored voxels one number")
    return numbers[0] if numbers else None


def _label(one: str, other: object) -> tuple[str, tuple[int, ...]]:
    if isinstance(other, str) and one.isdecimal():
        return other.lower(), (int(one),)
    if isinstance(other, list) and other:
        return one.lower(), tuple(sorted({_number(member) for member in other}))
    return one.lower(), (_number(other),)


def _number(written: object) -> int:
    """Read a whole number; refuses (ValueError) anything that would have to be rounded."""
    if isinstance(written, bool) or not isinstance(written, (int, str)):
        raise ValueError(f"{written!r} is no label number")
    return int(written)
