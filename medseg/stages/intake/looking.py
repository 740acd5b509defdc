"""Looks at many cases at once, in their order, and remembers what has been seen before."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from medseg.files.layouts.find import FoundCase
from medseg.files.records import CaseRecord, Sight
from medseg.pipeline.memo import Memo
from medseg.stages.intake.checks import Rules
from medseg.stages.intake.crew import Awaited, LostError, shared_out
from medseg.stages.intake.examination import Examined, examine, refused
from medseg.values.digests import digest_of
from medseg.values.error import Refusal

_AHEAD = 4  # cases per worker that may wait for their turn


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A case whose turn has not come, the key of its look in the memo, and the look or the promise of its text."""

    case: FoundCase
    key: str
    look: Examined | Future[bytes] | Awaited


class Looks:
    """Looks at cases, or remembers what was seen: the same files, rules and code give the same look."""

    def __init__(self, digests: Mapping[str, str], rules: Rules, root: Path, memo: Memo, code: str) -> None:
        self.digests, self.rules, self.root, self.memo = digests, rules, root, memo
        scheme = rules.scheme
        self.common = digest_of(
            {
                "channels": rules.channels,
                "scheme": [dict(scheme.labels), dict(scheme.regions), scheme.tumour, scheme.ignore],
                "reading": rules.reading.model_dump(mode="json"),
                "rules": [rules.zeros_for_missing, rules.resample_channels],
                "code": code,
            }
        )

    def all(self, cases: Sequence[FoundCase], workers: int) -> Iterator[Examined]:
        """Yield the looks in the order of the cases, whichever worker is done first; few are held at a time."""
        waiting: deque[_Waiting] = deque()
        with shared_out(lambda number: self._look(cases[number]), len(cases), workers) as ask:
            for number, case in enumerate(cases):
                key = self._key(case)
                waiting.append(_Waiting(case, key, self._remembered(key) or ask(number)))
                if len(waiting) > workers * _AHEAD:
                    yield self._next(waiting.popleft())
            while waiting:
                yield self._next(waiting.popleft())

    def _next(self, waiting: _Waiting) -> Examined:
        if isinstance(waiting.look, Examined):
            return waiting.look
        try:
            text = waiting.look.result().decode()
        except LostError as lost:
            return refused(waiting.case, self.digests, self.rules, self.root, _without_end(waiting.case, lost))
        look = _read(text)
        if look.record.refused is None:  # else too little memory or a slow disk may be the reason: look again next time
            self.memo.put(waiting.key, text)
        return look

    def _look(self, case: FoundCase) -> bytes:
        look = examine(case, self.digests, self.rules, self.root)
        sight = None if look.sight is None else look.sight.model_dump_json()
        return json.dumps([look.record.model_dump_json(), sight]).encode()

    def _remembered(self, key: str) -> Examined | None:
        text = self.memo.get(key)
        with suppress(ValueError):
            return None if text is None else _read(text)
        return None

    def _key(self, case: FoundCase) -> str:
        digests = self.digests
        channels = {
            name: [file.path.as_posix(), digests[file.path.as_posix()], file.component, file.volumes]
            for name, file in case.channels.items()
        }
        mask = None if case.mask is None else [case.mask.as_posix(), digests[case.mask.as_posix()]]
        named = [case.case, case.subject, case.site, case.group, case.part, case.annotated]
        return digest_of([self.common, named, channels, mask])


def _read(text: str) -> Examined:
    record, sight = json.loads(text)
    return Examined(CaseRecord.model_validate_json(record), None if sight is None else Sight.model_validate_json(sight))


def _without_end(case: FoundCase, lost: LostError) -> Refusal:
    remedy = "use a machine with more memory, or cut the scan"
    return Refusal(case.case, "looking at the case comes to an end", f"a process that was ended by {lost}", remedy)
