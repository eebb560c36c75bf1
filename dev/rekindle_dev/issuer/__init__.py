"""A token issuer that speaks the part of Supabase Auth that supabase-js and supabase-py use for accounts.

It signs with ES256 and publishes its keys as a JWKS, as new Supabase projects do. Addresses are confirmed unasked, and
no mail is ever sent.
"""

from rekindle_dev.issuer.service import Session, TokenIssuer

__all__ = ["Session", "TokenIssuer"]
