"""Accounts, credits, billing, webhook inbox, idempotency keys, rate limits, retention and watermarks."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision: str | None = "0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

MOMENT = sa.DateTime(timezone=True)
ATTEMPT_TABLES = ("restore_attempts", "animation_attempts")
LIVE_PHOTO = sa.text("status = 'ready' AND deleted_at IS NULL")
USER_MOMENTS = (
    "email_verified_at",
    "profile_changed_at",
    "banned_until",
    "supabase_updated_at",
    "renews_at",
    "deletion_requested_at",
    "purged_at",
)
TABLES = (
    "rate_limits",
    "idempotency_keys",
    "webhook_events",
    "payments",
    "checkouts",
    "subscriptions",
    "free_credit_claims",
    "credit_hold_parts",
    "credit_holds",
    "credit_entries",
    "credit_lots",
    "credit_accounts",
)


def moment(name: str, *, optional: bool = False, default: bool = False) -> sa.Column[object]:
    return sa.Column(name, MOMENT, nullable=optional, server_default=sa.func.now() if default else None)


def timestamps() -> tuple[sa.Column[object], sa.Column[object]]:
    return moment("created_at", default=True), moment("updated_at", default=True)


def user_column(*, primary_key: bool = False, index: bool = False, cascade: bool = False) -> sa.Column[object]:
    key = sa.ForeignKey("users.id", ondelete="CASCADE" if cascade else None)
    return sa.Column("user_id", sa.Uuid, key, nullable=False, primary_key=primary_key, index=index)


def whole(name: str, *, default: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.Integer, nullable=False, server_default="0" if default else None)


def upgrade() -> None:
    extend_users()
    extend_photos()
    for table in ATTEMPT_TABLES:
        extend_attempts(table)
    op.add_column("restore_attempts", sa.Column("credits_without_colour", sa.Integer))
    keep_used_photos()
    create_credits()
    keep_accounts_true()
    create_billing()
    create_inbox()
    create_request_records()
    op.create_index("ix_audit_logs_actor_id_at", "audit_logs", ["actor_id", "at"])
    op.create_index("ix_audit_logs_request_id", "audit_logs", ["request_id"])


def extend_users() -> None:
    for name in ("first_name", "last_name", "profile_image_url"):
        op.add_column("users", sa.Column(name, sa.Text))
    for name in USER_MOMENTS:
        op.add_column("users", sa.Column(name, MOMENT))
    op.add_column("users", sa.Column("tier", sa.Text, server_default="free", nullable=False))
    op.add_column("users", sa.Column("stripe_customer_id", sa.Text))
    op.create_unique_constraint("uq_users_stripe_customer_id", "users", ["stripe_customer_id"])
    op.create_check_constraint("tier", "users", "tier IN ('free', 'remember', 'cherish', 'forever')")
    op.drop_constraint("status", "users", type_="check")
    op.create_check_constraint("status", "users", "status IN ('active', 'suspended', 'deletion_requested', 'deleted')")
    op.create_index("ix_users_email", "users", [sa.text("lower(email)")])
    op.create_index("ix_users_deletion_requested_at", "users", ["deletion_requested_at"])
    op.create_index(
        "ix_users_unpurged",
        "users",
        ["deleted_at"],
        postgresql_where=sa.text("deleted_at IS NOT NULL AND purged_at IS NULL"),
    )


def extend_photos() -> None:
    op.add_column("photos", sa.Column("declared_bytes", sa.BigInteger))
    op.add_column("photos", sa.Column("declared_sha256", sa.Text))
    op.add_column("photos", sa.Column("expires_at", MOMENT))
    op.create_index("ix_photos_expires_at", "photos", ["expires_at"], postgresql_where=LIVE_PHOTO)
    op.create_index(
        "ix_photos_announced", "photos", ["created_at"], postgresql_where=sa.text("declared_bytes IS NOT NULL")
    )
    op.create_index(
        "ix_photos_stored",
        "photos",
        ["owner_id", "id"],
        postgresql_include=["size_bytes"],
        postgresql_where=LIVE_PHOTO,
    )


def extend_attempts(table: str) -> None:
    op.add_column(table, whole("credits", default=True))
    op.add_column(table, sa.Column("credits_charged", sa.Integer))
    op.add_column(table, whole("priority", default=True))
    op.add_column(table, sa.Column("watermark", sa.Boolean, nullable=False, server_default="false"))
    op.add_column(table, sa.Column("watermarked_result_key", sa.Text))
    op.add_column(table, sa.Column("watermarked_preview_key", sa.Text))
    op.add_column(table, sa.Column("watermarked_thumbnail_key", sa.Text))
    op.add_column(table, sa.Column("unfulfilled", JSONB, nullable=False, server_default=sa.text("'[]'")))
    op.add_column(table, sa.Column("estimated_completion_at", MOMENT))
    op.add_column(table, sa.Column("stored_bytes", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column(table, sa.Column("retention_days", sa.Integer))
    op.add_column(table, sa.Column("expires_at", MOMENT))
    live = sa.text("deleted_at IS NULL")
    op.create_index(f"ix_{table}_expires_at", table, ["expires_at"], postgresql_where=live)
    op.create_index(
        f"ix_{table}_stored",
        table,
        ["owner_id", "job_id"],
        postgresql_include=["stored_bytes"],
        postgresql_where=live,
    )


def keep_used_photos() -> None:
    """Keep a photo at least as long as what was made of it.

    A photo that another transaction holds is passed over instead of waited for: attempts end under the lock of a
    credit account, and photos are locked before that. Retention looks at the attempts too.
    """
    op.execute(
        """
        CREATE FUNCTION extend_photo() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE photos SET expires_at = NEW.expires_at WHERE id IN (
                SELECT id FROM photos WHERE id = NEW.job_id AND expires_at < NEW.expires_at
                FOR NO KEY UPDATE SKIP LOCKED
            );
            RETURN NULL;
        END $$
        """
    )
    for table in ATTEMPT_TABLES:
        op.execute(
            f"CREATE TRIGGER extend_photo AFTER UPDATE OF expires_at ON {table} FOR EACH ROW"
            " WHEN (NEW.expires_at IS NOT NULL) EXECUTE FUNCTION extend_photo()"
        )


def create_credits() -> None:
    op.create_table(
        "credit_accounts",
        user_column(primary_key=True),
        *(whole(name, default=True) for name in ("balance", "held", "debt")),
        *timestamps(),
        sa.CheckConstraint("held >= 0", name="held"),
        sa.CheckConstraint("debt >= 0", name="debt"),
    )
    op.create_table(
        "credit_lots",
        sa.Column("id", sa.Uuid, primary_key=True),
        user_column(),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("source_reference", sa.Text, nullable=False),
        whole("granted"),
        whole("remaining"),
        whole("held", default=True),
        moment("expires_at", optional=True),
        *timestamps(),
        sa.CheckConstraint("source IN ('free', 'subscription', 'top_up', 'adjustment', 'returned')", name="source"),
        sa.CheckConstraint("granted > 0", name="granted"),
        sa.CheckConstraint("held >= 0 AND held <= remaining AND remaining <= granted", name="remaining"),
        sa.UniqueConstraint("source", "source_reference"),
    )
    op.create_index(
        "ix_credit_lots_spendable",
        "credit_lots",
        ["user_id", "expires_at"],
        postgresql_where=sa.text("remaining > 0"),
    )
    op.create_index(
        "ix_credit_lots_expires_at", "credit_lots", ["expires_at"], postgresql_where=sa.text("remaining > held")
    )
    op.create_table(
        "credit_entries",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        user_column(),
        sa.Column("lot_id", sa.Uuid, sa.ForeignKey("credit_lots.id")),
        sa.Column("kind", sa.Text, nullable=False),
        whole("amount"),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("attempt_id", sa.Uuid),
        sa.Column("description", sa.Text, nullable=False),
        moment("created_at", default=True),
        sa.CheckConstraint("kind IN ('granted', 'spent', 'expired', 'reversed', 'adjusted')", name="kind"),
        sa.CheckConstraint("amount <> 0", name="amount"),
        sa.UniqueConstraint("kind", "reference", "lot_id", postgresql_nulls_not_distinct=True),
    )
    op.create_index("ix_credit_entries_user_id_id", "credit_entries", ["user_id", sa.text("id DESC")])
    op.create_table(
        "credit_holds",
        sa.Column("attempt_id", sa.Uuid, primary_key=True),
        user_column(),
        whole("credits"),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="held"),
        moment("created_at", default=True),
        moment("resolved_at", optional=True),
        sa.CheckConstraint("state IN ('held', 'captured', 'released')", name="state"),
        sa.CheckConstraint("credits > 0", name="credits"),
        sa.CheckConstraint("(state = 'held') = (resolved_at IS NULL)", name="resolved_at"),
    )
    op.create_index("ix_credit_holds_user_id", "credit_holds", ["user_id"], postgresql_where=sa.text("state = 'held'"))
    op.create_table(
        "credit_hold_parts",
        sa.Column(
            "attempt_id",
            sa.Uuid,
            sa.ForeignKey("credit_holds.attempt_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("lot_id", sa.Uuid, sa.ForeignKey("credit_lots.id"), primary_key=True),
        whole("credits"),
        sa.CheckConstraint("credits > 0", name="credits"),
    )
    op.create_table(
        "free_credit_claims",
        sa.Column("email_sha256", sa.Text, primary_key=True),
        moment("created_at", default=True),
    )


def keep_accounts_true() -> None:
    """Make the balance the sum of the entries, the entries append-only, and refuse commits that do not add up.

    The balance is written with the rights of the owner, so that the service needs none to write it by itself.
    """
    op.execute(
        """
        CREATE FUNCTION add_credit_entry() RETURNS trigger LANGUAGE plpgsql
        SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        BEGIN
            UPDATE credit_accounts SET balance = balance + NEW.amount, updated_at = now() WHERE user_id = NEW.user_id;
            IF NOT FOUND THEN
                RAISE EXCEPTION 'user % has no credit account', NEW.user_id USING ERRCODE = 'foreign_key_violation';
            END IF;
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER add_to_balance AFTER INSERT ON credit_entries FOR EACH ROW EXECUTE FUNCTION add_credit_entry()"
    )
    op.execute(
        """
        CREATE FUNCTION refuse_credit_entry_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'credit_entries is append-only' USING ERRCODE = 'insufficient_privilege';
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON credit_entries"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_credit_entry_change()"
    )
    op.execute(
        """
        CREATE FUNCTION check_credit_account() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            account credit_accounts%ROWTYPE;
            lots record;
        BEGIN
            SELECT * INTO account FROM credit_accounts WHERE user_id = NEW.user_id;
            SELECT coalesce(sum(remaining), 0) AS remaining, coalesce(sum(held), 0) AS held INTO lots
                FROM credit_lots WHERE user_id = NEW.user_id AND remaining > 0;
            IF account.balance <> lots.remaining - account.debt OR account.held <> lots.held THEN
                RAISE EXCEPTION 'credits of user % do not add up: balance %, held %, debt %, lots % of which held %',
                    NEW.user_id, account.balance, account.held, account.debt, lots.remaining, lots.held
                    USING ERRCODE = 'check_violation';
            END IF;
            RETURN NULL;
        END $$
        """
    )
    for table in ("credit_accounts", "credit_lots"):
        op.execute(
            f"CREATE CONSTRAINT TRIGGER adds_up AFTER INSERT OR UPDATE ON {table} DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION check_credit_account()"
        )


def create_billing() -> None:
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.Text, primary_key=True),
        user_column(index=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("status", "tier", "price_id")),
        moment("current_period_start", optional=True),
        moment("current_period_end", optional=True),
        *(
            sa.Column(name, sa.Boolean, nullable=False, server_default="false")
            for name in ("cancel_at_period_end", "superseded")
        ),
        moment("started_at"),
        moment("ended_at", optional=True),
        *timestamps(),
    )
    op.create_table(
        "checkouts",
        sa.Column("id", sa.Text, primary_key=True),
        user_column(index=True),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("item", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False, server_default="open"),
        moment("expires_at"),
        *timestamps(),
        sa.CheckConstraint("mode IN ('subscription', 'payment')", name="mode"),
    )
    op.create_table(
        "payments",
        sa.Column("id", sa.Text, primary_key=True),
        user_column(index=True),
        sa.Column("payment_intent_id", sa.Text, unique=True),
        sa.Column("subscription_id", sa.Text, index=True),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("amount_refunded", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("currency", sa.Text, nullable=False),
        whole("credits", default=True),
        moment("paid_at"),
        *timestamps(),
        sa.CheckConstraint(
            "amount >= 0 AND amount_refunded >= 0 AND amount_refunded <= amount", name="amount_refunded"
        ),
    )


def create_inbox() -> None:
    op.create_table(
        "webhook_events",
        sa.Column("id", sa.Uuid, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("source", "external_id", "type")),
        sa.Column("object_id", sa.Text, index=True),
        moment("occurred_at"),
        moment("received_at", default=True),
        moment("available_at", default=True),
        moment("claimed_until", optional=True),
        whole("attempts", default=True),
        moment("handled_at", optional=True),
        moment("parked_at", optional=True),
        sa.Column("outcome", sa.Text),
        sa.Column("last_error", sa.Text),
        sa.UniqueConstraint("source", "external_id"),
    )
    op.create_index(
        "ix_webhook_events_due",
        "webhook_events",
        ["available_at"],
        postgresql_where=sa.text("handled_at IS NULL"),
    )
    op.execute(
        """
        CREATE FUNCTION notify_webhook_events() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('rekindle_webhooks', NEW.id::text);
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER notify AFTER INSERT OR UPDATE ON webhook_events FOR EACH ROW"
        " WHEN (NEW.handled_at IS NULL AND NEW.parked_at IS NULL AND NEW.claimed_until IS NULL"
        " AND NEW.available_at <= now()) EXECUTE FUNCTION notify_webhook_events()"
    )


def create_request_records() -> None:
    op.create_table(
        "idempotency_keys",
        user_column(primary_key=True, cascade=True),
        sa.Column("route", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.Text, nullable=False),
        whole("status_code"),
        sa.Column("body", JSONB, nullable=False),
        moment("created_at", default=True),
        sa.Column("expires_at", MOMENT, nullable=False, index=True),
    )
    op.create_table(
        "rate_limits",
        user_column(primary_key=True, cascade=True),
        sa.Column("policy", sa.Text, primary_key=True),
        sa.Column("theoretical_arrival", MOMENT, nullable=False, index=True),
    )


def downgrade() -> None:
    op.drop_index("ix_audit_logs_request_id", "audit_logs")
    op.drop_index("ix_audit_logs_actor_id_at", "audit_logs")
    for table in TABLES:
        op.drop_table(table)
    for function in (
        "notify_webhook_events",
        "check_credit_account",
        "refuse_credit_entry_change",
        "add_credit_entry",
    ):
        op.execute(f"DROP FUNCTION {function}()")
    for table in ATTEMPT_TABLES:
        op.execute(f"DROP TRIGGER extend_photo ON {table}")
        for column in (
            "credits",
            "credits_charged",
            "priority",
            "watermark",
            "watermarked_result_key",
            "watermarked_preview_key",
            "watermarked_thumbnail_key",
            "unfulfilled",
            "estimated_completion_at",
            "stored_bytes",
            "retention_days",
            "expires_at",
        ):
            op.drop_column(table, column)
    op.execute("DROP FUNCTION extend_photo()")
    op.drop_column("restore_attempts", "credits_without_colour")
    op.drop_index("ix_photos_stored", "photos")
    for column in ("declared_bytes", "declared_sha256", "expires_at"):
        op.drop_column("photos", column)
    op.execute("UPDATE users SET status = 'suspended' WHERE status = 'deletion_requested'")
    op.drop_constraint("status", "users", type_="check")
    op.create_check_constraint("status", "users", "status IN ('active', 'suspended', 'deleted')")
    op.drop_index("ix_users_email", "users")
    for column in (
        "first_name",
        "last_name",
        "profile_image_url",
        *USER_MOMENTS,
        "tier",
        "stripe_customer_id",
    ):
        op.drop_column("users", column)
