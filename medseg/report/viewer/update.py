"""Take another version of NiiVue into the package: `python -m medseg.report.viewer.update UNPACKED_NPM_PACKAGE`.

The folder is what `npm pack @niivue/niivue` made, unpacked; nothing is fetched. Look at LICENSE.txt afterwards: it
names what is bundled.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from medseg.report.viewer.asset import update_script
from medseg.values.error import Refusal


def main(arguments: Sequence[str]) -> int:
    """Take the script in, say which it is, and return 0; 2 where the folder is refused."""
    if len(arguments) != 1:
        sys.stderr.write("error: update: takes the folder of one unpacked npm package; give one folder\n")
        return 2
    try:
        origin = update_script(Path(arguments[0]), Path(__file__).parent)
    except Refusal as refusal:
        sys.stderr.write(f"error: {refusal}\n")
        return 2
    sys.stdout.write(f"{origin.name} {origin.version}, {origin.licence}, sha256 {origin.sha256}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
