"""An account as Supabase has it: the few fields that are taken over, from the admin API and from webhooks alike.

Supabase's own record holds the password's hash and one-time tokens; what is not named here never leaves the parser.
"""

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints

from rekindle_api.database.json_values import check_text
from rekindle_api.users.names import clean_name, clean_picture


def _moment(value: object) -> object:
    """Take an empty text for no time."""
    return None if value == "" else value


def _with_zone(value: datetime | None) -> datetime | None:
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


Moment = Annotated[datetime | None, BeforeValidator(_moment), AfterValidator(_with_zone)]
Address = Annotated[str, StringConstraints(max_length=320), AfterValidator(check_text)]


class SupabaseUser(BaseModel):
    """What is taken over of one account."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    id: uuid.UUID
    email: Address | None = None
    email_verified_at: Moment = None
    first_name: str | None = None
    last_name: str | None = None
    profile_image_url: str | None = None
    banned_until: Moment = None
    deleted_at: Moment = None
    is_anonymous: bool = False
    updated_at: Moment = None

    @classmethod
    def read(cls, record: dict[str, Any]) -> "SupabaseUser":
        """Read a row of auth.users, or an answer of the admin API, which calls the metadata otherwise.

        Raises:
            ValidationError: it is neither; its text holds nothing of the record.
        """
        metadata = record.get("raw_user_meta_data", record.get("user_metadata"))
        return cls.model_validate(
            {
                "id": record.get("id"),
                "email": record.get("email") or None,
                "email_verified_at": record.get("email_confirmed_at"),
                "banned_until": record.get("banned_until"),
                "deleted_at": record.get("deleted_at"),
                "is_anonymous": bool(record.get("is_anonymous")),
                "updated_at": record.get("updated_at") or record.get("created_at"),
                **_person(metadata if isinstance(metadata, dict) else {}),
            }
        )


def _person(metadata: dict[str, Any]) -> dict[str, str | None]:
    """Find names and picture under the keys that sign-up forms and identity providers use."""
    first = clean_name(metadata.get("first_name") or metadata.get("given_name"))
    last = clean_name(metadata.get("last_name") or metadata.get("family_name"))
    if first is None and last is None:
        whole = clean_name(metadata.get("full_name") or metadata.get("name")) or ""
        first, _, last = whole.partition(" ")
    return {
        "first_name": first or None,
        "last_name": last or None,
        "profile_image_url": clean_picture(metadata.get("avatar_url") or metadata.get("picture")),
    }
