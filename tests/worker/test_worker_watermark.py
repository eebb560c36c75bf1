"""Watermarks: seen everywhere on copies, never on the outputs themselves, in every format and in every frame."""

import io
from collections.abc import Callable
from itertools import product
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from rekindle_crds import Output, OutputName, RestoreParameters
from rekindle_worker.animation.stamp import Stamp
from rekindle_worker.cli import main
from rekindle_worker.photo import Photo, Stored, from_bytes, to_bytes
from rekindle_worker.watermark import watermarked

Load = Callable[[str], NDArray[np.uint8]]
CLEAN = (OutputName.RESULT, OutputName.PREVIEW, OutputName.THUMBNAIL)


def marked(pixels: Stored, text: str = "Rekindle", threads: int = 2) -> Stored:
    return watermarked(Photo(pixels, 8), text, threads=threads, report=lambda *_: None).pixels


def differs(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell which pixels an eye sees to be different."""
    return np.asarray(np.abs(one.astype(int) - other).max(axis=2) > 12, np.bool_)


@pytest.mark.parametrize("grey", [0, 128, 255], ids=["black", "grey", "white"])
@pytest.mark.parametrize("size", [(400, 600), (1600, 900)])
def test_every_part_worth_cutting_out_shows_it_on_light_and_on_dark(size: tuple[int, int], grey: int) -> None:
    plain = np.full((*size, 3), grey, np.uint8)
    seen = differs(to_bytes(marked(from_bytes(plain))), plain)
    assert 0.03 < seen.mean() < 0.35
    side = min(size) // 3
    for top, left in product(*(range(0, length - side, side // 2) for length in size)):
        assert seen[top : top + side, left : left + side].mean() > 0.01
    corner = seen[-min(size) // 10 :, -min(size) // 3 :]
    assert corner.mean() > seen.mean()


def test_it_leaves_the_picture_to_be_judged(photo: Load) -> None:
    pixels = photo("astronaut")
    seen = differs(to_bytes(marked(from_bytes(pixels))), pixels)
    assert 0.03 < seen.mean() < 0.35


def test_it_grows_with_the_picture() -> None:
    small, large = (to_bytes(marked(np.zeros((side, side, 3), np.uint16))) for side in (500, 2000))
    shrunk = np.asarray(cv2.resize(large, (500, 500), interpolation=cv2.INTER_AREA), np.uint8)
    nothing = np.zeros_like(small)
    assert differs(shrunk, nothing).mean() == pytest.approx(differs(small, nothing).mean(), abs=0.03)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 300, 1), (300, 1, 3), (7, 9, 3), (33, 2000, 1)])
@pytest.mark.parametrize("text", ["R", "A shop with a name of forty characters !"])
def test_photos_of_any_shape_and_texts_of_any_length_pass(shape: tuple[int, int, int], text: str) -> None:
    assert marked(np.full(shape, 30_000, np.uint16), text).shape == shape


def test_the_number_of_threads_changes_nothing(photo: Load) -> None:
    pixels = from_bytes(np.tile(photo("astronaut"), (3, 4, 1)))
    assert np.array_equal(marked(pixels, threads=1), marked(pixels, threads=4))


def test_a_long_text_is_set_smaller_so_that_it_is_whole() -> None:
    width = 900
    plain = np.zeros((600, width, 3), np.uint8)
    seen = differs(to_bytes(marked(from_bytes(plain), "A shop with a name of forty characters !")), plain)
    bold = np.flatnonzero(
        (to_bytes(marked(from_bytes(plain), "A shop with a name of forty characters !"))[-60:] > 150).any(0)
    )
    assert seen.any()
    assert bold.min() > width * 0.3


@pytest.mark.parametrize("value", [0, 1, 127, 254, 255])
def test_a_frame_gets_the_same_as_a_photo(value: int) -> None:
    frame = np.full((360, 640, 3), value, np.uint8)
    stamped = Stamp("Rekindle", 640, 360).on(frame)
    assert np.abs(stamped.astype(int) - to_bytes(marked(from_bytes(frame)))).max() <= 1


def read(body: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(body)) as image:
        assert not image.getexif()
        assert not {"exif", "xmp", "comment", "icc_profile"} & set(image.info)
        return np.asarray(image.convert("RGB"), np.uint8)


@pytest.mark.stack
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WebP"])
def test_the_outputs_are_the_same_to_the_bit_and_copies_are_made(workplace, old_photo: Path, image_format: str) -> None:
    workplace.put("in/photo", old_photo.read_bytes())
    _, plain = workplace.run(workplace.task(prefix="plain", format=image_format), "pod-1")
    code, pod = workplace.run(workplace.task(format=image_format, watermark="Rekindle"), "pod-2")
    assert code == 0, pod.errors
    before = {output.name: output for output in plain.message.result.outputs}
    outputs = {output.name: output for output in pod.message.result.outputs}
    assert set(before) == set(CLEAN)
    assert set(outputs) == {*CLEAN, OutputName.WATERMARKED_RESULT, OutputName.WATERMARKED_PREVIEW}
    assert {name: outputs[name].sha256 for name in CLEAN} == {name: before[name].sha256 for name in CLEAN}
    for clean, copy in (
        (OutputName.RESULT, OutputName.WATERMARKED_RESULT),
        (OutputName.PREVIEW, OutputName.WATERMARKED_PREVIEW),
    ):
        one, other = outputs[clean], outputs[copy]
        assert (one.width, one.height, one.media_type) == (other.width, other.height, other.media_type)
        seen = differs(read(workplace.get(one.key)), read(workplace.get(other.key)))
        assert seen.shape == (one.height, one.width)
        assert 0.03 < seen.mean() < 0.35
    [step] = [step for step in workplace.manifest().steps if step.name == "watermark"]
    assert step.parameters == {"text": "Rekindle"}
    assert pod.message.result.unfulfilled == []


@pytest.mark.stack
def test_sixteen_bits_stay_sixteen_bits(workplace, photo: Load) -> None:
    deep = from_bytes(photo("astronaut")[:256, :256]) + np.uint16(77)
    workplace.put("in/photo", cv2.imencode(".png", deep[..., ::-1])[1].tobytes())
    _, pod = workplace.run(workplace.task(format="PNG", watermark="Rekindle"))
    [output] = [each for each in pod.message.result.outputs if each.name == OutputName.WATERMARKED_RESULT]
    pixels = cv2.imdecode(np.frombuffer(workplace.get(output.key), np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    assert pixels.dtype == np.uint16
    assert len(np.unique(pixels % 257)) > 1


def form(output: Output) -> tuple[object, ...]:
    return output.width, output.height, output.media_type, output.duration_milliseconds


def frames(body: bytes) -> list[NDArray[np.uint8]]:
    with av.open(io.BytesIO(body), "r") as container:
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)]


@pytest.mark.stack
def test_every_frame_of_the_copy_shows_it_and_the_video_itself_stays_as_it_is(workplace, photo: Load) -> None:
    file = io.BytesIO()
    Image.fromarray(photo("astronaut")).save(file, "JPEG", quality=90)
    workplace.put("in/photo", file.getvalue())
    wanted = {"duration_seconds": 1, "resolution": "480p"}
    _, plain = workplace.run(workplace.animation(prefix="plain", **wanted), "pod-1")
    code, pod = workplace.run(workplace.animation(watermark="Rekindle", prompt="smile", **wanted), "pod-2")
    assert code == 0, pod.errors
    assert pod.message.result.unfulfilled == ["prompt"]
    before = {output.name: output for output in plain.message.result.outputs}
    outputs: dict[OutputName, Output] = {output.name: output for output in pod.message.result.outputs}
    copies = {
        OutputName.RESULT: OutputName.WATERMARKED_RESULT,
        OutputName.PREVIEW: OutputName.WATERMARKED_PREVIEW,
        OutputName.POSTER: OutputName.WATERMARKED_POSTER,
    }
    assert set(outputs) == {*copies, *copies.values()}
    for clean, copy in copies.items():
        assert form(outputs[clean]) == form(before[clean]) == form(outputs[copy])
    assert outputs[OutputName.POSTER].sha256 == before[OutputName.POSTER].sha256
    for clean in (OutputName.RESULT, OutputName.PREVIEW):
        shown, plainly, marked_ = (
            frames(workplace.get(output.key)) for output in (outputs[clean], before[clean], outputs[copies[clean]])
        )
        # The encoder does not always repeat itself to the bit.
        assert all(np.abs(one.astype(int) - other).mean() < 1 for one, other in zip(shown, plainly, strict=True))
        assert all(0.02 < differs(one, other).mean() < 0.5 for one, other in zip(shown, marked_, strict=True))
    posters = [read(workplace.get(outputs[name].key)) for name in (OutputName.POSTER, OutputName.WATERMARKED_POSTER)]
    assert differs(*posters).mean() > 0.03


def test_the_command_on_files_writes_the_marked_copy(old_photo: Path, tmp_path: Path) -> None:
    plain, copy = tmp_path / "plain.png", tmp_path / "copy.png"
    assert main(["restore", str(old_photo), str(plain), "--quiet"]) == 0
    assert main(["restore", str(old_photo), str(copy), "--watermark", "Rekindle", "--quiet"]) == 0
    assert 0.03 < differs(read(plain.read_bytes()), read(copy.read_bytes())).mean() < 0.35


def test_the_text_of_the_contract_fits_the_parameters() -> None:
    assert RestoreParameters(watermark="© Rekindle 2026").watermark == "© Rekindle 2026"
