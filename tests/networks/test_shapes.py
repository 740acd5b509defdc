"""Networks without memory."""

from __future__ import annotations

import subprocess
import sys

CHILD = """
import sys
from medseg.networks.build import build_network
from medseg.networks.settings import UNet3D
from medseg.networks.shapes import shapes_alone
from medseg.values.plan import Architecture

large = Architecture(
    dimensions=3, channels=4, outputs=3, features=(3000, 6000), strides=((1, 1, 1), (2, 2, 2)), kernels=((3, 3, 3),) * 2
)
with shapes_alone():
    network = build_network(UNet3D(), large, 0)
print(network.heads[0].weight.shape[1], "torch._dynamo" in sys.modules)
"""


def test_a_network_of_any_size_takes_neither_memory_nor_the_compiler() -> None:
    """Weights of 20 GB would not fit; importing the compiler takes longer than all the rest of a short prediction."""
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3000", "False"]
