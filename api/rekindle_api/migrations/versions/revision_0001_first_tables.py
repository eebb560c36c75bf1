"""First tables: users, photos, jobs, both kinds of attempts, outbox and audit log."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision: str | None = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

MOMENT = sa.DateTime(timezone=True)
LIVE_PHOTO = sa.text("status = 'ready' AND deleted_at IS NULL")
OPEN_ATTEMPT = "status IN ('queued', 'processing')"


def timestamps() -> tuple[sa.Column[object], sa.Column[object]]:
    return (
        sa.Column("created_at", MOMENT, server_default=sa.func.now(), nullable=False),
        sa.Column("updated_at", MOMENT, server_default=sa.func.now(), nullable=False),
    )


def upgrade() -> None:
    create_users()
    create_photos()
    create_jobs()
    create_attempts(
        "restore_attempts",
        sa.Column("source_key", sa.Text, nullable=False),
        sa.Column("source_restore_id", sa.Uuid),
    )
    create_attempts(
        "animation_attempts",
        sa.Column("source_key", sa.Text),
        sa.Column("restore_id", sa.Uuid, sa.ForeignKey("restore_attempts.id", ondelete="SET NULL")),
    )
    create_outbox()
    create_audit_log()


def create_users() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("supabase_user_id", sa.Uuid, nullable=False, unique=True),
        sa.Column("email", sa.Text),
        sa.Column("status", sa.Text, server_default="active", nullable=False),
        sa.Column("deleted_at", MOMENT),
        *timestamps(),
        sa.CheckConstraint("status IN ('active', 'suspended', 'deleted')", name="status"),
    )


def create_photos() -> None:
    op.create_table(
        "photos",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("owner_id", sa.Uuid, sa.ForeignKey("users.id"), nullable=False),
        sa.Column("status", sa.Text, server_default="pending", nullable=False),
        sa.Column("bucket", sa.Text, nullable=False),
        sa.Column("original_key", sa.Text, nullable=False),
        sa.Column("thumbnail_key", sa.Text),
        sa.Column("sha256", sa.Text),
        sa.Column("size_bytes", sa.BigInteger),
        sa.Column("media_type", sa.Text),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("user_metadata", JSONB, server_default=sa.text("'{}'"), nullable=False),
        sa.Column("deleted_at", MOMENT),
        *timestamps(),
        sa.CheckConstraint("status IN ('pending', 'ready')", name="status"),
        sa.CheckConstraint(
            "status = 'pending' OR (sha256 IS NOT NULL AND size_bytes IS NOT NULL AND media_type IS NOT NULL"
            " AND width IS NOT NULL AND height IS NOT NULL AND thumbnail_key IS NOT NULL)",
            name="ready_is_complete",
        ),
    )
    op.create_index(
        "uq_photos_owner_id_sha256", "photos", ["owner_id", "sha256"], unique=True, postgresql_where=LIVE_PHOTO
    )
    op.create_index(
        "ix_photos_owner_id_created_at",
        "photos",
        ["owner_id", sa.text("created_at DESC"), sa.text("id DESC")],
        postgresql_where=LIVE_PHOTO,
    )
    op.create_index(
        "ix_photos_unfinished",
        "photos",
        ["updated_at"],
        postgresql_where=sa.text("status = 'pending' OR deleted_at IS NOT NULL"),
    )


def create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid, sa.ForeignKey("photos.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("owner_id", sa.Uuid, sa.ForeignKey("users.id"), nullable=False, index=True),
        sa.Column("selected_restore_id", sa.Uuid),
        *timestamps(),
    )


def create_attempts(table: str, *sources: sa.Column[object]) -> None:
    op.create_table(
        table,
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("job_id", sa.Uuid, sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
        sa.Column("owner_id", sa.Uuid, sa.ForeignKey("users.id"), nullable=False, index=True),
        sa.Column("status", sa.Text, server_default="queued", nullable=False),
        sa.Column("version", sa.Integer, server_default="1", nullable=False),
        sa.Column("model", sa.Text),
        sa.Column("requested", JSONB, nullable=False),
        sa.Column("parameters", JSONB, nullable=False),
        sa.Column("request_digest", sa.Text, nullable=False),
        sa.Column("bucket", sa.Text, nullable=False),
        *sources,
        sa.Column("output_prefix", sa.Text, nullable=False),
        sa.Column("progress_percent", sa.Integer),
        sa.Column("progress_stage", sa.Text),
        *(sa.Column(name, sa.Text) for name in ("reason", "message")),
        *(sa.Column(f"{name}_key", sa.Text) for name in ("preview", "result", "thumbnail", "manifest")),
        sa.Column("warnings", JSONB, server_default=sa.text("'[]'"), nullable=False),
        sa.Column("resource_version", sa.BigInteger),
        *(sa.Column(name, MOMENT) for name in ("cancel_requested_at", "started_at", "finished_at", "deleted_at")),
        *timestamps(),
        sa.CheckConstraint("status IN ('queued', 'processing', 'completed', 'failed', 'cancelled')", name="status"),
        sa.CheckConstraint("progress_percent BETWEEN 0 AND 100", name="progress_percent"),
        sa.CheckConstraint(f"(finished_at IS NULL) = ({OPEN_ATTEMPT})", name="finished_at"),
        sa.CheckConstraint("status <> 'completed' OR result_key IS NOT NULL", name="completed_has_result"),
    )
    op.create_index(
        f"uq_{table}_running_request",
        table,
        ["job_id", "request_digest"],
        unique=True,
        postgresql_where=sa.text(f"{OPEN_ATTEMPT} AND cancel_requested_at IS NULL AND deleted_at IS NULL"),
    )
    op.create_index(f"ix_{table}_open", table, ["updated_at"], postgresql_where=sa.text(OPEN_ATTEMPT))
    notify("rekindle_attempts", table, "job_id")


def create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("attempt_id", sa.Uuid, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("desired", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, server_default="1", nullable=False),
        sa.Column("available_at", MOMENT, server_default=sa.func.now(), nullable=False),
        sa.Column("claimed_until", MOMENT),
        sa.Column("attempts", sa.Integer, server_default="0", nullable=False),
        sa.Column("parked_at", MOMENT),
        sa.Column("last_error", sa.Text),
        *timestamps(),
        sa.CheckConstraint("kind IN ('restore', 'animation')", name="kind"),
        sa.CheckConstraint("desired IN ('create', 'cancel')", name="desired"),
    )
    op.create_index("ix_outbox_due", "outbox", ["available_at"], postgresql_where=sa.text("parked_at IS NULL"))
    due = "NEW.available_at <= now() AND NEW.claimed_until IS NULL AND NEW.parked_at IS NULL"
    notify("rekindle_outbox", "outbox", "attempt_id", when=due)


def notify(channel: str, table: str, column: str, when: str = "true") -> None:
    """Announce each inserted or changed row when its transaction commits; the payload is one of its ids."""
    op.execute(
        f"""
        CREATE FUNCTION notify_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('{channel}', NEW.{column}::text);
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        f"CREATE TRIGGER notify AFTER INSERT OR UPDATE ON {table} FOR EACH ROW WHEN ({when})"
        f" EXECUTE FUNCTION notify_{table}()"
    )


def create_audit_log() -> None:
    op.create_table(
        "audit_logs",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("at", MOMENT, server_default=sa.func.now(), nullable=False),
        sa.Column("actor_id", sa.Uuid),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject_id", sa.Uuid),
        sa.Column("request_id", sa.Text),
        sa.Column("details", JSONB, server_default=sa.text("'{}'"), nullable=False),
    )
    op.create_index("ix_audit_logs_subject_id_at", "audit_logs", ["subject_id", "at"])
    op.execute(
        """
        CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'audit_logs is append-only' USING ERRCODE = 'insufficient_privilege';
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_logs"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()"
    )


def downgrade() -> None:
    for table in ("audit_logs", "outbox", "animation_attempts", "restore_attempts", "jobs", "photos", "users"):
        op.drop_table(table)
    for function in ("refuse_audit_change", "notify_outbox", "notify_animation_attempts", "notify_restore_attempts"):
        op.execute(f"DROP FUNCTION {function}()")
