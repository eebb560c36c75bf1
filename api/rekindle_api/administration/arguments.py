"""The arguments of `rekindle-api admin`."""

import argparse
import secrets
import uuid

from rekindle_api.administration import inbox, money, orders, people, trail
from rekindle_api.administration.program import Command, run_admin
from rekindle_api.administration.records import EVENT_STATES

_DESCRIPTION = """Look up and put right what only people can. What is shown or changed is written to the audit log
with the name of who did it and the reason."""
_EXAMPLES = """examples:
  rekindle-api admin user show ann@example.com --reason "ticket 4711"
  rekindle-api admin user suspend 0197d3c2-… --reason "stolen card"
  rekindle-api admin credits adjust ann@example.com +5 --reason "ticket 4711" --reference ticket-4711
  rekindle-api admin webhooks list --state parked
  rekindle-api admin webhooks replay evt_1Qx…
  rekindle-api admin outbox retry 0197d3c2-…
  rekindle-api admin ledger check --json

exit status: 0 done; 1 refused, not found, or the ledger does not add up; 2 wrong arguments, settings or database.
"""
_USER = "id of the account, its Supabase id, or its e-mail"

# The name that argparse has for what add_subparsers returns.
Commands = argparse._SubParsersAction  # noqa: SLF001


def describe(admin: argparse.ArgumentParser) -> None:
    """Add everything below the command."""
    admin.description = _DESCRIPTION
    admin.epilog = _EXAMPLES
    admin.formatter_class = argparse.RawDescriptionHelpFormatter
    subjects = admin.add_subparsers(required=True, metavar="SUBJECT")
    _add_user(subjects)
    _add_credits(subjects)
    _add_webhooks(subjects)
    _add_outbox(subjects)
    _add_ledger(subjects)
    audit = _command(subjects, "audit", trail.show_trail, "show what was done by or to an id, newest first")
    audit.add_argument("id", help="id of an account, a photo, an attempt or a request")
    _limited(audit, 50)


def _add_user(subjects: "Commands[argparse.ArgumentParser]") -> None:
    user = _subject(subjects, "user", "accounts")
    show = _command(user, "show", people.show_user, "show state, credits, storage, last attempts and payments")
    show.add_argument("user", metavar="USER", help=_USER)
    _limited(show, 10)
    suspend = _command(user, "suspend", people.suspend_user, "refuse the account everything", reason=True)
    suspend.add_argument("user", metavar="USER", help=_USER)
    resume = _command(user, "resume", people.resume_user, "let a suspended account act again", reason=True)
    resume.add_argument("user", metavar="USER", help=_USER)


def _add_credits(subjects: "Commands[argparse.ArgumentParser]") -> None:
    credits_ = _subject(subjects, "credits", "credits of an account")
    adjust = _command(credits_, "adjust", money.adjust_credits, "give or take credits", reason=True)
    adjust.add_argument("user", metavar="USER", help=_USER)
    adjust.add_argument("amount", metavar="AMOUNT", type=_amount, help="how many: +5 gives, -5 takes")
    adjust.add_argument(
        "--reference",
        default=f"admin-{secrets.token_hex(6)}",
        help="what it is for, such as a ticket: the same reference is done once (default: a new one)",
    )


def _add_webhooks(subjects: "Commands[argparse.ArgumentParser]") -> None:
    webhooks = _subject(subjects, "webhooks", "inbox of webhooks")
    listed = _command(webhooks, "list", inbox.list_events, "list events, newest first")
    listed.add_argument("--state", choices=sorted(EVENT_STATES), help="only those that stand so")
    listed.add_argument("--source", help="only those of one provider, such as stripe")
    _limited(listed, 20)
    show = _command(webhooks, "show", inbox.show_event, "show an event, or those about an object")
    show.add_argument("event", metavar="ID", help="id that the provider gave the event or the object")
    replay = _command(webhooks, "replay", inbox.replay_event, "have an event handled again")
    replay.add_argument("event", metavar="ID", help="id that the provider gave the event")


def _add_outbox(subjects: "Commands[argparse.ArgumentParser]") -> None:
    outbox = _command(subjects, "outbox", orders.show_outbox, "show what waits for the bridge, and what was set aside")
    _limited(outbox, 20)
    retry = _command(
        outbox.add_subparsers(metavar="[retry]"), "retry", orders.retry_order, "have an order taken up now"
    )
    retry.add_argument("attempt", metavar="ATTEMPT", type=uuid.UUID, help="id of the attempt")


def _add_ledger(subjects: "Commands[argparse.ArgumentParser]") -> None:
    ledger = _subject(subjects, "ledger", "ledger of credits")
    check = _command(ledger, "check", money.check_ledger, "compare balances with entries, lots and holds")
    check.add_argument("user", metavar="USER", nargs="?", help=f"{_USER} (default: all accounts)")


def _subject(
    subjects: "Commands[argparse.ArgumentParser]", name: str, what: str
) -> "Commands[argparse.ArgumentParser]":
    return subjects.add_parser(name, help=what, description=what).add_subparsers(required=True, metavar="COMMAND")


def _command(
    commands: "Commands[argparse.ArgumentParser]", name: str, command: Command, what: str, *, reason: bool = False
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--actor", help="who does it, for the audit log (default: the user of the operating system)")
    parser.add_argument("--reason", required=reason, type=_reason, help="why, for the audit log")
    parser.set_defaults(run=run_admin, command=command)
    return parser


def _limited(parser: argparse.ArgumentParser, default: int) -> None:
    parser.add_argument("--limit", type=_limit, default=default, help="most that are shown (default: %(default)s)")


def _amount(text: str) -> int:
    if not (amount := int(text)):
        raise argparse.ArgumentTypeError("zero credits change nothing")
    return amount


def _limit(text: str) -> int:
    if not 1 <= (limit := int(text)) <= 1000:
        raise argparse.ArgumentTypeError("1 to 1000")
    return limit


def _reason(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("say why")
    return text
