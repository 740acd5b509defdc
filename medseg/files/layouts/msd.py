"""Layout `msd`: dataset.json lists pairs of image and label.

Source: Medical Segmentation Decathlon, Antonelli et al. 2022, doi:10.1038/s41467-022-30695-9.
Several modalities are the volumes of one 4-D image.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from medseg.files.layouts import nnunet
from medseg.files.layouts.description import (
    DESCRIPTION,
    check_mask,
    chosen_channels,
    description,
    malformed,
    meaning,
    modalities,
)
from medseg.files.layouts.people import NO_TABLE, Table
from medseg.files.layouts.tree import Tree, is_plain
from medseg.files.layouts.values import ChannelFile, DataSettings, Found, FoundCase
from medseg.files.scan_names import stem_of
from medseg.values.error import wrong_setting


def fits(tree: Tree, settings: DataSettings) -> bool:
    """Tell whether there is a dataset.json with "training" entries, and the images are not named per channel.

    Refuses a dataset.json that is no JSON object. See `nnunet.fits` for what tells the two apart.
    """
    return settings.mask is None and bool(description(tree).get("training")) and not nnunet.fits(tree, settings)


def find(tree: Tree, settings: DataSettings) -> tuple[Found, Table]:
    """Find the cases that dataset.json lists, its modalities as channels, and its labels."""
    check_mask(settings, "msd")
    described = description(tree)
    if not described:
        value = f"none in {tree.root}"
        raise wrong_setting("data.layout", f"layout msd has a {DESCRIPTION}", value, "set data.layout=auto")
    named = modalities(described, {"0": "image"})
    components = chosen_channels(settings, named)
    cases: dict[str, FoundCase] = {}
    for entry in _entries(described):
        case = _case(tree.root, entry, components, len(named))
        if case.case in cases:
            raise malformed("lists every image once", case.case, "remove the second entry")
        cases[case.case] = case
    means = meaning(described)
    found = Found("msd", tuple(components), tuple(cases.values()), means.labels, means.regions, means.ignore)
    return found, NO_TABLE


def _entries(described: Mapping[str, Any]) -> list[dict[str, Any]]:
    entries = described.get("training")
    pairs = isinstance(entries, list) and all(
        isinstance(entry, dict) and isinstance(entry.get("image"), str) and isinstance(entry.get("label", ""), str)
        for entry in entries
    )
    if not pairs or not entries:
        raise malformed('"training" lists pairs {"image": path, "label": path}', str(entries)[:60], "mend the file")
    return list(entries)


def _case(root: Path, entry: Mapping[str, Any], components: Mapping[str, int], volumes: int) -> FoundCase:
    image = _inside(entry["image"])
    label = _inside(entry["label"]) if entry.get("label") else None
    channels = {name: ChannelFile(image, component, volumes) for name, component in components.items()}
    case = stem_of(image.name)
    present = label is not None and _is_there(root, label)
    return FoundCase(case, case, channels if _is_there(root, image) else {}, label if present else None)


def _is_there(root: Path, path: Path) -> bool:
    whole = os.path.join(root, path)
    return os.path.isfile(whole) or os.path.islink(whole)


def _inside(text: str) -> Path:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or not path.name or not is_plain(text):
        raise malformed("names files below its own folder", text, "use paths relative to the folder of dataset.json")
    return Path(path)
