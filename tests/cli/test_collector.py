"""The collector of reference cycles is at rest while a command starts, and at work while it works."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from medseg.cli.collector import collector_at_rest
from tests.cli.tiny_data import make_data


@pytest.mark.parametrize("running", [True, False])
def test_it_is_as_before_after_the_block_also_after_an_error(running: bool) -> None:
    before = gc.isenabled()
    try:
        gc.enable() if running else gc.disable()
        inside = []
        with suppress(ValueError), collector_at_rest():
            inside.append(gc.isenabled())
            raise ValueError
        assert (inside, gc.isenabled()) == ([False], running)
    finally:
        gc.unfreeze()
        gc.enable() if before else gc.disable()


def test_a_command_works_with_the_collector(tmp_path: Path) -> None:
    """Python tells of every collection: none before Hydra is there, and at the end it is running."""
    make_data(tmp_path, scans=2, healthy=0)
    program = (
        "import gc, sys; from medseg.cli.main import main; seen = []\n"
        "gc.callbacks.append(lambda phase, facts: seen.append('hydra.compose' in sys.modules))\n"
        "code = main(['check', 'data.root=data', 'data.labels={tumour: 1}'])\n"
        "sys.exit(code or (0 if gc.isenabled() and gc.get_freeze_count() else 9) or len(seen) - sum(seen))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
