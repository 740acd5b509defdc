"""Refusals of the layouts in the words of who asked: layouts know a folder by the setting of a data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from medseg.values.error import Refusal, wrong_setting


@contextmanager
def told_of(setting: str, words: Mapping[str, str] | None = None) -> Iterator[None]:
    """Name `setting` in refusals inside the block that speak of `data.root`; `words` replaces more of the kind.

    A folder that cannot be read is a wrong setting (exit 2).
    """
    replaced = {"data.root": setting, **(words or {})}
    try:
        yield
    except OSError as error:
        raise wrong_setting(setting, "the folder can be read", error, "check its rights") from error
    except Refusal as refusal:
        parts = [refusal.subject, refusal.rule, refusal.value, refusal.remedy]
        for old, new in replaced.items():
            parts = [text.replace(old, new) for text in parts]
        subject, rule, value, remedy = parts
        raise Refusal(subject, rule, value, remedy, refusal.exit_code, refusal.override) from refusal
