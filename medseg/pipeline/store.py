"""The store: finished work, found again by what made it.

A task's key is a digest of the stage's name, its code, its settings and the content of its inputs. Work happens in
a draft folder; the manifest is written last and the folder renamed, so a crash leaves a draft and never half a result.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medseg.pipeline.meter import Meter
from medseg.values.digests import digest_of, digest_of_file
from medseg.values.error import Refusal, wrong_setting

MANIFEST = "manifest.json"
_LONGEST_VALUE = 40


@dataclass(frozen=True, slots=True)
class Source:
    """A file or folder that a task reads, and the digest of what is in it."""

    path: Path
    digest: str


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of work: a stage over everything (`item` empty) or over one case."""

    stage: str
    item: str
    code: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, Source] = field(default_factory=dict)

    @property
    def parts(self) -> dict[str, Any]:
        """What the key is made of, as JSON."""
        inputs = {name: source.digest for name, source in sorted(self.inputs.items())}
        return {"stage": self.stage, "code": self.code, "settings": dict(self.settings), "inputs": inputs}

    @property
    def key(self) -> str:
        """The 64 hex digits under which the result is found again."""
        return digest_of(self.parts)


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished task: its folder and its manifest."""

    folder: Path
    manifest: Mapping[str, Any]

    def source(self, name: str = "") -> Source:
        """Return one file or sub-folder of the result (all of it by default) as an input for a later task."""
        files: Mapping[str, str] = self.manifest["files"]
        if name in files:
            below = {name: files[name]}
        else:
            below = {path: digest for path, digest in files.items() if not name or path.startswith(f"{name}/")}
        return Source(self.folder / name if name else self.folder, digest_of(below))


class Store:
    """Finished tasks in a folder on disk; safe for several processes at once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, task: Task) -> Finished | None:
        """Return the finished task, or None when it has to be done."""
        return self._read(self._home(task))

    def because(self, task: Task) -> str:
        """Say in a few words why the task is not in the store, compared with the last of its kind."""
        before = _object(self._last(task))
        return "first time" if before is None else explain(before, task.parts)

    def make(self, task: Task, work: Callable[[Path], None], facts: Mapping[str, Any]) -> Finished:
        """Return the finished task, doing `work(draft folder)` when it is not there yet.

        `facts` (versions, machine) are recorded in the manifest and are not part of the key.
        """
        home = self._home(task)
        with self._alone(task):
            found = self._read(home)
            if found is not None:
                return found
            draft = self.draft_of(task)
            draft.mkdir(parents=True, exist_ok=True)
            meter = Meter()
            work(draft)
            manifest = {"item": task.item, **task.parts, **meter.read(), **facts, "files": _digests(draft)}
            self._publish(draft, home, manifest)
            self._remember(task)
        return Finished(home, manifest)

    def draft_of(self, task: Task) -> Path:
        """Return the folder in which a task is worked on, while `make` does it."""
        return self.root / "drafts" / f"{task.stage}-{task.key[:32]}"

    def _publish(self, draft: Path, home: Path, manifest: Mapping[str, Any]) -> None:
        home.parent.mkdir(parents=True, exist_ok=True)
        write_whole(draft / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True) + "\n")
        if home.exists():
            shutil.rmtree(home)
        draft.rename(home)
        for path in home.rglob("*"):
            if path.is_file():
                path.chmod(0o444)

    def _remember(self, task: Task) -> None:
        last = self._last(task)
        last.parent.mkdir(parents=True, exist_ok=True)
        write_whole(last, json.dumps(task.parts))

    def _home(self, task: Task) -> Path:
        return self.root / task.stage / task.key[:32]

    def _last(self, task: Task) -> Path:
        return self.root / "last" / task.stage / f"{task.item or 'all'}.json"

    def _read(self, home: Path) -> Finished | None:
        manifest = _object(home / MANIFEST)
        return None if manifest is None else Finished(home, manifest)

    @contextlib.contextmanager
    def _alone(self, task: Task) -> Iterator[None]:
        lock = lock_of(self.root, task.key[:32])
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
            file = lock.open("a")
        except OSError as error:
            raise unwritable(self.root, error) from error
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def lock_of(root: Path, folder: str) -> Path:
    """Return the file that is locked while somebody works on the result or draft whose folder has this name."""
    return root / "locks" / folder[-32:]


def unwritable(root: Path, error: OSError) -> Refusal:
    """Make the refusal of a store that cannot be written to."""
    value, remedy = f"{root} ({error.strerror})", "set machine.store to a folder you may write to"
    return wrong_setting("machine.store", "the store must be writable", value, remedy)


def explain(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Name what differs between the parts of two keys: settings by their dotted path, inputs by name, or the code."""
    differences = _differences(before["settings"], now["settings"])
    reasons = [f"{path} {_short(old)} -> {_short(new)}" for path, old, new in differences]
    names = sorted(set(before["inputs"]) | set(now["inputs"]))
    changed = [name for name in names if before["inputs"].get(name) != now["inputs"].get(name)]
    if changed:
        reasons.append(f"input {', '.join(changed[:3])}{' ...' if len(changed) > 3 else ''} changed")
    if before["code"] != now["code"]:
        reasons.append("code changed")
    return "; ".join(reasons[:4]) or "not in the store"


def _object(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; None where there is none, or only a damaged one: then the work is done again."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _differences(before: Any, now: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for name in sorted(set(before) | set(now)):
            yield from _differences(before.get(name), now.get(name), f"{path}.{name}" if path else name)
    elif before != now:
        yield path, before, now


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): digest_of_file(path) for path in files}


def write_whole(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old file or the new one, never a part; several may write it at once.

    Processes of several machines, which may have the same number, take different drafts. A failure leaves none behind.
    """
    draft = path.with_name(f"{path.name}.{os.urandom(8).hex()}.draft")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
