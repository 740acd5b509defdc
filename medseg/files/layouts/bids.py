"""Layout `bids`: sub-*/[ses-*/]anat|pet|ct|..., masks under derivatives/.

Source: Brain Imaging Data Structure 1.10, Gorgolewski et al. 2016, doi:10.1038/sdata.2016.44.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medseg.files.layouts.bids_names import BidsFile, chosen, is_image, is_mask
from medseg.files.layouts.people import NO_TABLE, Table
from medseg.files.layouts.sheet import at, read_sheet
from medseg.files.layouts.tree import DATATYPES, Tree, joined
from medseg.files.layouts.values import ChannelFile, DataSettings, Found, FoundCase
from medseg.values.error import Refusal, wrong_setting

_DERIVATIVES = "derivatives"
_PARTICIPANTS = "participants.tsv"


@dataclass(frozen=True, slots=True)
class _Session:
    """One case: a subject, or one of its sessions, with its raw files and those derived from them."""

    case: str
    subject: str
    raw: list[BidsFile] = field(default_factory=list)
    derived: list[BidsFile] = field(default_factory=list)


def fits(tree: Tree, settings: DataSettings) -> bool:
    """Tell whether a scan lies in a datatype folder of a subject or session, and is named after the subject."""
    return any(
        file.datatype in DATATYPES and file.entity("sub")
        for _, _, folder in _sessions(tree, "")
        for file in _files(tree, folder)
    )


def find(tree: Tree, settings: DataSettings) -> tuple[Found, Table]:
    """Find the cases `sub-XX` or `sub-XX_ses-YY`; the subject is `sub-XX`, columns of participants.tsv are kept.

    Channels are the suffixes in anat, pet, ct and mr, or the patterns of `data.channels`; see
    `bids_names.chosen`. The mask is the file named as one, under derivatives or beside the scans, or that which
    `data.mask` means. Refuses two files for one of them, and files that are named after another subject or session than
    their folders. A session without images or anything else that is asked for is no case.
    """
    sessions = _raw(tree)
    _add_derived(tree, sessions)
    patterns = dict(settings.channels) or dict.fromkeys(_suffixes(sessions), "")
    cases = [_case(session, patterns, settings.mask) for session in sessions.values()]
    kept = tuple(case for case in cases if case is not None)
    return Found("bids", tuple(patterns), kept), _participants(tree, kept)


def _sessions(tree: Tree, above: str) -> Iterator[tuple[str, str, str]]:
    """Yield subject, session ("" for none) and folder."""
    for subject in tree.listing(above).folders:
        if not subject.startswith("sub-"):
            continue
        folder = joined(above, subject)
        yield subject, "", folder
        for name in tree.listing(folder).folders:
            if name.startswith("ses-"):
                yield subject, name, f"{folder}/{name}"


def _files(tree: Tree, folder: str, pipeline: str = "") -> Iterator[BidsFile]:
    """Yield the scans of a subject or session: right in its folder, and in the folders of its datatypes."""
    inner = [name for name in tree.listing(folder).folders if not name.startswith("ses-")]
    for datatype in ("", *inner):
        place = joined(folder, datatype) if datatype else folder
        for name, stem in tree.listing(place).scans.items():
            yield BidsFile(f"{place}/{name}", tuple(stem.split("_")), datatype, pipeline)


def _raw(tree: Tree) -> dict[str, _Session]:
    sessions: dict[str, _Session] = {}
    for subject, session, folder in _sessions(tree, ""):
        case = f"{subject}_{session}" if session else subject
        files = [_checked(file, subject, session) for file in _files(tree, folder) if file.datatype]
        if files:
            sessions[case] = _Session(case, subject, files)
    return sessions


def _add_derived(tree: Tree, sessions: Mapping[str, _Session]) -> None:
    """Give every session the files derived from it, by folder or, where these name no session, by the file's name.

    What names no session belongs to a subject's only one.
    """
    by_subject: dict[str, list[_Session]] = {}
    for one in sessions.values():
        by_subject.setdefault(one.subject, []).append(one)
    pipelines = [name for name in tree.listing(_DERIVATIVES).folders if not name.startswith("sub-")]
    for pipeline in ("", *pipelines):
        above = joined(_DERIVATIVES, pipeline) if pipeline else _DERIVATIVES
        for subject, session, folder in _sessions(tree, above):
            own = by_subject.get(subject, [])
            for file in _files(tree, folder, pipeline or _DERIVATIVES):
                named = session or _checked(file, subject, session).entity("ses")
                cases = [one for one in own if one.case == (f"{subject}_{named}" if named else subject)]
                for one in cases or (own if len(own) == 1 and not named else []):
                    one.derived.append(_checked(file, subject, session))


def _checked(file: BidsFile, subject: str, session: str) -> BidsFile:
    """Return the file; refuses one whose name says another subject or session than its folder."""
    for key, folder in (("sub", subject), ("ses", session)):
        named = file.entity(key)
        if folder and named and named != folder:
            raise Refusal(file.path, f"a file is named after its folder {folder}", named, "move or rename the file")
    return file


def _suffixes(sessions: Mapping[str, _Session]) -> list[str]:
    return sorted({file.suffix for session in sessions.values() for file in session.raw if is_image(file)})


def _case(session: _Session, patterns: Mapping[str, str], mask: str | None) -> FoundCase | None:
    images = [file for file in session.raw if not is_mask(file)]
    found = {name: _one(session, name, _meant(images, name, pattern)) for name, pattern in patterns.items()}
    files = {name: ChannelFile(path) for name, path in found.items() if path is not None}
    everything = session.derived + session.raw
    masks = chosen(everything, mask) if mask else [file for file in everything if is_mask(file)]
    label = _one(session, "", masks)
    if not files and label is None and not any(is_image(file) for file in session.raw):
        return None
    return FoundCase(session.case, session.subject, files, label)


def _meant(images: Sequence[BidsFile], name: str, pattern: str) -> list[BidsFile]:
    """Without a pattern a channel is all images of its suffix: which of several is meant is not for us to guess."""
    return chosen(images, pattern) if pattern else [file for file in images if file.suffix == name and is_image(file)]


def _one(session: _Session, channel: str, found: Sequence[BidsFile]) -> Path | None:
    if len(found) > 1:
        setting = f"data.channels.{channel}" if channel else "data.mask"
        value = " and ".join(file.path for file in found[:4])
        raise wrong_setting(setting, f"means one file of {session.case}", value, _narrower(*found[:2]))
    return Path(found[0].path) if found else None


def _narrower(one: BidsFile, other: BidsFile) -> str:
    """Say which pattern means one file and not the other."""
    name = "_".join(one.own)
    if one.own == other.own and one.pipeline == other.pipeline:
        return "rename or remove one of them"
    return f"give a narrower pattern, like {name if one.own != other.own else f'{one.pipeline}/{name}'}"


def _participants(tree: Tree, cases: Sequence[FoundCase]) -> Table:
    """Read what participants.tsv says of every subject; `n/a` is an empty cell."""
    if _PARTICIPANTS not in tree.listing().others:
        return NO_TABLE
    sheet = read_sheet(tree.root / _PARTICIPANTS)
    key = sheet.column("participant_id")
    if key is None:
        raise at(sheet.name, 1, "has a column participant_id", ", ".join(sheet.columns), "name the subjects' column so")
    rows: dict[str, dict[str, str]] = {}
    for row in sheet.rows:
        subject = f"sub-{row.cells.get(key, '').removeprefix('sub-')}"
        if subject in rows:
            raise at(sheet.name, row.line, "every participant has one row", subject, "take out one of them")
        rows[subject] = {column.lower(): cell for column, cell in row.cells.items() if cell.lower() != "n/a"}
    own = {case.case: rows[case.subject] for case in cases if case.subject in rows}
    return Table(tuple(column.lower() for column in sheet.columns), own)
