"""The steps one by one: shapes and ranges, off switches, and no harm to clean photos."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rekindle_crds.restore import Inpainting
from rekindle_dev.damage import Level, Recipe, damage
from rekindle_worker.photo import Pixels, from_bytes, to_bytes, to_float, to_stored
from rekindle_worker.steps import dct
from rekindle_worker.steps.analysis import analyse
from rekindle_worker.steps.defects import find_damage
from rekindle_worker.steps.denoise import measure_noise, remove_noise
from rekindle_worker.steps.inpaint import choose_method, fill
from rekindle_worker.steps.sharpen import measure_softness, sharpen
from rekindle_worker.steps.tone import measure_tone, recover_tone
from rekindle_worker.tiles import run_tiles, tile_grid

Photo = Callable[[str], NDArray[np.uint8]]
COLOUR = ["astronaut", "chelsea", "coffee", "rocket", "motorcycle_left"]


def pixels_of(photo: NDArray[np.uint8]) -> Pixels:
    return photo.astype(np.float32) / np.float32(255)


def psnr(one: Pixels, other: Pixels) -> float:
    return float(-10 * np.log10(np.mean(np.square(one - other)) + 1e-12))


STEPS: dict[str, Callable[[Pixels, float], Pixels]] = {
    "denoise": lambda pixels, strength: remove_noise(pixels, measure_noise([pixels]), strength),
    "tone": lambda pixels, strength: recover_tone(pixels, measure_tone(pixels, None), strength),
    "sharpen": sharpen,
}


@pytest.mark.parametrize("name", STEPS)
@given(
    height=st.integers(24, 70),
    width=st.integers(24, 70),
    channels=st.sampled_from([1, 3]),
    strength=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
@settings(max_examples=25)
def test_a_step_keeps_shape_range_and_its_argument(
    name: str, height: int, width: int, channels: int, strength: float, seed: int
) -> None:
    pixels = np.random.default_rng(seed).random((height, width, channels), np.float32)
    before = pixels.copy()
    done = STEPS[name](pixels, strength)
    assert done.shape == pixels.shape
    assert done.dtype == np.float32
    assert np.isfinite(done).all()
    assert done.min() >= 0
    assert done.max() <= 1 + 1e-6
    assert np.array_equal(pixels, before)


@pytest.mark.parametrize("name", STEPS)
def test_strength_zero_changes_nothing(name: str, photo: Photo) -> None:
    pixels = pixels_of(damage(photo("astronaut"), Level.MEDIUM, 1).photo)
    assert np.array_equal(STEPS[name](pixels, 0.0), pixels)


@pytest.mark.parametrize("name", COLOUR)
@pytest.mark.parametrize(("step", "strength", "least"), [("denoise", 0.5, 40), ("tone", 0.9, 38)])
def test_a_clean_photo_hardly_changes(name: str, step: str, strength: float, least: float, photo: Photo) -> None:
    pixels = pixels_of(photo(name))
    assert psnr(STEPS[step](pixels, strength), pixels) > least


@pytest.mark.parametrize("name", [*COLOUR, "coins", "grass", "page"])
def test_few_pixels_of_a_clean_photo_are_taken_for_damage(name: str, photo: Photo) -> None:
    assert find_damage(pixels_of(photo(name))).mean() < 0.02


def test_plain_scratches_and_dust_are_found(photo: Photo) -> None:
    hit, marked, true = 0, 0, 0
    for seed, name in enumerate(["astronaut", "chelsea", "motorcycle_left"]):
        damaged = damage(photo(name), Recipe(scratches=12, dust=30, noise=3, blur=0.4), seed)
        found = find_damage(pixels_of(damaged.photo), threads=2)
        near = cv2.dilate(damaged.mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        marked += int(found.sum())
        true += int((found & near).sum())
        hit += int((damaged.mask & found).sum()) * 1000 // int(damaged.mask.sum())
    assert true / marked > 0.6
    assert hit / 3000 > 0.4


def test_threads_do_not_change_what_is_found(photo: Photo) -> None:
    pixels = pixels_of(damage(photo("chelsea"), Level.MEDIUM, 1).photo)
    assert np.array_equal(find_damage(pixels, threads=1), find_damage(pixels, threads=3))


@pytest.mark.parametrize("sigma", [5, 10, 20])
def test_noise_is_measured_well(sigma: int, photo: Photo) -> None:
    measured = [
        measure_noise([pixels_of(damage(photo(name), Recipe(noise=sigma), 1).photo)]).sigma * 255 for name in COLOUR
    ]
    # Half of the grain is common to all channels, so the brightness carries sqrt((1 + 1/3) / 2) of it.
    assert np.median(measured) == pytest.approx(sigma * np.sqrt(2 / 3), rel=0.35)


@pytest.mark.parametrize("name", COLOUR)
@pytest.mark.parametrize("recipe", [Recipe(noise=8), Recipe(noise=16), Recipe(noise=10, jpeg=80)])
def test_denoising_brings_a_noisy_photo_closer_to_the_clean_one(name: str, recipe: Recipe, photo: Photo) -> None:
    clean = pixels_of(photo(name))
    noisy = pixels_of(damage(photo(name), recipe, 2).photo)
    assert psnr(STEPS["denoise"](noisy, 0.5), clean) > psnr(noisy, clean) + 1.0


@pytest.mark.parametrize("name", ["astronaut", "camera", "coffee", "motorcycle_left"])
def test_tone_recovery_brings_a_faded_photo_closer_to_the_clean_one(name: str, photo: Photo) -> None:
    clean = pixels_of(photo(name))
    faded = pixels_of(damage(photo(name), Recipe(fade=0.5, cast=0.7), 1).photo)
    assert psnr(STEPS["tone"](faded, 0.9), clean) > psnr(faded, clean) + 2.5


@pytest.mark.parametrize("name", COLOUR)
@pytest.mark.parametrize("level", list(Level))
def test_a_toned_print_is_told_from_a_colour_photo(name: str, level: Level, photo: Photo) -> None:
    colour = damage(photo(name), level, 3).photo
    grey = np.asarray(cv2.cvtColor(cv2.cvtColor(photo(name), cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)
    assert not analyse(pixels_of(colour)).monochrome
    assert analyse(pixels_of(damage(grey, level, 3).photo)).monochrome


@pytest.mark.parametrize("method", [Inpainting.BIHARMONIC, Inpainting.TELEA])
@pytest.mark.parametrize("channels", [1, 3])
def test_filling_changes_only_the_mask_and_comes_near_the_truth(
    method: Inpainting, channels: int, photo: Photo
) -> None:
    clean = pixels_of(photo("chelsea"))[..., :channels]
    damaged = damage(photo("chelsea"), Recipe(scratches=10), 1)
    broken = pixels_of(damaged.photo)[..., :channels]
    filled = fill(broken, damaged.mask, method)
    assert np.array_equal(filled[~damaged.mask], broken[~damaged.mask])
    assert psnr(filled, clean) > psnr(broken, clean) + 5


def test_filling_nothing_or_everything_changes_nothing() -> None:
    pixels = np.random.default_rng(1).random((20, 30, 3), np.float32)
    for value in (False, True):
        assert np.array_equal(fill(pixels, np.full((20, 30), value), Inpainting.TELEA), pixels)


def test_the_method_follows_the_wish_or_the_damage() -> None:
    thin, thick = np.zeros((100, 100), bool), np.zeros((100, 100), bool)
    thin[50], thick[:40] = True, True
    assert choose_method(thin, Inpainting.AUTO) is Inpainting.BIHARMONIC
    assert choose_method(thick, Inpainting.AUTO) is Inpainting.TELEA
    assert choose_method(thick, Inpainting.BIHARMONIC) is Inpainting.BIHARMONIC


def test_a_blurred_photo_is_softer_than_a_sharp_one(photo: Photo) -> None:
    sharp = pixels_of(photo("astronaut"))
    blurred = np.asarray(cv2.GaussianBlur(sharp, (0, 0), 1.2), np.float32)
    assert measure_softness(blurred) > measure_softness(sharp)
    assert psnr(sharpen(blurred, 0.5), sharp) > psnr(blurred, sharp)


def test_sharpening_an_edge_leaves_no_halo() -> None:
    edge = np.full((40, 40, 1), 0.25, np.float32)
    edge[:, 20:] = 0.75
    soft = np.asarray(cv2.GaussianBlur(edge, (0, 0), 1.5), np.float32)[..., np.newaxis]
    done = sharpen(soft, 1.0)
    assert done.min() > 0.22
    assert done.max() < 0.78


@given(st.integers(1, 40), st.integers(1, 40))
def test_blocks_survive_the_transform(down: int, across: int) -> None:
    plane = np.random.default_rng(down * across).random((down * 8 + 3, across * 8 + 5), np.float32)
    rows, high, wide = dct.cut(plane, 0, 0)
    again = dct.joined(dct.inverse(dct.forward(rows)), high, wide)
    assert np.allclose(again, plane[: high * 8, : wide * 8], atol=1e-5)


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(64, 1000), st.integers(0, 40))
def test_tiles_part_every_photo_without_gap_or_overlap(height: int, width: int, size: int, overlap: int) -> None:
    covered = np.zeros((height, width), np.uint8)
    for tile in tile_grid(height, width, size=size, overlap=overlap):
        covered[tile.inner] += 1
        seen = np.zeros((height, width), bool)[tile.outer]
        assert seen[tile.crop].shape == covered[tile.inner].shape
    assert covered.min() == covered.max() == 1


def test_an_error_in_a_tile_ends_the_work() -> None:
    tiles = tile_grid(1000, 1000, size=100, overlap=0)

    def fail(_: object) -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        run_tiles(tiles, fail, threads=2, on_progress=lambda _: None)


def test_eight_bits_survive_storage() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    assert np.array_equal(to_bytes(from_bytes(values)), values)
    assert np.array_equal(to_bytes(to_stored(to_float(from_bytes(values)))), values)
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    assert np.array_equal(to_stored(to_float(every)), every)
    assert np.array_equal(to_bytes(every), np.rint(every / 257).astype(np.uint8))
