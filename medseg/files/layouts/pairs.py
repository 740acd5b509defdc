"""Layout `pairs`: images/ and labels/ with equal names, or a folder per case with named channels and mask."""

from __future__ import annotations

from medseg.files.layouts import nnunet
from medseg.files.layouts.description import DESCRIPTION
from medseg.files.layouts.folders import by_stem, case_folders, cases_by_folder, matching, same_stem
from medseg.files.layouts.people import NO_TABLE, Table
from medseg.files.layouts.tree import Tree
from medseg.files.layouts.values import ChannelFile, DataSettings, Found, FoundCase
from medseg.values.error import wrong_setting

_FOLDERS = (("images", "labels"), ("images", "masks"))
_OTHERWISE = ("imagesTr", "labelsTr")
_CHANNEL = "image"


def fits(tree: Tree, settings: DataSettings) -> bool:
    """Tell whether two folders of pairs are there, or some case's folder has a scan that the settings name.

    imagesTr/ and labelsTr/ are pairs where neither a dataset.json nor the names of the images say more.
    """
    if _by_folder(tree, settings):
        tests = [same_stem(pattern) for pattern in settings.channels.values()]
        return any(matching(tree, folder, test) for folder in case_folders(tree, tests) for test in tests)
    folders = _two_folders(tree)
    if folders == [_OTHERWISE]:
        return DESCRIPTION not in tree.listing().others and not nnunet.fits(tree, settings)
    return bool(folders)


def find(tree: Tree, settings: DataSettings) -> tuple[Found, Table]:
    """Find the cases. Refuses settings that say neither where the channels are nor where the mask is."""
    if _by_folder(tree, settings):
        channels = {name: same_stem(pattern) for name, pattern in settings.channels.items()}
        mask = same_stem(settings.mask or "")
        folders = case_folders(tree, [*channels.values(), mask])
        return Found("pairs", tuple(channels), cases_by_folder(tree, folders, channels, mask)), NO_TABLE
    pairs = _two_folders(tree)
    if pairs:
        return _find_two_folders(tree, pairs, settings), NO_TABLE
    rule = "layout pairs is images/ and labels/, or a folder per case with data.channels and data.mask"
    value = f"channels {dict(settings.channels)} and mask {settings.mask}"
    raise wrong_setting("data.layout", rule, value, "set data.channels='{NAME: file_stem}' and data.mask=file_stem")


def _by_folder(tree: Tree, settings: DataSettings) -> bool:
    """One channel and a mask may also be patterns within two folders, where there are such."""
    named = bool(settings.channels) and settings.mask is not None
    return named and not (len(settings.channels) == 1 and _two_folders(tree))


def _two_folders(tree: Tree) -> list[tuple[str, str]]:
    there = set(tree.listing().folders)
    return [pair for pair in _FOLDERS if there.issuperset(pair)] or [_OTHERWISE] * there.issuperset(_OTHERWISE)


def _find_two_folders(tree: Tree, folders: list[tuple[str, str]], settings: DataSettings) -> Found:
    if len(folders) > 1:
        value = " and ".join("/ with ".join(pair) + "/" for pair in folders)
        raise wrong_setting("data.root", "has one folder of images and one of masks", value, "rename or move the other")
    if len(settings.channels) > 1:
        remedy = "make a folder per case and set data.mask too"
        raise wrong_setting("data.channels", "images/ holds one channel", list(settings.channels), remedy)
    channel, pattern = next(iter(settings.channels.items()), (_CHANNEL, "*"))
    images = by_stem(tree, folders[0][0], same_stem(pattern))
    labels = by_stem(tree, folders[0][1], same_stem(settings.mask or "*"))
    if images and labels and images.keys().isdisjoint(labels):
        rule = f"an image in {folders[0][0]}/ and its mask in {folders[0][1]}/ have the same name"
        remedy = "rename them, or list them in a table and set data.root=TABLE.csv"
        raise wrong_setting("data.root", rule, f"{min(images)} and {min(labels)}", remedy)
    cases = [
        FoundCase(stem, stem, {channel: ChannelFile(images[stem])} if stem in images else {}, labels.get(stem))
        for stem in sorted(images.keys() | labels.keys())
    ]
    return Found("pairs", (channel,), tuple(cases))
