"""The truth: which masks there are, of whom, and what the folder itself says about their numbers."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from medseg.experiment.evaluating.settings import EvaluateSettings
from medseg.files.layouts import csv_list
from medseg.files.layouts.description import DESCRIPTION, Meaning, description, meaning
from medseg.files.layouts.find import cases_in, check_names, contents, fitting
from medseg.files.layouts.masks import find_masks
from medseg.files.layouts.people import NO_TABLE, with_people
from medseg.files.layouts.rewording import told_of
from medseg.files.layouts.tree import Tree
from medseg.files.layouts.values import Found, FoundCase, LayoutName
from medseg.values.error import Refusal, wrong_setting

MASKS: Final = "masks"
NAMES = "labels.json"
_LARGEST = 1 << 20


def find_truth(settings: EvaluateSettings, without: Collection[Path]) -> Found:
    """Find the cases that have a true mask, sorted by name; paths are relative to the folder, or absolute.

    without: folders (resolved) that are passed over in a folder of masks and nothing else, which has the layout
    `masks`. There names of labels come from labels.json or dataset.json, in the folder or beside it.
    Refuses (exit 2) a path that does not exist, a folder without masks, and what the layouts refuse.
    """
    root = Path(settings.truth)
    if not root.exists():
        raise wrong_setting("truth", "a folder that exists is needed", root, "set truth=DIR")
    tree = Tree(root)
    with told_of("truth"):
        layout = _layout(tree, settings)
        _check_used(layout == MASKS, settings)
        if layout != MASKS:
            found = cases_in(tree, settings.data.data_settings(layout))
            cases = tuple(case for case in found.cases if case.mask is not None)
        else:
            found = _masks(tree, settings, without)
            cases = found.cases
        if not cases:
            raise wrong_setting("truth", "holds true masks", contents(tree), "check path, truth_suffix and data.layout")
        check_names(cases)
    return replace(found, cases=cases)


def _layout(tree: Tree, settings: EvaluateSettings) -> LayoutName | Literal["masks", "auto"]:
    """Name the layout: the one that is set, csv for a table, masks where no data set fits.

    Masks in folders of BIDS are those of a data set only where its derivatives lie below the same root.
    """
    if tree.sheet:
        named = tree.sheet.lower().endswith(csv_list.ENDINGS) or settings.data.layout == "csv"
        if not named:
            raise wrong_setting("truth", "a folder of masks is needed", f"{settings.truth} (a file)", "name its folder")
        return "csv"
    if settings.data.layout != "auto":
        return settings.data.layout
    fit = fitting(tree, settings.data.data_settings())
    if "bids" in fit and "derivatives" not in tree.listing().folders:
        fit.remove("bids")
    if len(fit) > 1:
        return "auto"  # whoever looks for cases refuses it
    return fit[0] if fit else MASKS


def _check_used(plain: bool, settings: EvaluateSettings) -> None:
    """Refuse settings that would change nothing: those of a data set for plain masks, and the other way round."""
    rule, remedy = "is set for a folder of masks alone", "take it out, or set data.layout=masks"
    if settings.truth_suffix and not plain:
        raise wrong_setting("truth_suffix", rule, settings.truth_suffix, remedy)
    for name, value in (("mask", settings.data.mask), ("channels", settings.data.channels)):
        if value and plain:
            rule, remedy = "is set for a data set in a layout", "set data.layout, or truth_suffix for ends of names"
            raise wrong_setting(f"data.{name}", rule, value, remedy)


def _masks(tree: Tree, settings: EvaluateSettings, without: Collection[Path]) -> Found:
    masks = find_masks(tree.root, "truth", settings.truth_suffix, without)
    if not masks.paths and masks.others:
        value = f"none of {len(masks.others)}, like {masks.others[0]}"
        raise wrong_setting("truth_suffix", f"names of true masks end in {settings.truth_suffix}", value, "mend it")
    asked = settings.data.data_settings()
    cases = tuple(with_people(FoundCase(one, one, {}, path), asked, NO_TABLE) for one, path in masks.paths.items())
    said = _described(tree.root)
    return Found(MASKS, (), cases, said.labels, said.regions, said.ignore)


def _described(root: Path) -> Meaning:
    """Read what labels are called, from the first of these: labels.json or dataset.json in the folder, or beside it."""
    for folder in (root, root.resolve().parent):
        if (folder / NAMES).is_file():
            return meaning({"labels": _names(folder / NAMES)})
        if (folder / DESCRIPTION).is_file():
            return meaning(description(Tree(folder)))
    return Meaning({}, {}, None)


def _names(path: Path) -> object:
    """Read labels.json: names and numbers in either direction, or the same under "labels"."""
    rule, remedy = 'is a JSON object like {"core": 1, "oedema": 2}', "mend the file"
    if path.stat().st_size > _LARGEST:
        raise Refusal(str(path), "has at most 1 MiB", f"{path.stat().st_size} bytes", remedy)
    try:
        read = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise Refusal(str(path), rule, error, remedy) from None
    inner = read.get("labels", read) if isinstance(read, dict) else read
    if not isinstance(inner, dict) or not (inner == {} or meaning({"labels": inner}).labels):
        raise Refusal(str(path), rule, json.dumps(inner)[:200], remedy)
    return inner
