"""Layout `pairs`: images/ and labels/ with equal names, or a folder per case with named channels and mask."""

from __future__ import annotations

from pathlib import Path

from medseg.files.layout_folders import case_folders, cases_by_folder, matching, same_stem, scans_in, stem_of
from medseg.files.layout_values import ChannelFile, DataSettings, Found, FoundCase
from medseg.values.error import Refusal, wrong_setting

_IMAGES, _LABELS = "images", "labels"
_CHANNEL = "image"


def fits(root: Path, settings: DataSettings) -> bool:
    """Tell whether images/ and labels/ are there, or some folder has a file that the settings name."""
    if _by_folder(settings):
        tests = [same_stem(pattern) for pattern in settings.channels.values()]
        return any(matching(scans, test) for _, scans in case_folders(root) for test in tests)
    return _two_folders(root)


def find(root: Path, settings: DataSettings) -> Found:
    """Find the cases. Refuses settings that say neither where the channels are nor where the mask is."""
    if _by_folder(settings):
        channels = {name: same_stem(pattern) for name, pattern in settings.channels.items()}
        cases = cases_by_folder(root, channels, same_stem(settings.mask or ""))
        return Found("pairs", tuple(channels), cases)
    if _two_folders(root):
        return _find_two_folders(root, settings)
    rule = "layout pairs is images/ and labels/, or a folder per case with data.channels and data.mask"
    value = f"channels {dict(settings.channels)} and mask {settings.mask}"
    raise wrong_setting("data.layout", rule, value, "set data.channels='{NAME: file_stem}' and data.mask=file_stem")


def _by_folder(settings: DataSettings) -> bool:
    return bool(settings.channels) and settings.mask is not None


def _two_folders(root: Path) -> bool:
    return (root / _IMAGES).is_dir() and (root / _LABELS).is_dir()


def _find_two_folders(root: Path, settings: DataSettings) -> Found:
    if len(settings.channels) > 1:
        remedy = "make a folder per case and set data.mask too"
        raise wrong_setting("data.channels", "images/ holds one channel", list(settings.channels), remedy)
    channel, pattern = next(iter(settings.channels.items()), (_CHANNEL, "*"))
    images = _by_stem(root, _IMAGES, pattern)
    labels = _by_stem(root, _LABELS, settings.mask or "*")
    cases = [
        FoundCase(stem, stem, {channel: ChannelFile(images[stem])} if stem in images else {}, labels.get(stem))
        for stem in sorted(images.keys() | labels.keys())
    ]
    return Found("pairs", (channel,), tuple(cases))


def _by_stem(root: Path, folder: str, pattern: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for scan in matching(scans_in(root / folder), same_stem(pattern)):
        stem = stem_of(scan.name)
        if stem in found:
            raise Refusal(
                f"{folder}/{scan.name}", "a case has one file", f"{found[stem].name} too", "remove one of them"
            )
        found[stem] = scan.relative_to(root)
    return found
