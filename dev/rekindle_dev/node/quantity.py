"""Amounts in Kubernetes' notation: 500m, 2Gi, 1e3."""

import math
import re
from decimal import Decimal

_UNITS = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}
_FORM = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([numkMGTPE]|[KMGTPE]i)?")


def parse(quantity: str | int) -> Decimal:
    """Return the amount that a quantity stands for.

    Raises:
        ValueError: when it is no quantity.
    """
    match = _FORM.fullmatch(str(quantity))
    if match is None:
        raise ValueError(f"{quantity!r} is no quantity")
    return Decimal(match[1]) * _UNITS[match[2] or ""]


def whole(quantity: str | int, divisor: str | int = 1) -> int:
    """Return a quantity in whole units of the divisor, rounded up.

    Raises:
        ValueError: when one of them is no quantity.
    """
    return math.ceil(parse(quantity) / (parse(divisor) or 1))
