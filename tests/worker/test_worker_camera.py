"""Where the subject of a photo is, and the path of the camera to it: pure functions, no video."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from rekindle_dev.damage import Level, damage
from rekindle_worker.animation.faces import Box
from rekindle_worker.animation.frames import camera_for
from rekindle_worker.animation.geometry import share_of_photo, video_size
from rekindle_worker.animation.path import CameraPath, ease, plan_path, zoom_for
from rekindle_worker.animation.subject import ANALYSED_PIXELS, Subject, find_subject
from rekindle_worker.bench import shrunk
from rekindle_worker.photo import Photo, from_bytes

_FACE = Box(170 / 512, 60 / 512, 280 / 512, 180 / 512)
"""The face in the photo of the astronaut."""
_TIMES = [index / 359 for index in range(360)]


def _subject(pixels: np.ndarray) -> Subject:
    return find_subject(shrunk(from_bytes(np.ascontiguousarray(pixels)), ANALYSED_PIXELS))


def _inside(outer: Box, inner: Box) -> bool:
    hair = 1e-9
    return (
        outer.left <= inner.left + hair
        and outer.top <= inner.top + hair
        and outer.right >= inner.right - hair
        and outer.bottom >= inner.bottom - hair
    )


def _box(place: tuple[float, float], size: tuple[float, float]) -> Box:
    left, top = place[0] * (1 - size[0]), place[1] * (1 - size[1])
    return Box(left, top, left + size[0], top + size[1])


shares = st.floats(0.0, 1.0)
lengths = st.floats(0.02, 0.5)
boxes = st.builds(_box, st.tuples(shares, shares), st.tuples(lengths, lengths))
subjects = st.builds(Subject, shares, shares, st.lists(boxes, max_size=4).map(tuple))


@given(subjects, st.floats(1.0, 30.0))
def test_the_picture_always_lies_in_the_photo_and_every_face_in_the_picture(subject: Subject, seconds: float) -> None:
    path = plan_path(subject, (1.0, 1.0), zoom_for(seconds))
    for time in np.linspace(0, 1, 31):
        seen = path.at(float(time))
        assert _inside(Box(0, 0, 1, 1), seen)
        assert all(_inside(seen, face) for face in subject.faces)


@given(subjects, st.floats(1.0, 30.0), st.floats(0.2, 1.0))
def test_the_camera_only_ever_goes_nearer(subject: Subject, seconds: float, across: float) -> None:
    path = plan_path(Subject(subject.x, subject.y), (across, 1.0), zoom_for(seconds))
    widths = [path.at(time).right - path.at(time).left for time in _TIMES]
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(widths))
    assert path.zoom > 1


def test_the_camera_starts_and_stops_without_a_jolt_and_is_even_between() -> None:
    places = np.array([ease(time) for time in _TIMES])
    speeds = np.diff(places) * 359
    changes = np.diff(speeds) * 359
    assert (places[0], places[-1]) == (0, 1)
    assert speeds[0] < 0.01
    assert speeds[-1] < 0.01
    # From rest to full speed in a quarter of the time can't take less than 4/0.75; a smoothstep peaks at 1.5 of it.
    assert np.abs(changes).max() < 1.55 * 4 / 0.75
    assert np.ptp(speeds[100:260]) < 1e-9


def test_things_seem_to_move_at_an_even_speed() -> None:
    path = CameraPath(Box(0, 0, 1, 1), Box(0.3, 0.1, 0.9, 0.7))
    widths = np.array([path.at(time).right - path.at(time).left for time in np.linspace(0.3, 0.7, 50)])
    growth = np.diff(np.log(widths))
    assert np.ptp(growth) < 1e-9
    lefts = np.array([path.at(time).left for time in np.linspace(0.3, 0.7, 50)])
    # One point of the photo stays where it is in the picture.
    fixed = lefts + (lefts[-1] - lefts[0]) / (widths[0] - widths[-1]) * widths
    assert np.ptp(fixed) < 1e-9


@pytest.mark.parametrize(
    ("photo", "shorter_side", "zoom", "expected"),
    [
        ((3000, 2000), 720, 1.35, (1080, 720)),
        ((2000, 3000), 720, 1.35, (720, 1080)),
        ((1200, 900), 1080, 1.5, (800, 600)),
        ((512, 512), 720, 1.35, (480, 480)),
        ((301, 201), 720, 1.35, (300, 200)),
        ((20_000, 1000), 480, 1.2, (3840, 192)),
        ((1, 1), 480, 1.2, (16, 16)),
    ],
)
def test_a_video_is_even_and_never_larger_than_its_photo_allows(photo, shorter_side, zoom, expected) -> None:
    assert video_size(photo[0], photo[1], shorter_side, zoom) == expected


@given(st.integers(1, 20_000), st.integers(1, 20_000))
def test_the_first_picture_has_the_proportions_of_the_video(width: int, height: int) -> None:
    size = video_size(width, height, 720, 1.35)
    across, down = share_of_photo(size, width, height)
    assert max(across, down) == 1
    assert min(across, down) > 0
    assert across * width / (down * height) == pytest.approx(size[0] / size[1])


@pytest.mark.parametrize("level", [None, Level.LIGHT, Level.MEDIUM, Level.HEAVY])
@pytest.mark.parametrize("grey", [False, True], ids=["colour", "grey"])
def test_a_face_is_found_on_a_damaged_print_and_kept_whole(photo, level: Level | None, grey: bool) -> None:
    pixels = photo("astronaut") if level is None else damage(photo("astronaut"), level, 2).photo
    if grey:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., np.newaxis]
    subject = _subject(pixels)
    assert len(subject.faces) == 1
    assert _inside(_FACE, Box(subject.x, subject.y, subject.x, subject.y))
    # Hair and chin too.
    whole_head = Box(150 / 512, 15 / 512, 305 / 512, 190 / 512)
    assert _inside(plan_path(subject, (1.0, 1.0), zoom_for(30)).end, whole_head)


@pytest.mark.parametrize("name", ["chelsea", "coffee", "rocket", "coins", "brick", "gravel", "grass", "page"])
def test_no_face_is_seen_where_there_is_none(photo, name: str) -> None:
    assert _subject(photo(name)).faces == ()


@pytest.mark.parametrize(("x", "y"), [(0.3, 0.3), (0.7, 0.35), (0.3, 0.65), (0.65, 0.7)])
def test_a_thing_on_a_plain_ground_is_the_subject(x: float, y: float) -> None:
    random = np.random.default_rng(3)
    pixels = np.full((400, 600, 3), 150, np.uint8)
    cv2.circle(pixels, (round(600 * x), round(400 * y)), 40, (60, 40, 30), -1)
    grain = np.clip(pixels + random.normal(0, 12, pixels.shape), 0, 255).astype(np.uint8)
    for seen in (pixels, grain):
        subject = _subject(seen)
        assert subject.x == pytest.approx(x, abs=0.08)
        assert subject.y == pytest.approx(y, abs=0.1)


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 900, 3), (900, 2, 1), (64, 64, 1), (700, 500, 3)])
def test_a_photo_without_content_is_looked_at_in_its_middle(shape: tuple[int, int, int]) -> None:
    subject = _subject(np.full(shape, 128, np.uint8))
    assert subject.faces == ()
    assert 0.25 <= subject.x <= 0.75
    assert 0.25 <= subject.y <= 0.75


def test_a_thing_moves_by_fractions_of_a_pixel_as_the_path_says() -> None:
    pixels = np.zeros((600, 800, 1), np.float32)
    rows, columns = np.mgrid[0:600, 0:800] + 0.5
    pixels[..., 0] = 255 * np.exp(-((rows - 250) ** 2 + (columns - 430) ** 2) / (2 * 9**2))
    path = plan_path(Subject(0.55, 0.4), (1.0, 1.0), 1.3)
    camera = camera_for(Photo(from_bytes(np.rint(pixels).astype(np.uint8)), 8), path, (560, 420))
    for time in np.linspace(0, 1, 40):
        picture = camera.picture(float(time))[..., 0].astype(np.float64)
        down, across = np.mgrid[0:420, 0:560] + 0.5
        part = path.at(float(time))
        expected_x = (430 / 800 - part.left) / (part.right - part.left) * 560
        expected_y = (250 / 600 - part.top) / (part.bottom - part.top) * 420
        assert (picture * across).sum() / picture.sum() == pytest.approx(expected_x, abs=0.03)
        assert (picture * down).sum() / picture.sum() == pytest.approx(expected_y, abs=0.03)


def test_the_camera_works_on_a_copy_no_larger_than_its_pictures_need() -> None:
    path = plan_path(Subject(0.5, 0.5), (1.0, 1.0), 1.3)
    photo = Photo(np.zeros((3000, 4000, 3), np.uint16), 8)
    copy: Image.Image = camera_for(photo, path, (640, 480)).copy
    assert copy.width < 640 * 1.7
