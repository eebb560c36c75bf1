"""The operation Animate as a whole: find the subject, let the style make a film of it, write what is to be stored."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rekindle_crds import AnimationParameters, ExitCode, OutputName, StepRecord
from rekindle_crds.animation import Style
from rekindle_worker.animation.film import Film
from rekindle_worker.animation.kenburns import enough_pixels, ken_burns
from rekindle_worker.animation.shoot import FRAME_RATE, Cut, Reels, preview_size, shoot
from rekindle_worker.animation.subject import ANALYSED_PIXELS, Subject, find_subject
from rekindle_worker.bench import shrunk
from rekindle_worker.failure import WorkFailed
from rekindle_worker.imaging.encode import EncodedFile, describe
from rekindle_worker.photo import Photo
from rekindle_worker.progress import Report
from rekindle_worker.wishes import NO_PROMPT, words_for
from rekindle_worker.work import Made, Room

STYLES: Mapping[Style, Callable[[Photo, Subject, AnimationParameters], Film]] = {Style.KEN_BURNS: ken_burns}
"""Every style that this engine offers."""
_NAMES = (OutputName.RESULT, OutputName.PREVIEW, OutputName.POSTER)
_WATERMARKED_NAMES = (
    OutputName.WATERMARKED_RESULT,
    OutputName.WATERMARKED_PREVIEW,
    OutputName.WATERMARKED_POSTER,
)
STAGES: Mapping[str, float] = {"analyse": 10.0, "animate": 74.0, "encode": 2.0}
"""Every stage with its usual share of the time."""


@dataclass(frozen=True, slots=True)
class Animated:
    """A film that has been shot, and how."""

    film: Film
    steps: tuple[StepRecord, ...]
    warnings: tuple[str, ...]
    unfulfilled: tuple[str, ...]


def animate(
    photo: Photo, parameters: AnimationParameters, cuts: Sequence[Cut], *, threads: int, report: Report
) -> Animated:
    """Animate a photo. The same photo and parameters give the same video on every machine of one kind.

    Args:
        photo: The photo; `enough_pixels` says how much of it is of use.
        parameters: Style, length and size.
        cuts: The versions of the video to write.
        threads: How many pictures are made at once; it does not change the result.
        report: Called with the stages analyse and animate; what it raises ends the work.

    Raises:
        WorkFailed: `InvalidTask` for a style that this engine does not offer.
    """
    _check_style(parameters.style)
    report("analyse", 0.0)
    started = time.monotonic()
    subject = find_subject(shrunk(photo.pixels, ANALYSED_PIXELS))
    found = StepRecord(
        name="analyse",
        applied=True,
        parameters={"faces": len(subject.faces), "x": round(subject.x, 4), "y": round(subject.y, 4)},
        milliseconds=_milliseconds_since(started),
    )
    report("animate", 0.0)
    started = time.monotonic()
    film = STYLES[parameters.style](photo, subject, parameters)
    frames = shoot(film, parameters.duration_seconds, cuts, threads=threads, report=report)
    shot = StepRecord(
        name="animate",
        applied=True,
        parameters={"style": parameters.style.value, "frames": frames, "frameRate": FRAME_RATE, **film.facts}
        | ({} if parameters.watermark is None else {"watermark": parameters.watermark}),
        milliseconds=_milliseconds_since(started),
    )
    unmet = {} if parameters.prompt is None else {"prompt": NO_PROMPT}
    return Animated(film, (found, shot), photo.warnings + film.warnings + words_for(unmet), tuple(unmet))


class Animation:
    """Animates a photo as its parameters say.

    Raises:
        WorkFailed: `InvalidTask` for a style that this engine does not offer.
    """

    stages = STAGES

    def __init__(self, parameters: AnimationParameters | None) -> None:
        self._parameters = parameters or AnimationParameters()
        # Before anything is fetched.
        _check_style(self._parameters.style)

    @property
    def enough(self) -> tuple[int, int] | None:
        """Lengths of the photo's shorter and longer side beyond which more pixels would not be seen."""
        return enough_pixels(self._parameters)

    def __call__(self, photo: Photo, room: Room) -> Made:
        """Animate a photo and write the outputs."""
        wanted = self._parameters
        cuts = [_cut(room.folder)]
        if wanted.watermark is not None:
            cuts.append(_cut(room.folder, wanted.watermark))
        animated = animate(photo, wanted, cuts, threads=room.threads, report=room.report)
        room.report("encode", 0.0)
        files = [file for cut in cuts for file in _files(cut, animated.film, wanted.duration_seconds * 1000)]
        return Made(tuple(files), animated.steps, animated.warnings, animated.unfulfilled)


def _cut(folder: Path, watermark: str | None = None) -> Cut:
    initial = "" if watermark is None else "watermarked-"
    result, preview, poster = (folder / f"{initial}{name}" for name in ("result.mp4", "preview.mp4", "poster.jpg"))
    return Cut(Reels(result, preview, poster), watermark)


def _files(cut: Cut, film: Film, milliseconds: int) -> Iterator[EncodedFile]:
    """Yield the records of one version's files."""
    size, small = (film.width, film.height), preview_size(film)
    names = _NAMES if cut.watermark is None else _WATERMARKED_NAMES
    yield describe(names[0], cut.reels.result, size, milliseconds=milliseconds)
    if cut.reels.preview is not None:
        yield describe(names[1], cut.reels.preview, small, milliseconds=milliseconds)
    if cut.reels.poster is not None:
        yield describe(names[2], cut.reels.poster, size)


def _check_style(style: Style) -> None:
    if style not in STYLES:
        offered = ", ".join(STYLES)
        raise WorkFailed(ExitCode.INVALID_TASK, f"this engine can't do the style {style.value}; it offers {offered}")


def _milliseconds_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
