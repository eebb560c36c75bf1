"""Routes for people, load balancers and Kubernetes. None needs a token."""

import asyncio
from collections.abc import Awaitable
from importlib.metadata import version
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from rekindle_api.database import Database
from rekindle_api.database.connection import database_of
from rekindle_api.problems import Problem
from rekindle_api.settings import ServerSettings
from rekindle_api.storage.objects import storage_of

router = APIRouter(tags=["health"])
_CHECK_SECONDS = 3.0


class Health(BaseModel):
    """What runs here."""

    status: Literal["healthy"] = "healthy"
    environment: str
    version: str


class Readiness(BaseModel):
    """Whether each part that requests need can be used."""

    status: Literal["ready", "not ready"]
    checks: dict[str, Literal["ok", "failed"]]


@router.get("/health")
@router.get("/", include_in_schema=False)
async def health(request: Request) -> Health:
    """Say what runs here."""
    settings: ServerSettings = request.app.state.server
    return Health(environment=settings.environment, version=version("rekindle"))


@router.get("/healthz", include_in_schema=False)
async def alive() -> dict[str, str]:
    """Answer: this process lives. Asks nobody else, so a broken database restarts nothing."""
    return {"status": "alive"}


@router.get("/readyz", include_in_schema=False)
async def ready(request: Request, response: Response) -> Readiness:
    """Tell whether requests can be served: the database with every migration, and S3."""
    schema: str = request.app.state.schema_revision
    outcomes = await asyncio.gather(
        _passes(_schema_is(database_of(request), schema)), _passes(storage_of(request).check())
    )
    checks = dict(zip(("database", "storage"), outcomes, strict=True))
    if not all(outcomes):
        response.status_code = 503
    return Readiness(
        status="ready" if all(outcomes) else "not ready",
        checks={name: "ok" if passed else "failed" for name, passed in checks.items()},
    )


async def _schema_is(database: Database, wanted: str) -> None:
    async with database.transaction() as session:
        found = await session.scalar(text("SELECT version_num FROM alembic_version"))
    if found is None or found < wanted:
        raise LookupError("the database lacks migrations")


async def _passes(check: Awaitable[None]) -> bool:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await check
    except (Problem, SQLAlchemyError, LookupError, OSError, TimeoutError):
        return False
    return True
