"""A user of the API, as the frontend is one: uploads, asks for work on the photo, follows it, downloads the results."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Self

import httpx

_TIMEOUT = httpx.Timeout(30.0)
# A stream is silent while nothing changes; the API sends a comment every few seconds.
_STREAM_TIMEOUT = httpx.Timeout(30.0, read=90.0)
_ENDS = ("completed", "animation_completed", "animation_failed")


class VisitError(RuntimeError):
    """The API refused something, or an attempt failed. The message says why."""


class Visitor:
    """A signed-in user: a context manager that closes its connections."""

    def __init__(self, api_url: str, access_token: str) -> None:
        self._http = httpx.Client(
            base_url=api_url, headers={"Authorization": f"Bearer {access_token}"}, timeout=_TIMEOUT
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def upload(self, name: str, photo: bytes) -> str:
        """Upload a photo and return its id.

        Raises:
            VisitError: if the API refuses it.
        """
        answer = self._http.post("/api/v1/photos/upload", files={"file": (name, photo)})
        return str(_accepted(answer)["id"])

    def restore(self, photo_id: str) -> str:
        """Ask for a restoration and return the attempt's id.

        Raises:
            VisitError: if the API refuses.
        """
        return str(_accepted(self._http.post(f"/api/v1/photos/{photo_id}/restore", json={"params": {}}))["id"])

    def animate(self, photo_id: str, restore_id: str) -> str:
        """Ask for an animation of a restoration's result and return the attempt's id.

        Raises:
            VisitError: if the API refuses.
        """
        wanted = {"restore_id": restore_id, "params": {"resolution": "480p", "durationSeconds": 4}}
        return str(_accepted(self._http.post(f"/api/v1/jobs/{photo_id}/animate", json=wanted))["id"])

    def follow_restoration(self, photo_id: str, attempt_id: str, show: Callable[[int, str], None]) -> None:
        """Follow a restoration by the event stream until it is completed.

        Raises:
            VisitError: if it fails.
        """
        ended = self._follow(photo_id, attempt_id, ("restore_id", "attempts"), show)
        if ended["status"] == "failed":
            raise VisitError(f"The restoration failed: {ended['reason']}: {ended['message']}")

    def follow_animation(self, photo_id: str, attempt_id: str, show: Callable[[int, str], None]) -> str:
        """Follow an animation by the event stream until it is completed, and return the signed URL of the video.

        Raises:
            VisitError: if it fails.
        """
        ended = self._follow(photo_id, attempt_id, ("animation_id", "animations"), show)
        if ended["status"] == "failed":
            raise VisitError(f"The animation failed: {ended['reason']}: {ended['error']}")
        return str(ended["video_url"])

    def download(self, photo_id: str) -> tuple[bytes, str]:
        """Return the restored photo and its media type.

        Raises:
            VisitError: if it cannot be had.
        """
        answer = self._http.get(f"/api/v1/photos/{photo_id}/download-url", params={"key_type": "processed"})
        return fetch(_accepted(answer)["url"])

    def poster(self, photo_id: str, animation_id: str) -> bytes:
        """Return the still picture of an animation.

        Raises:
            VisitError: if it cannot be had.
        """
        made = _accepted(self._http.get(f"/api/v1/jobs/{photo_id}"))["animation_attempts"]
        url = next((each["thumb_url"] for each in made if each["id"] == animation_id), None)
        if url is None:
            raise VisitError("The animation has no poster.")
        return fetch(url)[0]

    def _follow(
        self, photo_id: str, attempt_id: str, names: tuple[str, str], show: Callable[[int, str], None]
    ) -> dict[str, Any]:
        """Return the event that ends an attempt; `names` are those of its id, and of its like in a snapshot."""
        own, alike = names
        # The API ends a stream after some minutes; a new one begins with all that stands.
        while True:
            for event, data in self._events(photo_id):
                for attempt in data.get(alike, [data]):
                    if attempt.get(own) != attempt_id:
                        continue
                    if event in _ENDS:
                        return dict(attempt)
                    show(attempt["percent"] or 0, attempt["stage"] or attempt["status"])

    def _events(self, photo_id: str) -> Iterator[tuple[str, dict[str, Any]]]:
        with self._http.stream("GET", f"/api/v1/events/{photo_id}", timeout=_STREAM_TIMEOUT) as stream:
            if not stream.is_success:
                stream.read()
                _accepted(stream)
            yield from parse_events(stream.iter_lines())


def fetch(url: str) -> tuple[bytes, str]:
    """Return the bytes and the media type behind a signed URL.

    Raises:
        VisitError: if S3 does not give them.
    """
    # Signed: the token must not go there.
    answer = httpx.get(url, timeout=_TIMEOUT)
    if not answer.is_success:
        raise VisitError(f"S3 answered {answer.status_code} to the download of a result.")
    return answer.content, answer.headers.get("content-type", "")


def parse_events(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and JSON data of each server-sent event.

    References:
        https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
    """
    name, data = "message", list[str]()
    for line in lines:
        field, _, value = line.partition(":")
        match field:
            case "event":
                name = value.removeprefix(" ")
            case "data":
                data.append(value.removeprefix(" "))
            case "" if not line:
                if data:
                    yield name, json.loads("\n".join(data))
                name, data = "message", []
            case _:
                continue


def _accepted(answer: httpx.Response) -> dict[str, Any]:
    """Return the JSON object of a good answer.

    Raises:
        VisitError: if it is not good.
    """
    try:
        body = answer.json()
    except ValueError:
        body = {}
    if not answer.is_success or not isinstance(body, dict):
        detail = body.get("detail", answer.reason_phrase) if isinstance(body, dict) else answer.reason_phrase
        raise VisitError(f"The API answered {answer.status_code}: {detail}")
    return body
