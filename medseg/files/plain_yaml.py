"""YAML of plain values, as run folders hold it."""

from __future__ import annotations

from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """Reads each value where it stands. With aliases some lines could stand for gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):  # type: ignore[no-untyped-call]
            raise yaml.YAMLError("an alias, which settings do not have")
        return super().compose_node(parent, index)


def read_yaml(text: str) -> Any:
    """Return what a YAML text says. Raises ValueError for what is no YAML, is too deep, or repeats by aliases."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    except RecursionError:
        raise ValueError("values in values, too deep to be settings") from None
