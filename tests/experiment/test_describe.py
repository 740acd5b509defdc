from __future__ import annotations

from pathlib import Path

from medseg.experiment.describe import describe

ROOT = Path(__file__).resolve().parents[2]


def test_the_settings_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == describe()


def test_every_setting_has_a_row() -> None:
    page = describe()
    for name in (
        "seed",
        "training.minutes",
        "augment.noise.probability",
        "machine.device",
        "network.width",
        "data.root",
    ):
        assert f"| `{name}` |" in page


def test_a_choice_between_words_and_settings_has_a_row_and_so_have_its_settings() -> None:
    page = describe()
    assert '| `inference.postprocess` | `auto`, `none` or the settings below | `"auto"` |' in page
    assert "| `inference.postprocess.fill_holes` | list | `[]` |" in page
