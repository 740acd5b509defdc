"""Words of the command line like `name=value`, read by Hydra's grammar; paths and other texts stand as typed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from medseg.values.error import Refusal, wrong_setting

TEXTS = frozenset(
    ("data.root", "data.mask", "data.subject", "data.site", "data.group", "data.tumour", "training.start_from")
) | {"split.held_out", "machine.store", "machine.runs", "report.title"}
"""Settings that hold a text. In Hydra's grammar ~, brackets, commas and letters beyond a to z would need quotes."""
_OR_NUMBER = "split.held_out"


def read_overrides(words: Sequence[str], more: Collection[str] = (), sweeping: bool = False) -> list[Any]:
    """Return Hydra's reading of each word; with `sweeping` a comma parts values of texts too.

    The value of one of `TEXTS` or `more` stands as it is typed, unless it is in quotes, `null`, a list or a mapping.
    Refuses (exit 2) words that cannot be read, by the name of the setting.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    read, texts = [], TEXTS.union(more)
    for word in words:
        name, _, value = word.partition("=")
        try:
            one = parser.parse_override(word)
        except HydraException:
            if name not in texts:
                raise _unreadable(word) from None
            one = None
        if name in texts and not _stands(one, name, value, sweeping):
            one = parser.parse_override(f"{name}={quoted(value)}")
        read.append(one)
    return read


def quoted(text: str) -> str:
    """Write a text so that the grammar of the command line takes every letter as it stands."""
    from hydra.core.override_parser.types import Quote, QuotedString

    written: str = QuotedString(text, Quote.single).with_quotes()
    return written


def _stands(one: Any, name: str, typed: str, sweeping: bool) -> bool:
    """Tell whether Hydra's reading of a text's word (None: it cannot be read) is what was meant."""
    if one is None:
        return False
    if one.is_sweep_override():
        return sweeping or name == _OR_NUMBER
    value = one.value()
    if isinstance(value, str):
        return value == typed or typed.startswith(("'", '"'))
    return value is None or isinstance(value, (list, dict)) or name == _OR_NUMBER


def _unreadable(word: str) -> Refusal:
    name, sign, value = word.partition("=")
    if not sign:
        rule = "overrides look like group=choice or name.of.setting=value"
        return wrong_setting("command line", rule, word, "write name=value, with no space around the =")
    if value[:1] in ("{", "["):
        rule = "lists look like [1,2] and mappings like {a: 1, b: 2}, where names are letters a to z, digits and _"
        remedy = "quote the whole for the shell; other names can stand in a YAML file (--config-dir)"
        return wrong_setting(name, rule, value, remedy)
    rule = "a value with other signs than letters a to z, digits and / . _ - % @ stands in quotes"
    return wrong_setting(name or "command line", rule, value, f"""write {name}='"{value}"'""")
