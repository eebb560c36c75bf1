"""Who may call the node's own API: clients that the cluster's authority vouches for and the API server allows.

References:
    https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/
"""

import ssl
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rekindle_dev.node.apiserver import ApiServer, Object
from rekindle_dev.node.states import ADDRESS

_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_MEMORY = 60.0  # seconds that an answer of the API server is remembered


def server_context(name: str, folder: Path, authority: str) -> ssl.SSLContext:
    """Return TLS settings with a fresh certificate of our own, which accept only clients of the authority (PEM)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_own_certificate(name, folder))
    context.load_verify_locations(cadata=authority)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


class Gate:
    """Asks the API server whether the user that a client certificate names may act on the node."""

    def __init__(self, api: ApiServer, node: str) -> None:
        self._api, self._node = api, node
        self._answers: dict[tuple[str, tuple[str, ...]], tuple[float, bool]] = {}

    async def admits(self, certificate: Object) -> bool:
        """Say whether the subject of a verified certificate, as `ssl` decodes it, may call the node."""
        subject = [part for parts in certificate.get("subject", ()) for part in parts]
        user = next((value for key, value in subject if key == "commonName"), "")
        groups = tuple(value for key, value in subject if key == "organizationName")
        until, allowed = self._answers.get((user, groups), (0.0, False))
        if time.monotonic() < until:
            return allowed
        spec = {
            "user": user,
            "groups": [*groups, "system:authenticated"],
            "resourceAttributes": {"verb": "get", "resource": "nodes", "subresource": "proxy", "name": self._node},
        }
        review: Object = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        allowed = bool((await self._api.request("POST", _REVIEWS, body=review))["status"]["allowed"])
        self._answers[user, groups] = (time.monotonic() + _MEMORY, allowed)
        return allowed


def _own_certificate(name: str, folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{name}")])
    start = datetime.now(UTC) - timedelta(minutes=5)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(ADDRESS))]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "serving.pem"
    file.touch(mode=0o600)
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file
