"""Nobody reaches what is another's: every route of the API, with every id that it takes.

The routes come from the API's own description, so that a new one is tried as soon as it is there, and one that names
something new fails here until it is said what that is.
"""

import itertools
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql

if TYPE_CHECKING:
    from tests.api.conftest import Account, Api, PhotoMaker

pytestmark = [pytest.mark.stack, pytest.mark.slow]

# Fields of bodies and queries that name something, each with the id of the victim's that is tried there.
NAMED = {
    ("events_give_ticket", "photo_id"): "photo",
    ("jobs_animate", "restore_id"): "restore",
    ("photos_animate", "restore_id"): "restore",
    ("jobs_restore", "sourceResultId"): "restore",
    ("photos_restore", "sourceResultId"): "restore",
}
# What counts requests or belongs to the one who asks.
UNWATCHED = {"rate_limits", "alembic_version"}


@dataclass(frozen=True)
class Operation:
    """One route as it is described."""

    id: str
    verb: str
    path: str
    parameters: tuple[str, ...]
    body: dict[str, Any] | None
    identifiers: frozenset[tuple[str, ...]]

    def address(self, values: Mapping[str, str]) -> str:
        """Return its path with ids."""
        return self.path.format(**values)


def described(document: dict[str, Any]) -> Iterator[Operation]:
    schemas = document["components"]["schemas"]
    for path, item in document["paths"].items():
        for verb, operation in item.items():
            parameters = operation.get("parameters", [])
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            identifiers = set(_identifiers(body["schema"], schemas)) if body else set()
            identifiers |= {
                parameter["name"]
                for parameter in parameters
                if parameter["in"] != "path" and "uuid" in json.dumps(parameter["schema"])
            }
            named = tuple(parameter["name"] for parameter in parameters if parameter["in"] == "path")
            example = body["example"] if body else None
            yield Operation(operation["operationId"], verb.upper(), path, named, example, frozenset(identifiers))


def _identifiers(
    schema: dict[str, Any],
    schemas: dict[str, Any],
    place: tuple[str, ...] = (),
    within: frozenset[str] = frozenset(),
) -> Iterator[tuple[str, ...]]:
    """Yield where in a body ids are, as the names of the fields on the way there."""
    if (reference := schema.get("$ref")) is not None and reference not in within:
        yield from _identifiers(schemas[reference.rpartition("/")[2]], schemas, place, within | {reference})
    if schema.get("format") == "uuid":
        yield place
    for part in (*schema.get("anyOf", ()), *schema.get("allOf", ()), schema.get("items", {})):
        if part:
            yield from _identifiers(part, schemas, place, within)
    for name, part in schema.get("properties", {}).items():
        yield from _identifiers(part, schemas, (*place, name), within)


def _with_id(body: Any, place: tuple[str, ...], value: str) -> Any:
    """Return a body with an id in this place."""
    first, *rest = place
    return {**(body or {}), first: _with_id((body or {}).get(first), tuple(rest), value) if rest else value}


@dataclass(frozen=True)
class Belongings:
    """What a user has."""

    photo: str
    pending: str
    deleted: str
    restore: str
    running: str
    animation: str

    def of(self, parameter: str) -> tuple[str, ...]:
        """Return every id that a parameter of a path may name; none when nobody said what it names."""
        photos = (self.photo, self.pending, self.deleted)
        attempts = (self.restore, self.running, self.animation)
        return {"photo_id": photos, "attempt_id": attempts, "identifier": photos + attempts}.get(parameter, ())

    @property
    def all(self) -> set[str]:
        """Every id."""
        return {*self.of("identifier")}


async def belongings(api: "Api", account: "Account", photo_bytes: "PhotoMaker") -> Belongings:
    """Give a user one of everything."""
    photo, deleted = await account.photo(photo_bytes()), await account.photo(photo_bytes())
    assert (await account.http.delete(f"/api/v1/photos/{deleted}")).status_code == 200
    presigned = await account.http.post(
        "/api/v1/photos/presigned-upload",
        json={"filename": "a.jpg", "content_type": "image/jpeg", "max_size_bytes": 1000},
    )
    restore = await account.restore(photo)
    await api.complete(restore)
    running = await account.restore(photo, denoise=0.9)
    animation = await account.animate(photo)
    return Belongings(photo, str(presigned.json()["photo_id"]), deleted, restore, running, animation)


def everything(api: "Api") -> dict[str, list[str]]:
    """Return every row of every table that matters, and every object."""
    rows: dict[str, list[str]] = {"(objects)": sorted(api.keys())}
    with psycopg.connect(api.database_url, autocommit=True) as connection:
        for (table,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall():
            if table not in UNWATCHED:
                found = connection.execute(
                    sql.SQL("SELECT to_jsonb(it)::text FROM {} AS it ORDER BY 1").format(sql.Identifier(table))
                )
                rows[table] = [row for (row,) in found]
    return rows


async def test_no_route_gives_or_changes_what_belongs_to_another(api: "Api", photo_bytes: "PhotoMaker") -> None:
    victim, intruder = api.account(), api.account()
    theirs, own = await belongings(api, victim, photo_bytes), await belongings(api, intruder, photo_bytes)
    operations = list(described((await api.http.get("/openapi.json")).json()))
    before = everything(api)
    tried = 0

    for operation in operations:
        for parameter in operation.parameters:
            assert theirs.of(parameter), f"{operation.id}: say what {parameter} names"
        candidates = [(*theirs.of(parameter), own.of(parameter)[0]) for parameter in operation.parameters]
        for values in itertools.product(*candidates):
            if theirs.all.isdisjoint(values):
                continue
            ids = dict(zip(operation.parameters, values, strict=True))
            reply = await intruder.http.request(operation.verb, operation.address(ids), json=operation.body)
            assert reply.status_code == 404, f"{operation.id} {ids}: {reply.status_code} {reply.text}"
            nothing = {name: str(uuid.uuid4()) for name in ids}
            missing = await intruder.http.request(operation.verb, operation.address(nothing), json=operation.body)
            assert _said(reply) == _said(missing), f"{operation.id} tells what exists from what does not"
            tried += 1

    assert tried > 50
    assert everything(api) == before


async def test_no_body_or_query_names_what_belongs_to_another(api: "Api", photo_bytes: "PhotoMaker") -> None:
    victim, intruder = api.account(), api.account()
    theirs, own = await belongings(api, victim, photo_bytes), await belongings(api, intruder, photo_bytes)
    operations = list(described((await api.http.get("/openapi.json")).json()))
    before = everything(api)

    for operation in operations:
        for place in operation.identifiers:
            assert (operation.id, place[-1]) in NAMED, f"say what {place} of {operation.id} names"
            foreign = getattr(theirs, NAMED[operation.id, place[-1]])
            address = operation.address({name: own.of(name)[0] for name in operation.parameters})
            reply = await intruder.http.request(operation.verb, address, json=_with_id(operation.body, place, foreign))
            assert reply.status_code == 404, f"{operation.id} {place}: {reply.status_code} {reply.text}"

    assert everything(api) == before


async def test_no_list_holds_anything_of_another(api: "Api", photo_bytes: "PhotoMaker") -> None:
    victim, curious = api.account(), api.account()
    theirs = await belongings(api, victim, photo_bytes)
    await curious.photo(photo_bytes())
    secrets = theirs.all | {victim.id}
    secrets |= {str(found) for (found,) in api.rows("SELECT id FROM users WHERE supabase_user_id = %s", victim.id)}

    for operation in described((await api.http.get("/openapi.json")).json()):
        if operation.verb == "GET" and not operation.parameters:
            reply = await curious.http.get(operation.path)
            assert reply.status_code == 200, f"{operation.id}: {reply.text}"
            assert not [secret for secret in secrets if secret.encode() in reply.content], operation.id


def _said(reply: Any) -> dict[str, Any]:
    return {name: value for name, value in reply.json().items() if name != "request_id"}
