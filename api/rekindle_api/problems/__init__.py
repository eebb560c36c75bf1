"""Errors as users see them: problem+json (RFC 9457) with a string `detail` and a stable `code`, made in one place."""

from rekindle_api.problems.problem import Problem, ProblemBody
from rekindle_api.problems.raised import raised_by, raises
from rekindle_api.problems.replies import install, problem_reply

__all__ = ["Problem", "ProblemBody", "install", "problem_reply", "raised_by", "raises"]
