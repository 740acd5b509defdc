"""What is drawn for the channels of a patch: how often, how strongly, and that it can be written down."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from numpy.polynomial.legendre import legval3d
from scipy import stats

from medseg.cli.compose import compose
from medseg.engines.sampling.changing.bias_field import TERMS
from medseg.engines.sampling.drawing.draw import CaseShape, Draw, Intensity, draw_batch
from medseg.engines.sampling.drawing.replay import drawn, table_of
from medseg.engines.sampling.intensity_settings import BrightnessSettings, GammaSettings, NoiseSettings
from medseg.engines.sampling.settings import AugmentSettings, PatchSettings
from medseg.experiment.settings import read_settings

NOTHING = {
    name: {"probability": 0.0}
    for name in ("flip", "rotation", "scaling", "brightness", "contrast", "noise", "blur", "low_resolution")
} | {"gamma": {"probability": 0.0, "inverted_probability": 0.0}}
SPANS = {
    "noise": (0.1, 0.3),
    "rician": (0.1, 0.3),
    "blur": (0.5, 1.0),
    "brightness": (1.1, 1.3),
    "contrast": (1.1, 1.3),
    "low_resolution": (0.5, 0.9),
    "gamma": (1.1, 1.3),
    "bias_field": (0.2, 0.4),
}


def draws(augment: AugmentSettings, steps: int = 500, channels: int = 3) -> list[Draw]:
    cases = [CaseShape((30, 30, 30), (1.0, 1.0, 1.0), channels, {1: np.full((1, 3), 15, np.int32)})]
    patches = PatchSettings(tumour_share=0.0)
    return [draw_batch(0, step, cases, (8, 8, 8), 1, patches, augment)[0] for step in range(steps)]


def happened(name: str) -> Callable[[Intensity], bool]:
    field = "bias" if name == "bias_field" else name
    return lambda intensity: getattr(intensity, field) != getattr(Intensity(), field)


def within(count: int, total: int, chance: float) -> bool:
    return bool(stats.binomtest(count, total, chance).pvalue > 1e-4)


@pytest.mark.parametrize("name", SPANS)
def test_a_change_happens_to_patches_and_then_to_channels(name: str) -> None:
    low, high = SPANS[name]
    chosen = {"probability": 0.4, "channel_probability": 0.5, "low": low, "high": high}
    own = {"inverted_probability": 0.0} if name == "gamma" else {}
    made = draws(AugmentSettings.model_validate({**NOTHING, name: {**chosen, **own}}))
    flags = np.array([[happened(name)(channel) for channel in draw.intensity] for draw in made])
    assert within(int(flags.any(1).sum()), 500, 0.4 * (1 - 0.5**3))
    assert within(int(flags.all(1).sum()), 500, 0.4 * 0.5**3)
    others = [other for other in SPANS if other != name]
    assert not any(happened(other)(channel) for draw in made for channel in draw.intensity for other in others)
    if name != "bias_field":
        values = np.array([[getattr(channel, name) for channel in draw.intensity] for draw in made])[flags]
        assert stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > 1e-3
        assert len(np.unique(values)) == len(values)


def test_the_choice_of_no_augmentation_switches_everything_off() -> None:
    settings, _ = read_settings(compose(["augment=none"], None, "config"))
    for drawn_patch in draws(settings.augment, 30):
        assert np.array_equal(drawn_patch.matrix, np.eye(3))
        assert (drawn_patch.elastic, drawn_patch.blank) == (None, ())
        assert set(drawn_patch.intensity) == {Intensity()}


def test_inverted_gamma_has_a_probability_of_its_own() -> None:
    gamma = GammaSettings(probability=0.0, inverted_probability=0.5, low=1.1, high=1.2)
    made = draws(AugmentSettings.model_validate(NOTHING).model_copy(update={"gamma": gamma}))
    inverted = [all(1.1 <= channel.gamma_inverted <= 1.2 for channel in draw.intensity) for draw in made]
    assert within(sum(inverted), 500, 0.5)
    assert {channel.gamma for draw in made for channel in draw.intensity} == {1.0}


def test_one_strength_is_the_same_in_all_channels() -> None:
    noise = NoiseSettings(probability=1.0, low=0.0, high=0.5, one_strength=True)
    made = draws(AugmentSettings.model_validate(NOTHING).model_copy(update={"noise": noise}), 50)
    assert all(len({channel.noise for channel in draw.intensity}) == 1 for draw in made)
    assert len({draw.intensity[0].noise for draw in made}) == 50


def test_factors_are_below_and_above_one_equally_often() -> None:
    made = draws(AugmentSettings(brightness=BrightnessSettings(probability=1.0, low=0.9, high=2.0)), 400, 1)
    values = np.array([draw.intensity[0].brightness for draw in made])
    assert within(int((values < 1).sum()), 400, 0.5)
    for low, high, part in ((0.9, 1.0, values[values < 1]), (1.0, 2.0, values[values > 1])):
        assert stats.kstest(part, stats.uniform(low, high - low).cdf).pvalue > 1e-3
    above = BrightnessSettings(low=1.0, high=2.0)
    assert [above.strength(place) for place in (0.0, 0.25, 1.0)] == [1.0, 1.25, 2.0]


def test_the_logarithm_of_a_bias_field_goes_as_far_as_its_strength() -> None:
    augment = AugmentSettings.model_validate({"bias_field": {"probability": 1.0, "low": 0.2, "high": 0.4}})
    places = np.meshgrid(*[np.linspace(-1, 1, 25)] * 3, indexing="ij")
    found = []
    for draw in draws(augment, 50, 1):
        grid = np.zeros((4, 4, 4))
        grid[tuple(np.transpose(TERMS))] = draw.intensity[0].bias
        found.append(np.abs(legval3d(*places, grid)).max())
    assert all(0.2 - 1e-9 <= strength <= 0.42 for strength in found)
    assert min(found) < 0.25
    assert max(found) > 0.35


def test_switching_one_change_on_leaves_all_other_draws_alone() -> None:
    plain, more = (
        AugmentSettings(),
        AugmentSettings.model_validate(
            {"bias_field": {"probability": 1.0}, "elastic": {"probability": 1.0}, "rician": {"probability": 1.0}}
        ),
    )
    kept = ("noise", "blur", "brightness", "contrast", "low_resolution", "gamma_inverted", "gamma")
    for one, two in zip(draws(plain, 30), draws(more, 30), strict=True):
        assert (one.case, one.centre, one.matrix, one.number, one.blank) == (
            two.case, two.centre, two.matrix, two.number, two.blank)  # fmt: skip
        assert two.elastic is not None
        for a, b in zip(one.intensity, two.intensity, strict=True):
            assert [getattr(a, name) for name in kept] == [getattr(b, name) for name in kept]


def test_draws_come_back_from_json_exactly() -> None:
    wild = {name: {"probability": 0.7} for name in ("elastic", "bias_field", "rician", "noise", "rotation")}
    made = draws(AugmentSettings.model_validate({**wild, "channel_dropout": {"probability": 0.4}}), 30)
    assert drawn(json.loads(json.dumps(table_of(made)))) == tuple(made)
    assert any(draw.elastic for draw in made)
