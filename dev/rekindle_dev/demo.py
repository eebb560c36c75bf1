"""The story of one photo, told on a running stack."""

import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from rekindle_dev.pictures import demo_photo, save_before_after
from rekindle_dev.screen import Screen
from rekindle_dev.stack import Stack
from rekindle_dev.visitor import Visitor

_SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}


@dataclass(frozen=True)
class Outcome:
    """Where the pictures are."""

    before: Path
    after: Path
    picture: Path


def tell(stack: Stack, screen: Screen, photo: Path | None, output: Path) -> Outcome:
    """Send one photo the whole way: upload, restoration, download; write three pictures into `output`.

    Args:
        stack: a running stack.
        screen: where the steps are shown.
        photo: the photo to restore; a portrait that is damaged on purpose when left out.
        output: folder for the pictures; made if it is missing.

    Raises:
        VisitError: if the photo is refused, or cannot be restored.
    """
    output.mkdir(parents=True, exist_ok=True)
    before = output / f"before{photo.suffix.lower() if photo else '.jpg'}"
    with screen.live():
        with screen.step("Take a photo" if photo else "Damage a photo"):
            before.write_bytes(photo.read_bytes() if photo else demo_photo())
        with screen.step("Sign a user up"):
            session = stack.issuer.sign_up(f"user-{secrets.token_hex(4)}@example.com", secrets.token_urlsafe(12))
        with Visitor(stack.api.url, session.access_token) as visitor:
            with screen.step("Upload the photo through the API"):
                photo_id = visitor.upload(before.name, before.read_bytes())
            with screen.bar("Restore it in a pod") as show:
                visitor.follow(photo_id, visitor.restore(photo_id), show)
            with screen.step("Download the restored photo"):
                content, media_type = visitor.download(photo_id)
                after = output / f"after{_SUFFIXES.get(media_type, '.jpg')}"
                after.write_bytes(content)
        with screen.step("Put both into one picture"):
            picture = output / "before-after.jpg"
            save_before_after(before, after, picture)
    _show_resource(stack, screen)
    return Outcome(before, after, picture)


def _show_resource(stack: Stack, screen: Screen) -> None:
    # The API knows the end from the resource's status, so that is there; its columns may follow a moment later.
    deadline = time.monotonic() + 10
    while "Succeeded" not in (table := stack.control_plane.kubectl("get", "restorejobs", "-o", "wide")):
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    screen.heading("kubectl get restorejobs -o wide")
    screen.text(table.rstrip())
