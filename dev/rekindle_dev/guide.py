"""Tells how to reach a running stack: on the screen, and as a file for a shell."""

import shlex
import sys
from pathlib import Path

from rekindle_dev.state import Record


def variables(record: Record) -> dict[str, str]:
    """Return the environment variables with which our programs, kubectl and AWS tools use the stack."""
    return {
        "KUBECONFIG": record.kubeconfig,
        "REKINDLE_NAMESPACE": record.namespace,
        "REKINDLE_API_URL": record.api,
        "SUPABASE_URL": record.supabase_url,
        "SUPABASE_PUBLISHABLE_KEY": record.supabase_publishable_key,
        "SUPABASE_SECRET_KEY": record.supabase_secret_key,
        "SUPABASE_SERVICE_KEY": record.supabase_secret_key,
        "SUPABASE_WEBHOOK_SECRETS": record.supabase_webhook_secret,
        "AWS_ENDPOINT_URL_S3": record.s3_endpoint,
        "AWS_ACCESS_KEY_ID": record.s3_access_key_id,
        "AWS_SECRET_ACCESS_KEY": record.s3_secret_access_key,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "S3_BUCKET": record.s3_bucket,
        "DATABASE_URL": record.database_url,
    }


def environment_file(record: Record, directory: Path) -> Path:
    """Write `environment` into a stack's folder, for `source`; only its owner can read it."""
    path = directory / "environment"
    path.touch(mode=0o600)
    lines = (f"export {name}={shlex.quote(value)}\n" for name, value in variables(record).items())
    path.write_text("".join(lines))
    return path


def reach(record: Record, directory: Path) -> str:
    """Return the text that a person reads when everything runs."""
    commands = Path(sys.executable).parent
    rows = {
        "API": f"{record.api}  (to read and try at {record.api}/docs)",
        "KUBECONFIG": record.kubeconfig,
        "S3": f"{record.s3_endpoint}  bucket {record.s3_bucket}",
        "Token issuer": f"{record.supabase_url}  (a SUPABASE_URL)",
        "DATABASE_URL": record.database_url,
        "Logs": f"{directory}/*.log",
        "All as variables": f"source {directory}/environment",
        "For example": f"{commands}/kubectl --kubeconfig {record.kubeconfig} get restorejobs",
    }
    width = max(map(len, rows))
    return "\n".join(f"  {name:{width}}  {value}" for name, value in rows.items())
