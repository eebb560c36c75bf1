"""The description of the API: whole, true to itself, and shown without asking another host."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest

from rekindle_api.application import WebSettings, create_app

if TYPE_CHECKING:
    from tests.api.conftest import StartApi

WITHOUT_TOKEN = {"/health", "/api/v1/billing/plans"}
VERBS = {"get", "post", "put", "delete", "patch"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    settings = {"database_url": "postgresql://u:p@h/d", "s3_bucket": "photos", "supabase_url": "http://issuer"}
    return create_app(WebSettings.read(settings)).openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for verb in VERBS & set(item):
            yield f"{verb.upper()} {path}", item[verb]


def contents(operation: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield where, the media type, and its object, of the body and of every reply."""
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        yield "body", media_type, content
    for status, reply in operation["responses"].items():
        for media_type, content in reply.get("content", {}).items():
            yield status, media_type, content


def test_every_route_says_what_it_does(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, operation in operations(document)]
    tags = {tag["name"]: tag["description"] for tag in document["tags"]}

    assert len(names) == len(set(names))
    for name, operation in operations(document):
        assert operation.get("summary"), name
        assert not operation["summary"].endswith("."), name
        assert operation.get("description"), name
        assert operation.get("tags"), name
        assert all(tags.get(tag) for tag in operation["tags"]), f"{name}: a tag without a description"
        assert all(parameter.get("schema") for parameter in operation.get("parameters", [])), name


def test_every_route_names_its_credential_or_needs_none(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]

    assert {scheme["type"] for scheme in schemes.values()} == {"http", "apiKey"}
    assert all(scheme["description"] for scheme in schemes.values())
    for name, operation in operations(document):
        path = name.partition(" ")[2]
        assert bool(operation.get("security")) != (path in WITHOUT_TOKEN), name
        for requirement in operation.get("security", []):
            assert set(requirement) <= set(schemes), name


def test_every_body_and_reply_has_a_schema_and_an_example_that_fits_it(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        assert any(status.startswith("2") for status in operation["responses"]), name
        for where, media_type, content in contents(operation):
            assert content.get("schema"), f"{name}: {where} has no schema"
            examples = [content[key] for key in ("example",) if key in content]
            examples += [example["value"] for example in content.get("examples", {}).values()]
            assert examples, f"{name}: {where} has no example"
            if media_type.endswith("json"):
                schema = {**content["schema"], "components": document["components"]}
                for example in examples:
                    jsonschema_rs.Draft202012Validator(schema).validate(example)


def test_every_error_is_described_with_its_codes(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        replies = operation["responses"]
        assert "default" not in replies, name
        assert {"500"} <= set(replies), name
        if {"accessToken": []} in operation.get("security", []):
            assert {"401", "403", "503"} <= set(replies), name
        if "{" in name:
            assert {"404", "422"} <= set(replies), f"{name} names something that may not exist"
        for status, reply in replies.items():
            assert reply["description"], f"{name}: {status}"
            if status >= "4":
                problem = reply["content"]["application/problem+json"]
                codes = problem["schema"]["allOf"][1]["properties"]["code"]["enum"]
                assert codes == list(problem["examples"]), f"{name}: {status}"


def test_what_can_be_polled_says_so(document: dict[str, Any]) -> None:
    polled = [operation["responses"] for name, operation in operations(document) if "GET" in name]

    for replies in polled:
        assert ("304" in replies) == ("application/json" in replies["200"]["content"])
        assert ("ETag" in replies["200"].get("headers", {})) == ("304" in replies)


def test_a_code_means_the_same_everywhere(document: dict[str, Any]) -> None:
    meanings: dict[str, set[tuple[int, str]]] = {}
    for _, operation in operations(document):
        for _, media_type, content in contents(operation):
            if media_type == "application/problem+json":
                for code, example in content["examples"].items():
                    meanings.setdefault(code, set()).add((example["value"]["status"], example["value"]["title"]))

    assert {code: found for code, found in meanings.items() if len(found) > 1} == {}


@pytest.mark.stack
async def test_the_page_and_everything_it_loads_come_from_here(start_api: "StartApi") -> None:
    api = await start_api()
    page = await api.http.get("/docs")
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    policy = page.headers["content-security-policy"]

    assert page.status_code == 200
    assert len(loaded) == 4
    assert not re.search(r"//", page.text), "the page names another host"
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "//" not in policy
    assert "*" not in policy
    for address in loaded:
        if not address.startswith("data:"):
            asset = await api.http.get(f"/{address}")
            assert (asset.status_code, asset.headers["x-content-type-options"]) == (200, "nosniff")
            assert len(asset.content) > 50
    assert (await api.http.get("/docs/nothing.js")).status_code == 404
    assert (await api.http.get("/openapi.json")).json()["openapi"].startswith("3.1")


@pytest.mark.stack
async def test_the_page_can_be_turned_off(start_api: "StartApi") -> None:
    api = await start_api(api_docs=False)

    assert (await api.http.get("/docs")).status_code == 404
    assert (await api.http.get("/docs/start.js")).status_code == 404
    assert (await api.http.get("/openapi.json")).status_code == 200
