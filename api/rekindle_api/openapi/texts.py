"""What the document says in words: the introduction, and what belongs to each tag."""

DESCRIPTION = """
Every call takes a Supabase access token as `Authorization: Bearer …`, but for health checks, prices and webhooks; event
streams also take a ticket. A user sees nothing of another: what is somebody else's is answered like what is not there.

Every error is [problem+json](https://www.rfc-editor.org/rfc/rfc9457). Its `code` is stable and for programs, its
`detail` is for people, and `request_id` names the request in the logs.

A reply to a GET carries an `ETag`: send it back as `If-None-Match`, and a reply that says nothing new is an empty 304.
""".strip()

TAGS = {
    "photos": "Upload photos, look at them, note something about them, delete them.",
    "jobs": "Restore and animate photos, and follow the attempts. A job is its photo, and has the photo's id.",
    "processing": "Where one attempt stands; cancel it, or ask again.",
    "events": "Live events of one photo, and the tickets with which browsers open them.",
    "users": "The caller's account: profile, copy from Supabase, deletion and export.",
    "credits": "What the caller can spend, what was spent, and what work costs.",
    "billing": "Subscriptions and credit packs, paid through Stripe.",
    "webhooks": "Called by Supabase and Stripe, never by clients.",
    "health": "For people, load balancers and Kubernetes.",
}
