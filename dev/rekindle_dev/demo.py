"""The story of one photo, told on a running stack."""

import secrets
import time
from pathlib import Path

from rekindle_dev.pictures import demo_photo, save_before_after
from rekindle_dev.screen import Screen
from rekindle_dev.stack import Stack
from rekindle_dev.tiers import give_tier
from rekindle_dev.visitor import Visitor, fetch

_SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}
_POSTER = "animated-poster.jpg"
_TABLE = ("get", "restorejobs,animationjobs,engines")


def tell(stack: Stack, screen: Screen, photo: Path | None, output: Path) -> None:
    """Send one photo the whole way: upload, restoration, animation, downloads; write all of them into `output`.

    Args:
        stack: a running stack.
        screen: where the steps, the names of the files and the resources are shown.
        photo: the photo to restore; a portrait that is damaged on purpose when left out.
        output: folder for the pictures and the video; made if it is missing.

    Raises:
        VisitError: if the photo is refused, or cannot be restored or animated.
    """
    output.mkdir(parents=True, exist_ok=True)
    before = output / f"before{photo.suffix.lower() if photo else '.jpg'}"
    picture, video = output / "before-after.jpg", output / "animated.mp4"
    with screen.live():
        with screen.step("Take a photo" if photo else "Damage a photo"):
            before.write_bytes(photo.read_bytes() if photo else demo_photo())
        with screen.step("Sign a user up"):
            session = stack.issuer.sign_up(f"user-{secrets.token_hex(4)}@example.com", secrets.token_urlsafe(12))
        with Visitor(stack.api.url, session.access_token) as visitor:
            with screen.step("Upload the photo through the API"):
                photo_id = visitor.upload(before.name, before.read_bytes())
            with screen.step("Give the user a paid tier, whose results have no watermark"):
                give_tier(stack.database_url, session.user_id, "remember")
            restore_id, after = _restore(visitor, screen, photo_id, output)
            _animate(visitor, screen, (photo_id, restore_id), video)
        with screen.step("Put before and after into one picture"):
            save_before_after(before, after, picture)
    screen.heading(f"Before and after: {picture}")
    screen.heading(f"Animated: {video}  (poster: {output / _POSTER})")
    _show_resources(stack, screen)


def _restore(visitor: Visitor, screen: Screen, photo_id: str, output: Path) -> tuple[str, Path]:
    """Return the attempt's id, and the file of the restored photo."""
    with screen.bar("Restore it in a pod") as show:
        restore_id = visitor.restore(photo_id)
        visitor.follow_restoration(photo_id, restore_id, show)
    with screen.step("Download the restored photo"):
        content, media_type = visitor.download(photo_id)
        after = output / f"after{_SUFFIXES.get(media_type, '.jpg')}"
        after.write_bytes(content)
    return restore_id, after


def _animate(visitor: Visitor, screen: Screen, restored: tuple[str, str], video: Path) -> None:
    """Write the animation of a photo's restoration into `video`, and its poster beside it."""
    photo_id, restore_id = restored
    with screen.bar("Animate the restored photo in another pod") as show:
        animation_id = visitor.animate(photo_id, restore_id)
        url = visitor.follow_animation(photo_id, animation_id, show)
    with screen.step("Download the animation and its poster"):
        video.write_bytes(fetch(url)[0])
        video.with_name(_POSTER).write_bytes(visitor.poster(photo_id, animation_id))


def _show_resources(stack: Stack, screen: Screen) -> None:
    # The API knows the ends from the resources' status, so they are there; columns may follow a moment later.
    deadline = time.monotonic() + 10
    while (table := stack.control_plane.kubectl(*_TABLE)).count("Succeeded") < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    screen.heading(" ".join(("kubectl", *_TABLE)))
    screen.text(table.rstrip())
