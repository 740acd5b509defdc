"""The sentences of the contact sheet of segmented scans."""

from __future__ import annotations

from collections.abc import Mapping

from medseg.report.wording import UNDEFINED, count, number

PLUS_MINUS = "\N{PLUS-MINUS SIGN}"
Measures = Mapping[str, float | None]


def headline(scans: int, failed: int, look: int) -> str:
    """Say how many scans have a mask, and how many of these should be looked at first."""
    if not scans:
        return "No scan was found."
    done = scans - failed
    if not failed:
        first = "The one scan was segmented" if scans == 1 else f"All {scans} scans were segmented"
    elif scans == 1:
        first = "The one scan was not segmented"
    else:
        first = f"{done or 'None'} of {count(scans, 'scan')} {'was' if done == 1 else 'were'} segmented"
    if not done:
        return f"{first}."
    if not look:
        return f"{first}; nothing calls for a look first."
    which, them = ("it" if done == 1 else f"{look} of them"), ("it" if look == 1 else "them")
    return f"{first}; look at {which} before you use {them}."


def dice_text(confidence: Measures) -> str:
    """Write the expected Dice with its error, "0.87 ± 0.03"; a dash where there is none."""
    forecast, error = confidence.get("forecast_dice"), confidence.get("forecast_error")
    if forecast is None:
        promised = confidence.get("expected_dice")
        return UNDEFINED if promised is None else f"{promised:.2f}"
    return f"{forecast:.2f}" if error is None else f"{forecast:.2f} {PLUS_MINUS} {max(error, 0.005):.2f}"


def dice_kind(confidence: Measures, warned: bool) -> str:
    """Say what kind of number the expected Dice is; `warned`: the scan is unlike those that the forecast knows."""
    if confidence.get("forecast_dice") is not None:
        return "a forecast that may not hold for this scan" if warned else "a forecast, not measured"
    if confidence.get("expected_dice") is not None:
        return "as the network itself sees it, not measured"
    return "not known"


def measures_text(confidence: Measures) -> str:
    """Write the measures of confidence that are there, in the order in which the page explains them."""
    shares = (("margin", "margin"), ("boundary_entropy", "boundary entropy"), ("agreement", "agreement"))
    parts = [f"{name} {value:.2f}" for key, name in shares if (value := confidence.get(key)) is not None]
    promised, doubtful_ml = confidence.get("expected_dice"), confidence.get("doubtful_ml")
    if promised is not None and confidence.get("forecast_dice") is not None:
        parts.append(f"own estimate of Dice {promised:.2f}")
    if doubtful_ml:
        parts.append(f"{number(doubtful_ml, 'ml')} ml in doubt")
    return ", ".join(parts)


def cost_text(seconds: float, peak_memory_mb: float) -> str:
    """Write how long a scan took and the memory it needed, as far as they are known."""
    parts = [f"{seconds:.3g} s"] if 0 < seconds < 100 else [f"{seconds:.0f} s"] if seconds else []
    return ", ".join(parts + ([f"{peak_memory_mb / 1000:.2f} GB at most"] if peak_memory_mb else []))


def volume_text(volume_ml: float) -> str:
    """Write a volume in ml."""
    return f"{number(volume_ml, 'ml')} ml"
