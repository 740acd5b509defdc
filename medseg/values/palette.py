"""The colours of labels, the same in every picture, page and file."""

from __future__ import annotations

# Okabe and Ito's palette without black, those first that stand out most on grey.
LABEL_COLOURS = ((230, 159, 0), (86, 180, 233), (240, 228, 66), (0, 158, 115), (204, 121, 167), (213, 94, 0))


def colour_of(label: int) -> tuple[int, int, int]:
    """Return red, green and blue of a label number, 0..255 each; numbers six apart share one."""
    return LABEL_COLOURS[(label - 1) % len(LABEL_COLOURS)]


def css_of(label: int) -> str:
    """Write the colour of a label number as a style sheet has it."""
    return "rgb({} {} {})".format(*colour_of(label))
