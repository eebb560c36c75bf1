"""Who sees results clean and who under a watermark: by the tier that the owner has now, in every reply."""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

from rekindle_api.attempts.models import AnimationAttempt, AttemptStatus, RestoreAttempt
from rekindle_api.attempts.transitions import ResultKeys

if TYPE_CHECKING:
    from tests.api.conftest import Account, Api, PhotoMaker

pytestmark = pytest.mark.stack

CLEAN, MARKED = "clean-", "marked-"


async def complete(api: "Api", attempt_id: str, table: type[Any], *, watermark: bool = True) -> None:
    """Complete an attempt with outputs whose names, and whose bytes, tell which they are."""
    name = table.__tablename__
    [[prefix]] = api.rows(f"SELECT output_prefix FROM {name} WHERE id = %s", attempt_id)  # noqa: S608 - a table's name

    def stored(name: str) -> str:
        key = f"{prefix}/pod/{name}"
        api.s3.put_object(Bucket=api.bucket, Key=key, Body=name.encode())
        return key

    keys = ResultKeys(
        result=stored(f"{CLEAN}result"),
        manifest=f"{prefix}/manifest.json",
        preview=stored(f"{CLEAN}preview"),
        thumbnail=stored(f"{CLEAN}thumbnail"),
        watermarked_result=stored(f"{MARKED}result") if watermark else None,
        watermarked_preview=stored(f"{MARKED}preview") if watermark else None,
        watermarked_thumbnail=stored(f"{MARKED}thumbnail") if watermark else None,
        bytes=1000,
    )
    await api.observe(attempt_id, table, status=AttemptStatus.COMPLETED, keys=keys)


async def made(api: "Api", account: "Account", photo: bytes, *, watermark: bool = True) -> tuple[str, str, str]:
    """Return the ids of a photo, its restoration and its animation, both completed."""
    photo_id = await account.photo(photo)
    restore_id, animation_id = await account.restore(photo_id), await account.animate(photo_id)
    await complete(api, restore_id, RestoreAttempt, watermark=watermark)
    await complete(api, animation_id, AnimationAttempt, watermark=watermark)
    return photo_id, restore_id, animation_id


def become(api: "Api", account: "Account", tier: str) -> None:
    """Give a user another tier, as a subscription does when it begins or ends."""
    api.rows("UPDATE users SET tier = %s WHERE supabase_user_id = %s", tier, account.id)


async def everything(api: "Api", account: "Account", ids: tuple[str, str, str], photo: bytes) -> str:
    """Return the texts of all that any route with these ids answers."""
    texts = []
    for path, methods in api.app.openapi()["paths"].items():
        if "get" not in methods or "/events/" in path:
            continue
        queries = (
            [{"key_type": each} for each in ("original", "processed", "thumbnail")] if "download" in path else [{}]
        )
        names = [parameter["name"] for parameter in methods["get"].get("parameters", []) if parameter["in"] == "path"]
        for one in ids if names else ids[:1]:
            filled = path
            for name in names:
                filled = filled.replace(f"{{{name}}}", one)
            texts += [(await account.http.get(filled, params=query)).text for query in queries]
    texts.append((await account.http.put(f"/api/v1/photos/{ids[0]}", json={"metadata": {}})).text)
    texts.append((await account.upload(photo)).text)
    async with account.following(ids[0]) as stream:
        texts += [str((await stream.next()).data) for _ in range(3)]
    return "\n".join(texts)


async def test_the_free_tier_gets_nothing_clean_by_any_route_and_an_upgrade_shows_everything_clean(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo = photo_bytes()
    ids = await made(api, account, photo)

    free = await everything(api, account, ids, photo)
    become(api, account, "remember")
    paid = await everything(api, account, ids, photo)
    become(api, account, "free")
    again = await everything(api, account, ids, photo)

    assert free.count(f"{MARKED}result") > 10
    assert CLEAN not in free
    assert MARKED not in paid
    assert paid.count(f"{CLEAN}result") == free.count(f"{MARKED}result") == again.count(f"{MARKED}result")
    assert CLEAN not in again


@pytest.mark.parametrize(("tier", "served"), [("free", MARKED), ("forever", CLEAN)])
async def test_keys_and_addresses_are_of_what_is_served(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", tier: str, served: str
) -> None:
    photo_id, _, _ = await made(api, account, photo_bytes())
    become(api, account, tier)

    detail = (await account.http.get(f"/api/v1/photos/{photo_id}")).json()
    job = (await account.http.get(f"/api/v1/jobs/{photo_id}")).json()
    download = (await account.http.get(f"/api/v1/photos/{photo_id}/download-url?key_type=processed")).json()

    [restored], [animated] = job["restore_attempts"], job["animation_attempts"]
    pairs = [
        (detail["photo"]["processed_key"], detail["photo"]["processed_url"]),
        (detail["results"][0]["s3_key"], detail["results"][0]["url"]),
        (restored["s3_key"], restored["url"]),
        (restored["s3_key"], download["url"]),
        (animated["result_s3_key"], animated["result_url"]),
        (animated["preview_s3_key"], animated["preview_url"]),
        (animated["thumb_s3_key"], animated["thumb_url"]),
    ]
    async with httpx.AsyncClient(timeout=60) as browser:
        for key, url in pairs:
            name = key.rpartition("/")[2]
            assert name.startswith(served)
            assert urlsplit(url).path.endswith(key)
            assert (await browser.get(url)).text == name
    for reply in (detail["results"][0], restored, animated):
        assert reply["watermarked"] is (served == MARKED)
    assert (restored["credits_charged"], animated["credits_charged"]) == (2, 8)


async def test_what_was_done_without_a_watermark_stays_as_it_is_after_a_downgrade(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id, _, _ = await made(api, account, photo_bytes(), watermark=False)

    [attempt] = (await account.http.get(f"/api/v1/jobs/{photo_id}")).json()["restore_attempts"]

    assert attempt["s3_key"].endswith(f"{CLEAN}result")
    assert attempt["watermarked"] is False


async def test_a_missing_copy_is_never_replaced_by_the_clean_output(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id, restore_id, _ = await made(api, account, photo_bytes())
    api.rows("UPDATE restore_attempts SET watermarked_preview_key = NULL WHERE id = %s", restore_id)

    [attempt] = (await account.http.get(f"/api/v1/jobs/{photo_id}")).json()["restore_attempts"]

    assert attempt["preview_url"] is None
    assert MARKED in attempt["url"]


@pytest.mark.parametrize(
    ("tier", "wanted"), [("free", (True, 0)), ("remember", (False, 50)), ("forever", (False, 100))]
)
async def test_an_attempt_keeps_the_watermark_and_priority_of_its_tier(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", tier: str, wanted: tuple[bool, int]
) -> None:
    photo_id = await account.photo(photo_bytes())
    become(api, account, tier)

    await account.restore(photo_id)
    await account.animate(photo_id)

    for table in ("restore_attempts", "animation_attempts"):
        assert api.rows(f"SELECT watermark, priority FROM {table}") == [wanted]  # noqa: S608 - a table's name


async def test_a_wish_that_was_not_fulfilled_is_told_and_not_charged(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    attempt_id = await account.restore(photo_id, restore={"colourize": True, "userPrompt": "brighter"})

    await api.observe(
        attempt_id,
        status=AttemptStatus.COMPLETED,
        keys=ResultKeys(result="k/result", manifest="k/manifest.json"),
        warnings=("colorize: this engine can't add colour",),
        unfulfilled=("colorize", "prompt"),
    )

    [attempt] = (await account.http.get(f"/api/v1/jobs/{photo_id}")).json()["restore_attempts"]
    assert attempt["unfulfilled"] == ["colorize", "prompt"]
    assert attempt["warnings"] == ["colorize: this engine can't add colour"]
    assert attempt["credits_charged"] == 2


async def test_a_stream_that_is_open_shows_the_next_video_by_the_tier_of_that_moment(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    async with account.following(photo_id) as stream:
        await stream.next()
        for tier, served in (("free", MARKED), ("cherish", CLEAN)):
            become(api, account, tier)
            animation_id = await account.animate(photo_id)
            await complete(api, animation_id, AnimationAttempt)
            while (event := await stream.next()).name != "animation_completed":
                pass
            assert f"{served}result" in event.data["video_url"]
