"""What is wrong with the Idempotency-Key of a request."""

from rekindle_api.problems import Problem


class InvalidIdempotencyKeyError(Problem):
    """The Idempotency-Key is empty, too long or not printable."""

    status = 422
    code = "invalid_idempotency_key"
    title = "Invalid Idempotency-Key"

    def __init__(self) -> None:
        super().__init__("An Idempotency-Key has 1 to 255 visible ASCII characters; a random UUID does.")


class IdempotencyKeyReusedError(Problem):
    """The Idempotency-Key was sent before, with another request."""

    status = 422
    code = "idempotency_key_reused"
    title = "Idempotency-Key reused"

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was sent with another request; use a new one for each wish.")


class RequestUnderWayError(Problem):
    """The request with this Idempotency-Key has not been answered yet."""

    status = 409
    code = "request_under_way"
    title = "The same request is under way"
    headers = {"Retry-After": "1"}  # noqa: RUF012 - a Mapping, as in the base

    def __init__(self) -> None:
        super().__init__("The request with this Idempotency-Key is still being answered; send it again in a moment.")
