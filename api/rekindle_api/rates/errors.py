"""Why a request is put off."""

from rekindle_api.problems import Problem


class RateLimitedError(Problem):
    """The user sent too many requests of this kind; `Retry-After` says when the next one is let through."""

    status = 429
    code = "rate_limited"
    title = "Too many requests"
