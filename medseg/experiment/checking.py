"""The doctor: the experiment up to the index, then its findings as a page, put where people look for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medseg.experiment.order import Chain
from medseg.experiment.publish import link
from medseg.ops.phantom_settings import PhantomSettings
from medseg.pipeline.store import Finished
from medseg.stages.check import CheckSettings
from medseg.values.error import wrong_setting

MADE = ("check.json", "check.html")


def check(chain: Chain, words: Sequence[str]) -> Finished:
    """Do the stages index and check; `words` are the settings as typed, for the command line on the page."""
    chain.walk("index")
    settings = CheckSettings(title=f"Check of {_name(chain)}", words=tuple(words))
    return chain.do("check", settings, {"index": chain.outcome.stages["index"].source()})


def open_place(folder: Path, setting: str) -> None:
    """Make the folder for the page; refuses (exit 2) a place that cannot be written to, by the name of the setting."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".medseg-check"
        probe.touch()
        probe.unlink()
    except OSError as error:
        what = f"{folder} ({error.strerror})"
        raise wrong_setting(setting, "the folder of the check must be writable", what, "name another folder") from error


def publish_check(finished: Finished, folder: Path, setting: str) -> Path:
    """Link check.json and check.html into `folder`, in place of those of an earlier check; return the page."""
    for name in MADE:
        target = folder / name
        try:
            target.unlink(missing_ok=True)
            link(finished.folder / name, target)
        except OSError as error:
            what = f"{target} ({error.strerror})"
            raise wrong_setting(setting, "the check must be writable", what, "name another folder") from error
    return folder / "check.html"


def _name(chain: Chain) -> str:
    data = chain.settings.data
    if isinstance(data, PhantomSettings):
        return "the head phantoms"
    return Path(data.root or ".").resolve().name or "the data"
