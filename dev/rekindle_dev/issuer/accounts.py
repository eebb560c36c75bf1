"""Users and their sessions, kept in a SQLite file so that a restart of the issuer signs nobody out."""

import hashlib
import hmac
import json
import secrets
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, password TEXT NOT NULL, metadata TEXT NOT NULL,
    created_at TEXT NOT NULL, updated_at TEXT NOT NULL, last_sign_in_at TEXT
);
CREATE TABLE IF NOT EXISTS sessions (
    id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    refresh_token TEXT NOT NULL UNIQUE
);
"""


class AccountError(Exception):
    """A request that Supabase Auth would refuse, with its HTTP status and error code."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True)
class User:
    """One account."""

    id: str
    email: str
    metadata: dict[str, Any]
    created_at: str
    updated_at: str
    last_sign_in_at: str | None

    def wire(self) -> dict[str, Any]:
        """Return the user as Supabase Auth shows it."""
        return {
            "id": self.id,
            "aud": "authenticated",
            "role": "authenticated",
            "email": self.email,
            "phone": "",
            "email_confirmed_at": self.created_at,
            "confirmed_at": self.created_at,
            "last_sign_in_at": self.last_sign_in_at,
            "app_metadata": {"provider": "email", "providers": ["email"]},
            "user_metadata": self.metadata,
            "identities": [],
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "is_anonymous": False,
        }


@dataclass(frozen=True)
class SignedIn:
    """A session that was just opened or refreshed."""

    user: User
    session_id: str
    refresh_token: str


class Accounts:
    """All users and sessions."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._transaction() as database:
            database.executescript(_SCHEMA)

    def sign_up(self, email: str, password: str, metadata: dict[str, Any]) -> SignedIn:
        """Make an account and open its first session.

        Raises:
            AccountError: if the address or the password will not do, or the address is taken.
        """
        email = email.strip().lower()
        if "@" not in email:
            raise AccountError(400, "validation_failed", "Unable to validate email address: invalid format")
        if len(password) < 6:
            raise AccountError(422, "weak_password", "Password should be at least 6 characters.")
        now = _now()
        with self._transaction() as database:
            user_id = str(uuid.uuid4())
            row = (user_id, email, _hash(password), json.dumps(metadata), now, now)
            try:
                database.execute("INSERT INTO users VALUES (?, ?, ?, ?, ?, ?, NULL)", row)
            except sqlite3.IntegrityError:
                raise AccountError(422, "user_already_exists", "User already registered") from None
            return _open_session(database, user_id)

    def sign_in(self, email: str, password: str) -> SignedIn:
        """Open a session.

        Raises:
            AccountError: if address and password do not belong together.
        """
        with self._transaction() as database:
            row = database.execute(
                "SELECT id, password FROM users WHERE email = ?", (email.strip().lower(),)
            ).fetchone()
            if row is None or not _matches(password, row["password"]):
                raise AccountError(400, "invalid_credentials", "Invalid login credentials")
            return _open_session(database, row["id"])

    def refresh(self, refresh_token: str) -> SignedIn:
        """Replace a refresh token.

        Raises:
            AccountError: if the token was used before or never given.
        """
        with self._transaction() as database:
            replacement = secrets.token_urlsafe(16)
            row = database.execute(
                "UPDATE sessions SET refresh_token = ? WHERE refresh_token = ? RETURNING id, user_id",
                (replacement, refresh_token),
            ).fetchone()
            if row is None:
                raise AccountError(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")
            return SignedIn(_user(database, row["user_id"]), row["id"], replacement)

    def sign_out(self, user_id: str, session_id: str, scope: str) -> None:
        """End the sessions that `scope` names: local (this one), others, or global (all)."""
        which = {"local": "AND id = ?2", "others": "AND id <> ?2"}.get(scope, "AND ?2 IS NOT NULL")
        with self._transaction() as database:
            database.execute(f"DELETE FROM sessions WHERE user_id = ?1 {which}", (user_id, session_id))  # noqa: S608

    def has_session(self, session_id: str) -> bool:
        """Whether the session is still open."""
        with self._transaction() as database:
            return database.execute("SELECT 1 FROM sessions WHERE id = ?", (session_id,)).fetchone() is not None

    def user(self, user_id: str) -> User:
        """Return one user.

        Raises:
            AccountError: if there is none of this id.
        """
        with self._transaction() as database:
            return _user(database, user_id)

    def users(self, page: int, per_page: int) -> tuple[list[User], int]:
        """Return one page of users, counted from 1, newest first; and how many there are in all."""
        with self._transaction() as database:
            rows = database.execute(
                "SELECT * FROM users ORDER BY created_at DESC, id LIMIT ? OFFSET ?", (per_page, (page - 1) * per_page)
            ).fetchall()
            total: int = database.execute("SELECT count(*) FROM users").fetchone()[0]
            return [_from_row(row) for row in rows], total

    def update(self, user_id: str, email: str | None, metadata: dict[str, Any]) -> User:
        """Change an address, unless it is None, and add to the metadata.

        Raises:
            AccountError: if there is none of this id, or the address is taken.
        """
        with self._transaction() as database:
            user = _user(database, user_id)
            row = (email or user.email, json.dumps(user.metadata | metadata), _now(), user_id)
            try:
                database.execute("UPDATE users SET email = ?, metadata = ?, updated_at = ? WHERE id = ?", row)
            except sqlite3.IntegrityError:
                raise AccountError(
                    422, "email_exists", "A user with this email address has already been registered"
                ) from None
            return _user(database, user_id)

    def delete(self, user_id: str) -> None:
        """Delete a user with all sessions.

        Raises:
            AccountError: if there is none of this id.
        """
        with self._transaction() as database:
            if database.execute("DELETE FROM users WHERE id = ?", (user_id,)).rowcount == 0:
                raise _no_such_user()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=10)) as database, database:
            database.row_factory = sqlite3.Row
            database.execute("PRAGMA foreign_keys = ON")
            yield database


def _open_session(database: sqlite3.Connection, user_id: str) -> SignedIn:
    session_id, refresh_token = str(uuid.uuid4()), secrets.token_urlsafe(16)
    database.execute("INSERT INTO sessions VALUES (?, ?, ?)", (session_id, user_id, refresh_token))
    database.execute("UPDATE users SET last_sign_in_at = ?1, updated_at = ?1 WHERE id = ?2", (_now(), user_id))
    return SignedIn(_user(database, user_id), session_id, refresh_token)


def _user(database: sqlite3.Connection, user_id: str) -> User:
    row = database.execute("SELECT * FROM users WHERE id = ?", (user_id,)).fetchone()
    if row is None:
        raise _no_such_user()
    return _from_row(row)


def _from_row(row: sqlite3.Row) -> User:
    names = ("id", "email", "created_at", "updated_at", "last_sign_in_at")
    return User(metadata=json.loads(row["metadata"]), **{name: row[name] for name in names})


def _no_such_user() -> AccountError:
    return AccountError(404, "user_not_found", "User not found")


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _hash(password: str) -> str:
    salt = secrets.token_bytes(16)
    return f"{salt.hex()}:{_derive(password, salt)}"


def _matches(password: str, stored: str) -> bool:
    salt, _, digest = stored.partition(":")
    return hmac.compare_digest(_derive(password, bytes.fromhex(salt)), digest)


def _derive(password: str, salt: bytes) -> str:
    # Few rounds: these accounts live as long as a test.
    return hashlib.scrypt(password.encode(), salt=salt, n=1024, r=8, p=1).hex()
