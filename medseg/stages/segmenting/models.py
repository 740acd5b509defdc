"""The model that segments: one package, or the packages of several folds, and the card of all of them together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from medseg.engines.packages.opening import package_folder, together
from medseg.engines.packages.package import CARD, Card, read_card
from medseg.values.error import Refusal, wrong_setting


@dataclass(frozen=True, slots=True)
class Model:
    """Folders of packages that answer together, and what holds for all of them."""

    folders: tuple[Path, ...]
    card: Card

    @property
    def names(self) -> tuple[str, ...]:
        """The channels that the model reads, in order."""
        return tuple(self.card.preparation.normalisations)


def read_model(named: Sequence[Path]) -> Model:
    """Return the model in these folders, each a package or a run with one; its weights are not read yet.

    Refuses (exit 2) a folder without a package, damaged cards, and packages that do not belong together.
    """
    if not named:
        raise wrong_setting("model", "a model package is needed", "none", "set model=DIR")
    folders = tuple(package_folder(folder) for folder in named)
    for given, folder in zip(named, folders, strict=True):
        if not (folder / CARD).is_file():
            rule = f"a folder with {CARD}, or of a run that holds model/, is needed"
            raise wrong_setting("model", rule, given, "name the folder of a trained model")
    with about_the_model():
        return Model(folders, together(folders, [read_card(folder) for folder in folders]))


@contextmanager
def about_the_model() -> Iterator[None]:
    """Give the exit code of a wrong setting, which the model is, to what is refused within."""
    try:
        yield
    except Refusal as refusal:
        refusal.exit_code = 2
        raise
