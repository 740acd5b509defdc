"""The command `segment`: a trained model applied to new scans."""

from __future__ import annotations

from medseg.cli.arguments import Arguments
from medseg.cli.collector import collector_at_rest
from medseg.cli.compose import plain_tree
from medseg.cli.display import Screen, say, screen
from medseg.experiment.segmenting.command import Told
from medseg.experiment.segmenting.command import segment as segment_scans
from medseg.experiment.segmenting.listing import Listing
from medseg.experiment.segmenting.settings import read_segment_settings
from medseg.files.segmented import SegmentedScan
from medseg.values.error import wrong_setting
from medseg.values.finding import printable

_PATHS = ("model", "images", "out")


def segment(arguments: Arguments) -> int:
    """Segment every scan, print where segment.html lies, and return 1 where a scan has no mask, else 0."""
    if arguments.multirun or arguments.config_dir is not None:
        rule = "scans are segmented by the settings on the command line"
        raise wrong_setting("segment", rule, "-m or --config-dir", "leave it out")
    with collector_at_rest():
        settings, machine = read_segment_settings(plain_tree(arguments.words, _PATHS))
    with screen() as shown:
        listing = segment_scans(settings, machine, Told(lambda record: _tell(record, shown), shown.line))
        _summarise(listing, shown)
    say(str(listing.page))
    return 1 if listing.count("failed", "refused") else 0


def _tell(record: SegmentedScan, shown: Screen) -> None:
    if record.status != "done":
        why = (record.reason or "").removeprefix(f"{record.case}: ")
        shown.line(printable(f"error: {record.case}: {why}"))


def _summarise(listing: Listing, shown: Screen) -> None:
    scans, without = len(listing.records), listing.count("failed", "refused")
    shown.line(f"{scans - without} of {scans} scans are segmented, {without} failed or refused")
    if listing.unlike:
        shown.line(f"warning: {listing.unlike} of them are unlike the training scans: look at those first")
