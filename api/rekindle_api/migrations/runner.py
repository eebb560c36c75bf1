"""Runs migrations, and tells whether a database has all of them."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from rekindle_api.settings import DatabaseSettings


def configuration(settings: DatabaseSettings) -> Config:
    """Return Alembic's configuration for this package's migrations and the given database."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["url"] = settings.sqlalchemy_url
    return config


def upgrade(settings: DatabaseSettings, revision: str = "head") -> None:
    """Bring the database to `revision`; does nothing when it is there already."""
    command.upgrade(configuration(settings), revision)


def head(settings: DatabaseSettings) -> str | None:
    """Return the newest revision that this version of the service knows."""
    return ScriptDirectory.from_config(configuration(settings)).get_current_head()
