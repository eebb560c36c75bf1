"""A user of the API, as the frontend is one: uploads, asks for a restoration, follows it, downloads the result."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Self

import httpx

_TIMEOUT = httpx.Timeout(30.0)
# A stream is silent while nothing changes; the API sends a comment every few seconds.
_STREAM_TIMEOUT = httpx.Timeout(30.0, read=90.0)


class VisitError(RuntimeError):
    """The API refused something, or a restoration failed. The message says why."""


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

    def follow(self, photo_id: str, attempt_id: str, show: Callable[[int, str], None]) -> None:
        """Follow an attempt by the event stream until it is completed.

        Raises:
            VisitError: if it fails.
        """
        # The API ends a stream after some minutes; a new one begins with all that stands.
        while True:
            for event, data in self._events(photo_id):
                told = data.get("attempts", [data])
                for attempt in (each for each in told if each["restore_id"] == attempt_id):
                    if event == "completed" and attempt["status"] == "failed":
                        raise VisitError(f"The restoration failed: {attempt['reason']}: {attempt['message']}")
                    if event == "completed":
                        return
                    show(attempt["percent"] or 0, attempt["stage"] or attempt["status"])

    def download(self, photo_id: str) -> tuple[bytes, str]:
        """Return the restored photo and its media type.

        Raises:
            VisitError: if it cannot be had.
        """
        answer = self._http.get(f"/api/v1/photos/{photo_id}/download-url", params={"key_type": "processed"})
        # Signed: the token must not go there.
        photo = httpx.get(_accepted(answer)["url"], timeout=_TIMEOUT)
        if not photo.is_success:
            raise VisitError(f"S3 answered {photo.status_code} to the download of the restored photo.")
        return photo.content, photo.headers.get("content-type", "")

    def _events(self, photo_id: str) -> Iterator[tuple[str, dict[str, Any]]]:
        with self._http.stream("GET", f"/api/v1/events/{photo_id}", timeout=_STREAM_TIMEOUT) as stream:
            if not stream.is_success:
                stream.read()
                _accepted(stream)
            yield from parse_events(stream.iter_lines())


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
