"""An animation that is asked for while its restoration runs: the whole way, and when the photo is not restored."""

import io
import uuid
from typing import Any

import av
import httpx
import pytest
from tests.e2e.photos import damaged_photo

from rekindle_dev.visitor import parse_events

pytestmark = [pytest.mark.e2e, pytest.mark.stack, pytest.mark.slow]

ENDS = ("animation_completed", "animation_failed")


def animate(http: httpx.Client, photo_id: str, restore_id: str) -> str:
    wanted = {"restore_id": restore_id, "params": {"resolution": "480p", "durationSeconds": 2}}
    answer = http.post(f"/api/v1/jobs/{photo_id}/animate", json=wanted)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def events_until_the_end(http: httpx.Client, photo_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Follow a photo until its animation has ended."""
    seen = []
    with http.stream("GET", f"/api/v1/events/{photo_id}", timeout=120) as stream:
        for event, data in parse_events(stream.iter_lines()):
            seen.append((event, data))
            if event in ENDS:
                return seen
    pytest.fail(f"the stream ended before the animation: {seen}")


def first_frame(video: bytes) -> tuple[str, int, int]:
    """Return codec, width and height of a video that decodes."""
    with av.open(io.BytesIO(video), "r") as container:
        assert "mp4" in container.format.name
        frame = next(container.decode(video=0))
        return container.streams.video[0].codec_context.name, frame.width, frame.height


def animation_job_of(attempt_id: str) -> str:
    return f"a-{uuid.UUID(attempt_id).hex}"


def test_an_animation_asked_for_while_its_restoration_runs_travels_the_whole_way(user, cluster):
    photo_id = user.upload(damaged_photo(1024, seed=41))
    restore_id = user.restore(photo_id)
    animation_id = animate(user.http, photo_id, restore_id)
    events = events_until_the_end(user.http, photo_id)
    names = [event for event, _ in events]
    assert names[0] == "snapshot"
    assert names.index("completed") < names.index("animation_completed")
    assert "animation_progress" in names
    ended = events[-1][1]
    assert (ended["job_id"], ended["animation_id"], ended["status"]) == (photo_id, animation_id, "completed")

    video = httpx.get(ended["video_url"])
    assert video.status_code == 200
    assert video.headers["content-type"] == "video/mp4"
    codec, width, height = first_frame(video.content)
    assert codec == "h264"
    assert "/watermarked-result.mp4?" in ended["video_url"]
    assert min(width, height) == 480

    job = user.http.get(f"/api/v1/jobs/{photo_id}").json()
    assert job["latest_animation_id"] == animation_id
    [attempt] = job["animation_attempts"]
    assert (attempt["id"], attempt["restore_id"], attempt["status"]) == (animation_id, restore_id, "completed")
    for name in ("preview_url", "result_url", "thumb_url"):
        assert "/watermarked-" in attempt[name]
        assert httpx.get(attempt[name]).status_code == 200, name
    phase = cluster.kubectl("get", "animationjob", animation_job_of(animation_id), "-o", "jsonpath={.status.phase}")
    assert phase == "Succeeded"


@pytest.mark.parametrize("running", [True, False], ids=["while it runs", "before it runs"])
def test_an_animation_fails_when_its_restoration_is_cancelled(user, eventually, running):
    photo_id = user.upload(damaged_photo(2048, seed=42 + running))
    restore_id = user.restore(photo_id)
    animation_id = animate(user.http, photo_id, restore_id)
    if running:
        eventually(lambda: user.attempt(photo_id, restore_id)["status"] == "processing")
    assert user.http.delete(f"/api/v1/jobs/{photo_id}/restore/{restore_id}").status_code == 200
    event, ended = events_until_the_end(user.http, photo_id)[-1]
    assert event == "animation_failed"
    assert (ended["animation_id"], ended["status"]) == (animation_id, "failed")
    assert ended["reason"]
    assert ended["error"]
    [attempt] = user.http.get(f"/api/v1/jobs/{photo_id}").json()["animation_attempts"]
    assert attempt["result_url"] is None
