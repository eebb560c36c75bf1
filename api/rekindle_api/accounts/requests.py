"""What owners may change of their accounts."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from rekindle_api.users.names import MAX_NAME_LENGTH, MAX_URL_LENGTH, checked_name, checked_picture

Name = Annotated[str, Field(max_length=MAX_NAME_LENGTH), AfterValidator(checked_name)]
Picture = Annotated[str, Field(max_length=MAX_URL_LENGTH), AfterValidator(checked_picture)]


class ProfileUpdate(BaseModel):
    """What to change; what is left out stays, and an empty text clears."""

    first_name: Name | None = Field(
        default=None, description="Letters of any script, spaces, apostrophes and hyphens.", examples=["Zoë"]
    )
    last_name: Name | None = Field(default=None, description="As the first name.", examples=["O'Neill-Smith"])
    profile_image_url: Picture | None = Field(
        default=None, description="An https:// address.", examples=["https://app.example/zoe.jpg"]
    )

    def columns(self) -> dict[str, object]:
        """Return the columns to set."""
        return self.model_dump(include=self.model_fields_set)
