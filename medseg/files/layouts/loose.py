"""Layout `scans`: scans that nobody put into the shape of a data set. One file, a folder of files, or DICOM series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from medseg.files.layouts.folders import case_folders, cases_by_folder, same_stem
from medseg.files.layouts.nnunet import NUMBERED
from medseg.files.layouts.tree import Tree, is_dicom_only, joined
from medseg.files.layouts.values import ChannelFile, Found, FoundCase
from medseg.files.scan_names import stem_of
from medseg.values.error import wrong_setting

LAYOUT: Final = "scans"
_ANY = "*"


def find(tree: Tree, patterns: Mapping[str, str], names: Sequence[str]) -> Found:
    """Find the scans below the root of a tree, or the one that the root is.

    names: the channels that every scan should have, in order.  patterns: channel name -> file pattern, {} where none
    were given. Cases come out with channels under `names`; what cannot be told keeps a name of its own.

    - A file is a case. With several channels it is one of 4-D, of which each volume is a channel.
    - Files CASE_0000, CASE_0001 and so on are the channels of CASE, where one file has the number 0000.
    - With patterns of one `*` files of equal `*` are a case: '*_PET' and '*_CT' join P1_PET and P1_CT.
    - A folder of DICOM slices is a scan, and so is the root if it is one.
    - In a folder without scan files every folder that holds scans is a case. Its channels are told by the patterns,
      else by names that are or end in that of a channel; an only channel is the only scan.
    """
    if tree.sheet:
        cases: Iterator[FoundCase] = _one_file(tree, names)
    elif tree.is_series(""):
        name = tree.root.resolve().name
        cases = iter([FoundCase(name, name, _channels(Path(), names), None)])
    elif is_dicom_only(tree.listing()):
        cases = _folders(tree, patterns, names)
    elif patterns:
        cases = _by_patterns(tree, patterns)
    else:
        cases = _flat(tree, names)
    return Found(LAYOUT, tuple(names), tuple(cases))


def _one_file(tree: Tree, names: Sequence[str]) -> Iterator[FoundCase]:
    """Yield the case of one file; the first of several numbered files stands for all of them."""
    name = tree.sheet or ""
    numbered = NUMBERED.match(stem_of(name))
    beside = _numbered(tree.listing().scans) if numbered and numbered.group(2) == "0000" else {}
    if numbered and numbered.group(1) in beside:
        case = numbered.group(1)
        yield FoundCase(case, case, _by_number(beside[case], names), None)
    else:
        stem = stem_of(name)
        yield FoundCase(stem, stem, _channels(Path(name), names), None)


def _flat(tree: Tree, names: Sequence[str]) -> Iterator[FoundCase]:
    """Yield the cases of the files right in the root, and of the DICOM series beside them."""
    scans = tree.listing().scans
    grouped = _numbered(scans)
    grouped = grouped if any(0 in own for own in grouped.values()) else {}
    for case, own in grouped.items():
        yield FoundCase(case, case, _by_number(own, names), None)
    taken = {name for own in grouped.values() for name in own.values()}
    for name in [*(name for name in scans if name not in taken), *tree.series_in("")]:
        stem = scans.get(name, name)
        yield FoundCase(stem, stem, _channels(Path(name), names), None)


def _numbered(scans: Mapping[str, str]) -> dict[str, dict[int, str]]:
    """Group files by what stands before the four digits of their channel; two of one number are left apart."""
    grouped: dict[str, dict[int, str]] = {}
    for name, stem in scans.items():
        match = NUMBERED.match(stem)
        if match:
            grouped.setdefault(match.group(1), {}).setdefault(int(match.group(2)), name)
    return grouped


def _by_number(files: Mapping[int, str], names: Sequence[str]) -> dict[str, ChannelFile]:
    """Name channels by their number; where there are more files than channels, which is which is not for us to say."""
    known = dict(enumerate(names)) if max(files) < len(names) else {}
    return {known.get(number, f"channel_{number}"): ChannelFile(Path(name)) for number, name in sorted(files.items())}


def _channels(path: Path, names: Sequence[str]) -> dict[str, ChannelFile]:
    """Make one file the only channel, or each of its volumes one of several."""
    return {name: ChannelFile(path, number, len(names)) for number, name in enumerate(names)}


def _by_patterns(tree: Tree, patterns: Mapping[str, str]) -> Iterator[FoundCase]:
    """Yield the cases of files right in the root, named after what stands for the `*` of the patterns."""
    cases: dict[str, dict[str, ChannelFile]] = {}
    for channel, pattern in patterns.items():
        before, star, after = stem_of(pattern).partition(_ANY)
        if not star or _ANY in after:
            rule = "is a pattern whose one * stands for the case, as the scans lie in one folder"
            raise wrong_setting(f"data.channels.{channel}", rule, pattern, f"write it like '*_{channel}'")
        for name, stem in tree.listing().scans.items():
            middle = stem[len(before) : len(stem) - len(after)]
            if middle and stem == before + middle + after:
                cases.setdefault(middle, {}).setdefault(channel, ChannelFile(Path(name)))
    for case, channels in cases.items():
        yield FoundCase(case, case, channels, None)


def _folders(tree: Tree, patterns: Mapping[str, str], names: Sequence[str]) -> Iterator[FoundCase]:
    """Yield the cases of folders: series of DICOM slices right in the root, and folders with scans in them."""
    if patterns:
        tests = {name: same_stem(pattern) for name, pattern in patterns.items()}
        yield from cases_by_folder(tree, case_folders(tree, list(tests.values())), tests, _never)
        return
    series = tree.series_in("")
    for name in series:
        yield FoundCase(name, name, _channels(Path(name), names), None)
    for folder in case_folders(tree):
        if folder not in series:
            name = folder.rpartition("/")[2]
            yield FoundCase(name, name, _in_folder(tree, folder, names), None)


def _in_folder(tree: Tree, folder: str, names: Sequence[str]) -> dict[str, ChannelFile]:
    """Return the channels in a folder: the only scan, or those named so; scans that fit no channel keep their names."""
    listing = tree.listing(folder)
    stems = {**listing.scans, **{name: name for name in tree.series_in(folder)}}
    named = any(_is_named(stem, channel) for stem in stems.values() for channel in names)
    if len(stems) == 1 and (len(names) == 1 or not named):
        return _channels(Path(joined(folder, next(iter(stems)))), names)
    found: dict[str, ChannelFile] = {}
    for name, stem in stems.items():
        meant = [channel for channel in names if _is_named(stem, channel)]
        longest = max(meant, key=len, default=stem)  # T1 and CE_T1 both end in T1
        if longest in found:
            return {one: ChannelFile(Path(joined(folder, file))) for file, one in stems.items()}
        found[longest] = ChannelFile(Path(joined(folder, name)))
    return found


def _is_named(stem: str, channel: str) -> bool:
    low, wanted = stem.lower(), channel.lower()
    return low == wanted or low.endswith((f"_{wanted}", f"-{wanted}"))


def _never(stem: str) -> bool:
    return False
