"""What of the report can be set."""

from __future__ import annotations

from pydantic import Field

from medseg.values.settings import Settings


class ReportSettings(Settings):
    """What the page is called and how many cases it shows."""

    title: str = Field("", description="heading of the page; empty: named after the region")
    examples: int = Field(3, ge=0, description="how many worst, median and best cases are shown; 0: no pictures")
    seed: int = Field(0, description="names the random stream of the confidence intervals")
