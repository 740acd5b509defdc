"""What holds for all tests: no example of a property is judged by how long it took."""

from __future__ import annotations

from contextlib import suppress

with suppress(ImportError):  # a machine that lends a device has not all that tests can use
    from hypothesis import HealthCheck, settings

    settings.register_profile("medseg", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("medseg")
