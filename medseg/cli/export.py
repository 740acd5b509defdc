"""The command `export`: a trained model for other programs."""

from __future__ import annotations

from medseg.cli.arguments import Arguments
from medseg.cli.collector import collector_at_rest
from medseg.cli.compose import plain_tree
from medseg.cli.display import say, screen
from medseg.engines.exporting.parity import Parity
from medseg.experiment.exporting import export as make
from medseg.experiment.exporting import read_export
from medseg.values.error import wrong_setting


def export(arguments: Arguments) -> int:
    """Write the model to `out` and how far it is from PyTorch beside it; print where it lies."""
    if arguments.multirun or arguments.config_dir is not None:
        rule = "one model is exported at a time, by the settings on the command line"
        raise wrong_setting("export", rule, "-m or --config-dir", "leave it out")
    with collector_at_rest():
        settings, machine = read_export(plain_tree(arguments.words, ("model", "out", "images")))
    with screen() as shown:
        place, exported = make(settings, machine)
        shown.line(_told(exported.record.parity))
    say(str(place))
    return 0


def _told(parity: Parity) -> str:
    return (
        f"compared with PyTorch on windows of {'a scan' if parity.windows == 'scan' else 'noise'}: "
        f"logits differ by at most {parity.logits:.2g} ({parity.relative:.2g} of the largest), "
        f"probabilities by {parity.probabilities:.2g}"
    )
