"""The folders of a data set, each listed once."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from medseg.files.scan_names import DICOM_ENDINGS, ending_of, is_scan_name, stem_of
from medseg.values.error import Refusal

DATATYPES = frozenset(
    ("anat", "beh", "ct", "dwi", "eeg", "fmap", "func", "ieeg", "meg", "micr", "motion", "mr", "mrs", "nirs", "perf")
) | {"pet"}
"""Folders right below a subject or session in BIDS; none of them is the folder of a case in another layout."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies right in one folder, by name: scans (file name -> stem), folders and other files. Hidden ones are none.

    A link that leads nowhere counts as a file, so that its scan is refused and not taken for one that never was.
    """

    scans: Mapping[str, str]
    folders: tuple[str, ...]
    others: tuple[str, ...]


class Tree:
    """The folders below a root, each listed when it is first asked for.

    Folders are texts like `sub-01/anat`, "" is the root. Where the root is a file, `sheet` is its name and the root is
    the folder around it. The folder `without`, if it lies below the root, is passed over.
    """

    def __init__(self, root: Path, without: Path | None = None) -> None:
        self.sheet = None if root.is_dir() else root.name
        self.root = root.parent if self.sheet else root
        self._without = None if without is None else without.resolve()
        self._listings: dict[str, Listing] = {}

    def listing(self, folder: str = "") -> Listing:
        """Return what lies in a folder: nothing, where there is none."""
        known = self._listings.get(folder)
        if known is None:
            known = self._listings[folder] = self._seen(folder)
        return known

    def _seen(self, folder: str) -> Listing:
        listing = _listing(os.path.join(self.root, folder))
        if self._without is None or self._without.parent != (self.root / folder).resolve():
            return listing
        return replace(listing, folders=tuple(name for name in listing.folders if name != self._without.name))

    def is_series(self, folder: str) -> bool:
        """Tell whether a folder is one scan: DICOM slices, no other scans and no folders in it."""
        listing = self.listing(folder)
        if listing.folders or not is_dicom_only(listing):
            return False
        if listing.scans or not listing.others:
            return bool(listing.scans)
        from medseg.files.foreign.scan import is_dicom_folder

        return is_dicom_folder(self.root / folder)

    def series_in(self, folder: str) -> list[str]:
        """Return the folders right in a folder that are DICOM series, by name."""
        return [name for name in self.listing(folder).folders if self.is_series(joined(folder, name))]


def joined(folder: str, name: str) -> str:
    """Return the path of something in a folder of a tree."""
    return f"{folder}/{name}" if folder else name


def is_plain(text: str) -> bool:
    """Tell whether a text can stand in one line of UTF-8: no control characters, no halves of characters."""
    return text.isprintable() or not any(unicodedata.category(one) in ("Cc", "Cs") for one in text)


def named_file(tree: Tree, text: str, subject: str) -> Path:
    """Return the path of a scan that a table or description names, relative to the root or absolute.

    Whether it exists is for the reader to say; refuses what is neither a file nor a folder, like a pipe.
    """
    if not is_plain(text):
        raise Refusal(subject, "a path is one line of text", ascii(text)[:200], "mend the path")
    try:
        mode = os.stat(os.path.join(tree.root, text)).st_mode
    except OSError:
        return Path(text)
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise Refusal(subject, "names files, and folders of DICOM slices", text, "name a scan")
    return Path(text)


def is_dicom_only(listing: Listing) -> bool:
    """Tell whether no scan in a listing is of another format."""
    return all(ending_of(name).lower() in DICOM_ENDINGS for name in listing.scans)


def _listing(folder: str) -> Listing:
    try:
        with os.scandir(folder) as entries:
            shown = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda one: one.name)
    except (FileNotFoundError, NotADirectoryError):
        return Listing({}, (), ())
    scans: dict[str, str] = {}
    others: list[str] = []
    folders: list[str] = []
    for entry in shown:
        if _is_folder(entry):
            folders.append(_text(entry.name, folder))
        elif _is_file(entry):
            if is_scan_name(entry.name):
                scans[_text(entry.name, folder)] = stem_of(entry.name)
            else:
                others.append(entry.name)
    return Listing(scans, tuple(folders), tuple(others))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Regular files and links that lead nowhere; pipes and devices would block whoever reads them."""
    try:
        return entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))
    except OSError:
        return True


def _text(name: str, folder: str) -> str:
    """Return the name; refuses one that is no UTF-8, which no report could hold."""
    if not name.isascii():
        try:
            name.encode()
        except UnicodeEncodeError:
            shown = ascii(os.path.join(folder, name))
            raise Refusal("data.root", "names of scans and folders are UTF-8", shown, "rename it") from None
    return name
