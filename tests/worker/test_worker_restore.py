"""Whole restorations: quality rises on damaged photos, switches work, memory stays bounded; the command on files."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import structural_similarity

from rekindle_crds import ExitCode, RestoreParameters, StepRecord
from rekindle_dev.damage import RECIPES, Level, Recipe, damage
from rekindle_worker.cli import main
from rekindle_worker.photo import Photo, from_bytes, to_bytes
from rekindle_worker.pipeline import restore

Load = Callable[[str], NDArray[np.uint8]]
OFF = {"repair": 0, "denoise": 0, "tone": 0, "sharpen": 0}


def restored(photo: NDArray[np.uint8], **parameters: object) -> tuple[NDArray[np.uint8], dict[str, StepRecord]]:
    done = restore(
        Photo(from_bytes(photo), 8),
        RestoreParameters.model_validate(parameters),
        threads=2,
        report=lambda *_: None,
    )
    pixels = to_bytes(done.photo.pixels)
    colour = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
    return colour, {step.name: step for step in done.steps}


def psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(-10 * np.log10(np.mean(np.square(one.astype(float) - other)) / 255**2 + 1e-12))


def ssim(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(structural_similarity(one, other, channel_axis=-1))


@pytest.mark.parametrize("name", ["astronaut", "camera", "coffee", "rocket", "motorcycle_left"])
@pytest.mark.parametrize("level", [Level.MEDIUM, Level.HEAVY])
def test_quality_rises_on_a_damaged_photo(name: str, level: Level, photo: Load) -> None:
    clean = photo(name)
    damaged = damage(clean, level, 7).photo
    result, _ = restored(damaged)
    assert psnr(result, clean) > psnr(damaged, clean) + 1.0
    assert ssim(result, clean) > ssim(damaged, clean) + 0.02


@pytest.mark.parametrize("name", ["astronaut", "coffee", "rocket"])
def test_a_damaged_monochrome_print_comes_back_in_neutral_grey(name: str, photo: Load) -> None:
    clean = damage(photo(name), Recipe(monochrome=True), 0).photo
    damaged = damage(photo(name), replace(RECIPES[Level.MEDIUM], monochrome=True), 7).photo
    result, steps = restored(damaged)
    assert steps["grey"].applied
    assert np.array_equal(result[..., 0], result[..., 2])
    assert psnr(result, clean) > psnr(damaged, clean) + 2.0
    assert ssim(result, clean) > ssim(damaged, clean) + 0.05


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "rocket"])
def test_repair_alone_raises_quality_on_scratches(name: str, photo: Load) -> None:
    clean = photo(name)
    damaged = damage(clean, Recipe(scratches=14, dust=70, hairs=4), 7).photo
    result, _ = restored(damaged, **(OFF | {"repair": 100}))
    assert psnr(result, clean) > psnr(damaged, clean) + 2.0


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "motorcycle_left"])
def test_a_clean_photo_is_hardly_touched(name: str, photo: Load) -> None:
    clean = photo(name)
    result, steps = restored(clean)
    assert psnr(result, clean) > 37
    assert ssim(result, clean) > 0.97
    assert steps["repair"].applied is False


def test_with_everything_off_the_pixels_stay_as_they_are(photo: Load) -> None:
    damaged = damage(photo("astronaut"), Level.MEDIUM, 1).photo
    result, steps = restored(damaged, **OFF)
    assert np.array_equal(result, damaged)
    assert not any(step.applied for step in steps.values())


@pytest.mark.parametrize("off", ["repair", "denoise", "tone", "sharpen"])
def test_each_switch_turns_its_own_step_off(off: str, photo: Load) -> None:
    damaged = damage(photo("astronaut"), Level.MEDIUM, 1).photo
    _, steps = restored(damaged, **{off: 0})
    applied = {name for name, step in steps.items() if step.applied}
    assert {"repair", "denoise", "tone", "sharpen"} - applied == {off}


def test_the_same_photo_gives_the_same_result_on_any_number_of_threads(photo: Load) -> None:
    damaged = Photo(from_bytes(damage(np.tile(photo("astronaut"), (2, 3, 1)), Level.MEDIUM, 1).photo), 8)
    first, second = (
        restore(damaged, RestoreParameters(), threads=threads, report=lambda *_: None).photo.pixels
        for threads in (1, 4)
    )
    assert np.array_equal(first, second)


def test_grayscale_can_be_asked_for_and_colour_can_be_kept(photo: Load) -> None:
    result, _ = restored(photo("astronaut"), color_mode="Grayscale")
    assert np.array_equal(result[..., 0], result[..., 1])
    toned = damage(photo("camera"), Recipe(fade=0.4, cast=1), 1).photo
    kept, _ = restored(toned, color_mode="Color", tone=0)
    assert not np.array_equal(kept[..., 0], kept[..., 2])


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (7, 9), (33, 2000)])
def test_photos_of_any_shape_pass(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (*shape, 3), np.uint8)
    result, _ = restored(pixels)
    assert result.shape == pixels.shape


def test_the_result_can_be_scaled_down(photo: Load) -> None:
    large = np.asarray(cv2.resize(photo("astronaut"), (2000, 1000)), np.uint8)
    result, steps = restored(large, max_megapixels=1)
    assert result.shape[0] * result.shape[1] <= 1_000_000
    assert result.shape[1] == pytest.approx(2 * result.shape[0], abs=2)
    assert steps["scale"].applied


def test_a_large_scan_is_repaired_as_well_as_a_small_one(photo: Load) -> None:
    clean = np.asarray(cv2.resize(photo("astronaut"), (1800, 1800), interpolation=cv2.INTER_CUBIC), np.uint8)
    damaged = damage(clean, Recipe(scratches=14, dust=70, hairs=4), 7).photo
    result, _ = restored(damaged, **(OFF | {"repair": 100}))
    assert psnr(result, clean) > psnr(damaged, clean) + 2.0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_four_megapixels_stay_under_one_and_a_half_gibibytes(
    photo: Load, peak_memory: Callable[..., int], tmp_path: Path
) -> None:
    large = np.asarray(cv2.resize(photo("astronaut"), (6000, 4000), interpolation=cv2.INTER_CUBIC), np.uint8)
    Image.fromarray(damage(large, Level.MEDIUM, 1).photo).save(tmp_path / "in.jpg", quality=92)
    assert peak_memory("restore", "--quiet", tmp_path / "in.jpg", tmp_path / "out.jpg") < 1.5 * 2**30
    with Image.open(tmp_path / "out.jpg") as image:
        assert image.size == (6000, 4000)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_the_command_writes_the_format_of_the_suffix_without_metadata(
    suffix: str, old_photo: Path, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8825)[1] = "N"
    exif[0x010E] = "secret description"
    source, target = tmp_path / "in.jpg", tmp_path / f"out.{suffix}"
    with Image.open(old_photo) as image:
        image.save(source, exif=exif, comment=b"secret comment", xmp=b"<x:xmpmeta>secret place</x:xmpmeta>")
    assert b"secret" in source.read_bytes()
    assert main(["restore", str(source), str(target), "--quiet"]) == 0
    data = target.read_bytes()
    for trace in (b"secret", b"Exif", b"xmp", b"GPS", b"ICC_PROFILE", b"iCCP"):
        assert trace not in data
    with Image.open(target) as image:
        assert image.format == {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}[suffix]
        assert not image.getexif()


def test_a_sixteen_bit_photo_stays_so_in_a_png(tmp_path: Path, photo: Load) -> None:
    pixels = photo("astronaut")[:100, :100].astype(np.uint16) * 257 + 77
    cv2.imwrite(str(tmp_path / "in.png"), pixels[..., ::-1])
    assert main(["restore", str(tmp_path / "in.png"), str(tmp_path / "out.png"), "--quiet"]) == 0
    result = cv2.imread(str(tmp_path / "out.png"), cv2.IMREAD_UNCHANGED)
    assert result is not None
    assert result.dtype == np.uint16
    assert len(np.unique(result)) > 300


def test_the_report_tells_each_step(old_photo: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    arguments = ["restore", str(old_photo), str(tmp_path / "out.jpg"), "--quiet", "--report", str(report)]
    assert main([*arguments, "--denoise", "80", "--color-mode", "Color", "--prompt", "brighter"]) == 0
    told = json.loads(report.read_text())
    assert told["parameters"]["denoise"] == 80
    assert [step["name"] for step in told["steps"]] == [
        "grey",
        "find-damage",
        "repair",
        "denoise",
        "tone",
        "scale",
        "sharpen",
    ]
    assert told["warnings"][0].startswith("prompt")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["none.jpg", "out.jpg"], ExitCode.SOURCE_NOT_FOUND, "is not a file"),
        (["text.jpg", "out.jpg"], ExitCode.UNREADABLE_IMAGE, "not a JPEG"),
        (["old.jpg", "out.gif"], ExitCode.INVALID_TASK, "--format"),
        (["old.jpg", "out.jpg", "--denoise", "900"], ExitCode.INVALID_TASK, "--denoise"),
        (["old.jpg", "none/out.jpg"], ExitCode.OUTPUT_FORBIDDEN, "does not exist"),
        (["old.jpg", "out.jpg", "--limit-megapixels", "0"], ExitCode.IMAGE_TOO_LARGE, "megapixels"),
    ],
)
def test_the_command_says_what_is_wrong_and_writes_nothing(
    arguments: list[str],
    code: ExitCode,
    words: str,
    old_photo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.jpg").write_bytes(old_photo.read_bytes())
    (tmp_path / "text.jpg").write_text("no image")
    before = sorted(tmp_path.iterdir())
    assert main(["restore", *arguments]) == code
    assert words in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


def test_the_command_tells_its_version_and_every_parameter(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out.startswith("rekindle-worker ")
    with pytest.raises(SystemExit, match="0"):
        main(["restore", "--help"])
    told = capsys.readouterr().out
    for name in RestoreParameters.model_fields:
        assert "--" + name.replace("_", "-") in told
