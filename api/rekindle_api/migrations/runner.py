"""Runs migrations, and tells whether a database has all of them."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from rekindle_api.settings import DatabaseSettings


def configuration(settings: DatabaseSettings, app_role: str | None = None) -> Config:
    """Return Alembic's configuration for this package's migrations and the given database."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["settings"] = settings
    config.attributes["app_role"] = app_role
    return config


def upgrade(settings: DatabaseSettings, revision: str = "head", app_role: str | None = None) -> None:
    """Bring the database to `revision`; does nothing when it is there already.

    `app_role` then has the privileges that are declared for it, and no others.

    Raises:
        UnfitRoleError: there is no such role, or it could do what no grant allows.
    """
    command.upgrade(configuration(settings, app_role), revision)


def head(settings: DatabaseSettings) -> str | None:
    """Return the newest revision that this version of the service knows."""
    return ScriptDirectory.from_config(configuration(settings)).get_current_head()
