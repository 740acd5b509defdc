"""Layout `msd`: dataset.json lists pairs of image and label.

Source: Medical Segmentation Decathlon, Antonelli et al. 2022, doi:10.1038/s41467-022-30695-9.
Several modalities are the volumes of one 4-D image.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from medseg.files.layout_folders import stem_of
from medseg.files.layout_values import ChannelFile, DataSettings, Found, FoundCase
from medseg.values.error import Refusal, wrong_setting

DESCRIPTION = "dataset.json"


def fits(root: Path, settings: DataSettings) -> bool:
    """Tell whether there is a dataset.json with "training" entries; refuses one that is no JSON object."""
    return (root / DESCRIPTION).is_file() and bool(_description(root).get("training"))


def find(root: Path, settings: DataSettings) -> Found:
    """Find the cases that dataset.json lists, its modalities as channels, and its labels."""
    if not (root / DESCRIPTION).is_file():
        raise wrong_setting("data.layout", f"layout msd has a {DESCRIPTION}", f"none in {root}", "set data.layout=auto")
    description = _description(root)
    modalities = _modalities(description)
    components = _components(settings, modalities)
    cases: dict[str, FoundCase] = {}
    for entry in _entries(description):
        case = _case(root, entry, components, len(modalities))
        if case.case in cases:
            raise _malformed("lists every image once", case.case, "remove the second entry")
        cases[case.case] = case
    return Found("msd", tuple(components), tuple(cases.values()), _labels(description))


def _description(root: Path) -> dict[str, Any]:
    try:
        description = json.loads((root / DESCRIPTION).read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise _malformed("is JSON", error, "mend the file") from None
    if not isinstance(description, dict):
        raise _malformed("is a JSON object", type(description).__name__, "mend the file")
    return description


def _entries(description: Mapping[str, Any]) -> list[dict[str, Any]]:
    entries = description.get("training")
    pairs = isinstance(entries, list) and all(
        isinstance(entry, dict) and isinstance(entry.get("image"), str) and isinstance(entry.get("label", ""), str)
        for entry in entries
    )
    if not pairs or not entries:
        raise _malformed('"training" lists pairs {"image": path, "label": path}', str(entries)[:60], "mend the file")
    return list(entries)


def _case(root: Path, entry: Mapping[str, Any], components: Mapping[str, int], volumes: int) -> FoundCase:
    image = _inside(entry["image"])
    label = _inside(entry["label"]) if entry.get("label") else None
    channels = {name: ChannelFile(image, component, volumes) for name, component in components.items()}
    case = stem_of(image.name)
    present = label is not None and (root / label).is_file()
    return FoundCase(case, case, channels if (root / image).is_file() else {}, label if present else None)


def _inside(text: str) -> Path:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or not path.name or "\0" in text:
        raise _malformed("names files below its own folder", text, "use paths relative to the folder of dataset.json")
    return Path(path)


def _modalities(description: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the volumes of an image in their order; equal names get their number."""
    named = description.get("modality") or description.get("channel_names") or {"0": "image"}
    if not isinstance(named, dict) or sorted(named) != sorted(str(number) for number in range(len(named))):
        raise _malformed('"modality" numbers the channels from 0', named, 'write {"0": "FLAIR", "1": "T1"}')
    names = [str(named[str(number)]) for number in range(len(named))]
    return tuple(name if names.count(name) == 1 else f"{name}_{number}" for number, name in enumerate(names))


def _components(settings: DataSettings, modalities: tuple[str, ...]) -> dict[str, int]:
    """Map channel names to volumes: all modalities, or those of `data.channels` by name or number."""
    numbers = {name.lower(): number for number, name in enumerate(modalities)}
    by_number = {str(number): number for number in range(len(modalities))}
    known = {**by_number, **numbers}
    chosen = settings.channels or {name: name for name in modalities}
    for channel, modality in chosen.items():
        if modality.lower() not in known:
            raise wrong_setting(
                f"data.channels.{channel}", f"is one of {list(modalities)}", modality, "name one of them"
            )
    return {channel: known[modality.lower()] for channel, modality in chosen.items()}


def _labels(description: Mapping[str, Any]) -> dict[str, int]:
    """Read {"1": "Anterior"} or {"Anterior": 1} as {"anterior": 1}; anything else as nothing known."""
    labels: dict[str, int] = {}
    written = description.get("labels")
    for one, other in written.items() if isinstance(written, dict) else ():
        number, name = (one, other) if isinstance(other, str) and one.isdecimal() else (other, one)
        try:
            labels[str(name).lower()] = int(number)
        except (TypeError, ValueError):
            return {}
    return {name: number for name, number in labels.items() if number != 0}


def _malformed(rule: str, value: object, remedy: str) -> Refusal:
    return Refusal(DESCRIPTION, rule, value, remedy)
