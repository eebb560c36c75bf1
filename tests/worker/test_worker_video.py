"""The video itself, decoded again: `rekindle-worker animate` on local files."""

import json
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from rekindle_crds import ExitCode
from rekindle_worker.cli import main


@dataclass
class Decoded:
    """A video as a player sees it."""

    frames: list[NDArray[np.uint8]]
    rate: float
    seconds: float
    codec: str
    pixel_format: str
    colour: tuple[int, ...]
    """Range, matrix, transfer, primaries."""


def _decode(path: Path) -> Decoded:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        frames = [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(stream)]
        assert stream.average_rate is not None
        assert stream.duration is not None
        assert stream.time_base is not None
        colour = (context.color_range, context.colorspace, context.color_trc, context.color_primaries)
        return Decoded(
            frames=frames,
            rate=float(stream.average_rate),
            seconds=float(stream.duration * stream.time_base),
            codec=f"{context.name} {context.profile}",
            pixel_format=str(context.pix_fmt),
            colour=tuple(int(value) for value in colour),
        )


def _psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(cv2.PSNR(one, other))


def _part(pixels: NDArray[np.uint8], box: Sequence[float], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Cut a part out of a photo by another way than the worker's."""
    height, width = pixels.shape[:2]
    large = cv2.resize(pixels, (width * 4, height * 4), interpolation=cv2.INTER_LANCZOS4)
    left, top, right, bottom = (
        round(share * 4 * length) for share, length in zip(box, (width, height) * 2, strict=True)
    )
    return cv2.resize(large[top:bottom, left:right], size, interpolation=cv2.INTER_AREA).astype(np.uint8)


@pytest.fixture(scope="module")
def animated(photo: Callable[[str], NDArray[np.uint8]], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The astronaut for two seconds in 480p, and the report of it."""
    folder = tmp_path_factory.mktemp("animated")
    pixels = cv2.resize(photo("astronaut"), (900, 900), interpolation=cv2.INTER_CUBIC)
    Image.fromarray(pixels.astype(np.uint8)).save(folder / "in.png")
    video, report = folder / "out.mp4", folder / "report.json"
    given = ["--duration", "2", "--resolution", "480p", "--quiet", "--report", str(report)]
    assert main(["animate", str(folder / "in.png"), str(video), *given]) == ExitCode.DONE
    return video, report


def test_a_video_plays_everywhere(animated: tuple[Path, Path]) -> None:
    decoded = _decode(animated[0])
    assert decoded.codec == "h264 High"
    assert decoded.pixel_format == "yuv420p"
    assert decoded.colour == (1, 1, 1, 1)  # limited range, BT.709 throughout
    assert (decoded.rate, decoded.seconds, len(decoded.frames)) == (30, 2, 60)
    assert {frame.shape for frame in decoded.frames} == {(480, 480, 3)}


def test_the_index_of_a_video_comes_before_its_pictures(animated: tuple[Path, Path]) -> None:
    data, at, names = animated[0].read_bytes(), 0, []
    while at < len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        names.append(name)
        at += length
    assert names.index(b"moov") < names.index(b"mdat")


def test_a_video_begins_with_the_whole_photo_and_ends_at_its_subject(animated: tuple[Path, Path]) -> None:
    decoded = _decode(animated[0])
    with Image.open(animated[0].parent / "in.png") as image:
        pixels = np.asarray(image, np.uint8)
    shot = json.loads(animated[1].read_text())["steps"][1]["parameters"]
    end = [shot[f"end{edge}"] for edge in ("Left", "Top", "Right", "Bottom")]
    assert _psnr(decoded.frames[0], _part(pixels, (0, 0, 1, 1), (480, 480))) > 34
    assert _psnr(decoded.frames[-1], _part(pixels, end, (480, 480))) > 34
    assert _psnr(decoded.frames[-1], _part(pixels, (0, 0, 1, 1), (480, 480))) < 25


def test_colours_survive_the_video(tmp_path: Path) -> None:
    colours = [(200, 40, 40), (40, 180, 60), (50, 60, 190), (128, 128, 128), (250, 250, 250), (8, 8, 8)]
    pixels = np.zeros((240, 480, 3), np.uint8)
    for index, colour in enumerate(colours):
        pixels[:, index * 80 : (index + 1) * 80] = colour
    Image.fromarray(pixels).save(tmp_path / "in.png")
    assert main(["animate", str(tmp_path / "in.png"), str(tmp_path / "out.mp4"), "--duration", "1", "--quiet"]) == 0
    first = _decode(tmp_path / "out.mp4").frames[0]
    width = first.shape[1] / len(colours)
    for index, colour in enumerate(colours):
        seen = first[first.shape[0] // 2, int((index + 0.5) * width)].astype(int)
        assert np.abs(seen - colour).max() <= 4


def test_the_same_photo_gives_the_same_video_on_any_number_of_threads(animated: tuple[Path, Path]) -> None:
    again = animated[0].with_name("again.mp4")
    given = ["--duration", "2", "--resolution", "480p", "--quiet", "--threads", "1"]
    assert main(["animate", str(animated[0].with_name("in.png")), str(again), *given]) == 0
    assert again.read_bytes() == animated[0].read_bytes()


@pytest.mark.parametrize(
    ("size", "mode", "expected"),
    [
        ((1, 1), "RGB", (16, 16)),
        ((33, 47), "L", (32, 46)),
        ((3000, 20), "RGB", (3000, 20)),
        ((700, 500), "CMYK", (672, 480)),
    ],
)
def test_odd_photos_become_videos_too(tmp_path: Path, size, mode: str, expected: tuple[int, int]) -> None:
    Image.new(mode, size, 90 if mode == "L" else (90,) * len(mode)).save(tmp_path / "in.tif")
    target = tmp_path / "out.mp4"
    assert main(["animate", str(tmp_path / "in.tif"), str(target), "--duration", "1", "--quiet"]) == ExitCode.DONE
    decoded = _decode(target)
    assert (decoded.frames[0].shape[1], decoded.frames[0].shape[0], len(decoded.frames)) == (*expected, 30)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_photo_is_upright_even_when_it_is_decoded_smaller(photo, tmp_path: Path, orientation: int) -> None:
    upright = cv2.resize(photo("astronaut"), (2600, 2000), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    turns = {1: 0, 3: 2, 6: 1, 8: 3}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.rot90(upright, turns)).save(tmp_path / "in.jpg", exif=exif, quality=90)
    report, target = tmp_path / "report.json", tmp_path / "out.mp4"
    given = ["--duration", "1", "--resolution", "480p", "--quiet", "--report", str(report)]
    assert main(["animate", str(tmp_path / "in.jpg"), str(target), *given]) == 0
    assert json.loads(report.read_text())["source"] == {"width": 2600, "height": 2000}
    first = _decode(target).frames[0]
    assert first.shape == (480, 624, 3)
    assert _psnr(first, cv2.resize(upright, (624, 480), interpolation=cv2.INTER_AREA).astype(np.uint8)) > 32


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["in.png", "out.avi"], ExitCode.INVALID_TASK, "name an .mp4 file"),
        (["in.png", "out.mp4", "--duration", "31"], ExitCode.INVALID_TASK, "--duration: .*30"),
        (["none.png", "out.mp4"], ExitCode.SOURCE_NOT_FOUND, "none.png is not a file"),
        (["in.png", "none/out.mp4"], ExitCode.OUTPUT_FORBIDDEN, "the folder .*none does not exist"),
        (["no.png", "out.mp4"], ExitCode.UNREADABLE_IMAGE, "is not a JPEG"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(tmp_path: Path, capsys, monkeypatch, arguments, code, words) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("L", (64, 64)).save("in.png")
    Path("no.png").write_text("no image")
    assert main(["animate", *arguments, "--quiet"]) == code
    assert re.search(words, capsys.readouterr().err)
    assert not Path("out.mp4").exists()


def test_a_style_that_the_engine_has_not_is_refused(tmp_path: Path, capsys, monkeypatch) -> None:
    Image.new("L", (64, 64)).save(tmp_path / "in.png")
    monkeypatch.setattr("rekindle_worker.animation.work.STYLES", {"Parallax": None})
    code = main(["animate", str(tmp_path / "in.png"), str(tmp_path / "out.mp4"), "--quiet"])
    assert code == ExitCode.INVALID_TASK
    assert "can't do the style KenBurns; it offers Parallax" in capsys.readouterr().err


@pytest.mark.slow
def test_twenty_four_megapixels_are_animated_in_three_quarters_of_a_gibibyte(
    photo, peak_memory: Callable[..., int], tmp_path: Path
) -> None:
    large = cv2.resize(photo("astronaut"), (6000, 4000), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    Image.fromarray(large).save(tmp_path / "in.png", compress_level=1)
    given = ("--quiet", "--duration", "2", "--resolution", "1080p")
    assert peak_memory("animate", tmp_path / "in.png", tmp_path / "out.mp4", *given) < 0.75 * 2**30
    assert _decode(tmp_path / "out.mp4").frames[0].shape == (1080, 1620, 3)


def test_an_interrupted_command_leaves_no_file(tmp_path: Path) -> None:
    Image.effect_noise((1600, 1200), 60).save(tmp_path / "in.png")
    target = tmp_path / "out.mp4"
    command = [sys.executable, "-m", "rekindle_worker", "animate", str(tmp_path / "in.png"), str(target)]
    with subprocess.Popen([*command, "--duration", "30"], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        seen = ""
        while "animate" not in seen:
            seen += process.stderr.read(1)
        process.send_signal(signal.SIGINT)
        process.stderr.read()
        assert process.wait(60) == ExitCode.TERMINATED
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]
