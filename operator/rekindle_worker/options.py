"""Command-line options for the parameters of a restoration, one for each field of the contract's model."""

import argparse

from rekindle_crds import RestoreParameters
from rekindle_crds.restore import Colorization, ColorMode, ImageFormat, Inpainting

_CHOICES = {"inpainting": Inpainting, "color_mode": ColorMode, "colorize": Colorization, "format": ImageFormat}
_NUMBERS = ("repair", "denoise", "tone", "sharpen", "max_megapixels", "quality")


def add_parameters(parser: argparse.ArgumentParser) -> None:
    """Add an option for each parameter; none has a default here, so that the model's defaults stay the only ones."""
    group = parser.add_argument_group("what to do to the photo")
    for name, field in RestoreParameters.model_fields.items():
        words = f"{field.description} Default: {_spoken(field.default)}.".replace("%", "%%")
        flag = "--" + name.replace("_", "-")
        if name in _NUMBERS:
            group.add_argument(flag, type=int, metavar="N", help=words, default=argparse.SUPPRESS)
        elif name in _CHOICES:
            known = [member.value for member in _CHOICES[name]]
            group.add_argument(flag, choices=known, help=words, default=argparse.SUPPRESS)
        else:
            group.add_argument(flag, metavar="TEXT", help=words, default=argparse.SUPPRESS)


def given_parameters(arguments: argparse.Namespace) -> dict[str, object]:
    """Return the parameters that were given on the command line."""
    return {name: value for name, value in vars(arguments).items() if name in RestoreParameters.model_fields}


def _spoken(default: object) -> str:
    return "none" if default is None else str(getattr(default, "value", default))
