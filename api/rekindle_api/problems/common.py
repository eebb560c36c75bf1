"""Problems that any route can have."""

from rekindle_api.problems.problem import Problem


class InvalidRequestError(Problem):
    """Some of the path, the query, the headers or the body is not as described; `errors` lists what."""

    status = 422
    code = "invalid_request"
    title = "The request is not valid"


class BodyTooLargeError(Problem):
    """The body has more bytes than are taken."""

    status = 413
    code = "body_too_large"
    title = "The body is too large"


class UnreadableBodyError(Problem):
    """The body cannot be read as what it says it is."""

    status = 400
    code = "bad_request"
    title = "Bad Request"


class DatabaseUnavailableError(Problem):
    """The service cannot reach its database; trying again helps."""

    status = 503
    code = "database_unavailable"
    title = "The database is unavailable"
    headers = {"Retry-After": "5"}  # noqa: RUF012 - never changed


class InternalError(Problem):
    """Something went wrong on our side; the request id names it."""

    status = 500
    code = "internal_error"
    title = "Internal error"
