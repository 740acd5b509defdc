"""YAML as run folders hold it."""

from __future__ import annotations

import pytest

from medseg.files.plain_yaml import read_yaml

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))


def test_plain_values_come_back() -> None:
    text = "name: tiny\npatches: {size: [16, 16, 16], share: 0.5}\nnothing:\n"
    assert read_yaml(text) == {"name": "tiny", "patches": {"size": [16, 16, 16], "share": 0.5}, "nothing": None}
    assert read_yaml("") is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (BOMB, "an alias, which settings do not have"),
        ("[" * 5000, "too deep to be settings"),
        ("a: [1", "expected"),
        ("!!python/object/apply:os.system [echo]", "could not determine a constructor"),
    ],
)
def test_what_is_no_plain_value_is_an_error(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read_yaml(text)
