"""Looks at many cases at once, in their order, and remembers what has been seen before."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from medseg.files.layouts.find import FoundCase
from medseg.files.records import CaseRecord, Sight
from medseg.pipeline.memo import Memo
from medseg.stages.intake.checks import Rules
from medseg.stages.intake.examination import Examined, examine
from medseg.values.digests import digest_of

_AHEAD = 4  # cases per worker that may wait for their turn


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

    def all(self, cases: Iterable[FoundCase], workers: int) -> Iterator[Examined]:
        """Yield the looks in the order of the cases, whichever thread is done first; few are held at a time."""
        waiting: deque[tuple[str, Examined | Future[Examined]]] = deque()
        with ThreadPoolExecutor(workers, thread_name_prefix="index") as pool:
            try:
                for case in cases:
                    key = self._key(case)
                    waiting.append((key, self._remembered(key) or pool.submit(self._look, case)))
                    if len(waiting) > workers * _AHEAD:
                        yield self._next(waiting)
                while waiting:
                    yield self._next(waiting)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _next(self, waiting: deque[tuple[str, Examined | Future[Examined]]]) -> Examined:
        key, awaited = waiting.popleft()
        if isinstance(awaited, Examined):
            return awaited
        look = awaited.result()
        if look.record.refused is not None:  # too little memory or a slow disk may be the reason: look again next time
            return look
        sight = None if look.sight is None else look.sight.model_dump_json()
        self.memo.put(key, json.dumps([look.record.model_dump_json(), sight]))
        return look

    def _look(self, case: FoundCase) -> Examined:
        return examine(case, self.digests, self.rules, self.root)

    def _remembered(self, key: str) -> Examined | None:
        text = self.memo.get(key)
        if text is None:
            return None
        with suppress(ValueError):
            record, sight = json.loads(text)
            return Examined(
                CaseRecord.model_validate_json(record), None if sight is None else Sight.model_validate_json(sight)
            )
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
