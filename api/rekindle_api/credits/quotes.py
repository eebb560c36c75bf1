"""What work would cost: the wishes that a client sends, and their prices. Pure."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from rekindle_api.settings import Costs


class CostOptions(BaseModel):
    """What shall be done: each of them true, or an object with its options.

    The body of a restore request is taken too: it names its options under `params`, where only `true` asks for an
    animation, since the frontend sends that object ticked or not.
    """

    model_config = ConfigDict(extra="ignore", alias_generator=to_camel, populate_by_name=True)

    restore: bool | dict[str, Any] | None = None
    colourize: bool | dict[str, Any] | None = None
    animate: bool | dict[str, Any] | None = None
    bring_together: bool | dict[str, Any] | None = None
    params: "CostOptions | None" = None

    def wishes(self) -> "Wishes":
        """Return what is asked for."""
        options = self.params or self
        restoration = options.restore if isinstance(options.restore, dict) else {}
        animate = options.animate is True if self.params else _asked(options.animate)
        bring_together = options.bring_together is True if self.params else _asked(options.bring_together)
        colourize = _asked(options.colourize) or restoration.get("colourize") is True
        restored_before = colourize and restoration.get("sourceResultId") is not None
        return Wishes(
            restore=not restored_before and (_asked(options.restore) or self.params is not None),
            colourize=colourize,
            animate=animate,
            bring_together=bring_together,
        )


@dataclass(frozen=True)
class Wishes:
    """What shall be done with a photo."""

    restore: bool = False
    colourize: bool = False
    animate: bool = False
    bring_together: bool = False


@dataclass(frozen=True)
class Quote:
    """The price of each wish by itself, and of all together, in credits."""

    restore: int
    colourize: int
    animate: int
    subtotal: int
    total: int


def quote(wishes: Wishes, costs: Costs) -> Quote:
    """Return what wishes cost. Restoring and colouring at once has a price of its own."""
    restore = costs.restore if wishes.restore else 0
    colourize = costs.colourize if wishes.colourize else 0
    animate = costs.animate if wishes.animate else 0
    both = wishes.restore and wishes.colourize
    total = (costs.restore_and_colourize if both else restore + colourize) + animate
    return Quote(restore, colourize, animate, subtotal=max(restore + colourize + animate, total), total=total)


def _asked(option: bool | dict[str, Any] | None) -> bool:
    return option is not None and option is not False
