"""Signing keys, the key set that publishes them, and the claims of an access token."""

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

LIFETIME_SECONDS = 3600
ALGORITHM = "ES256"


@dataclass(frozen=True)
class SigningKey:
    """A private key and the id under which its public half is published."""

    key_id: str
    private: ec.EllipticCurvePrivateKey

    @classmethod
    def new(cls) -> "SigningKey":
        """Make a fresh key on the curve P-256."""
        return cls(str(uuid.uuid4()), ec.generate_private_key(ec.SECP256R1()))

    def sign(self, claims: Mapping[str, Any], headers: Mapping[str, Any] | None = None) -> str:
        """Return the claims as a signed token."""
        return jwt.encode(dict(claims), self.private, ALGORITHM, headers={"kid": self.key_id, **(headers or {})})

    def public_jwk(self) -> dict[str, Any]:
        """Return the public half as a JSON Web Key."""
        key: dict[str, Any] = json.loads(ECAlgorithm.to_jwk(self.private.public_key()))
        return {**key, "kid": self.key_id, "alg": ALGORITHM, "use": "sig", "key_ops": ["verify"]}


class KeyRing:
    """The keys in a folder, one file each. The newest signs; all are published. Processes may share the folder."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def add(self) -> SigningKey:
        """Make a key that signs from now on."""
        key = SigningKey.new()
        pem = key.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        unfinished = self._directory / f"{key.key_id}.new"
        unfinished.touch(mode=0o600)
        unfinished.write_bytes(pem)
        unfinished.replace(self._directory / f"{time.time_ns():020d}_{key.key_id}.pem")
        return key

    def load(self) -> list[SigningKey]:
        """Return all keys, the oldest first."""
        return [_load(path) for path in sorted(self._directory.glob("*.pem"))]

    def newest(self) -> SigningKey:
        """Return the key that signs."""
        return self.load()[-1]

    def forget_old(self) -> None:
        """Withdraw every key but the newest: tokens that they signed are worth nothing from now on."""
        for path in sorted(self._directory.glob("*.pem"))[:-1]:
            path.unlink()

    def key_set(self) -> dict[str, Any]:
        """Return the public halves as a JSON Web Key Set."""
        return {"keys": [key.public_jwk() for key in self.load()]}


def claims(issuer: str, user_id: str, email: str, session_id: str, now: int) -> dict[str, Any]:
    """Return what an access token of a signed-in user says; times are seconds since 1970."""
    return {
        "iss": issuer,
        "aud": "authenticated",
        "exp": now + LIFETIME_SECONDS,
        "iat": now,
        "sub": user_id,
        "role": "authenticated",
        "aal": "aal1",
        "session_id": session_id,
        "email": email,
        "phone": "",
        "is_anonymous": False,
        "amr": [{"method": "password", "timestamp": now}],
        "app_metadata": {"provider": "email", "providers": ["email"]},
        "user_metadata": {},
    }


def _load(path: Path) -> SigningKey:
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{path} holds no EC key")
    return SigningKey(path.stem.split("_", 1)[1], key)
