"""The base of every error that a user may see."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import BaseModel, Field


class Problem(Exception):  # noqa: N818 - the word of RFC 9457; its subclasses end in Error
    """An error with a reply of its own. Subclasses give status, code and title; an instance says what happened.

    `cause` is for the log only.
    """

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]
    headers: ClassVar[Mapping[str, str]] = {}

    def __init__(self, detail: str, cause: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.cause = cause


class FieldError(BaseModel):
    """One thing that is wrong with a request."""

    location: str = Field(description="Where it is, for example body.params.denoise.")
    message: str = Field(description="What is wrong with it.")


class ProblemBody(BaseModel):
    """Every error reply (application/problem+json)."""

    type: str = Field(default="about:blank", description="Always about:blank; the code tells the kinds apart.")
    title: str = Field(description="The kind of error, for people.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What happened, and what to do.")
    code: str = Field(description="The kind of error, for programs; stable.")
    request_id: str | None = Field(default=None, description="Names this request in the logs.")
    errors: list[FieldError] | None = Field(default=None, description="For 422: each field that was refused.")
