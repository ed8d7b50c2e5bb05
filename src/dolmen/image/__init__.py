"""Lock -> image: one configured, normalised, content-addressed tree."""

from dolmen.image.build import Conditions, build, image_key
from dolmen.image.closure import base_packages, configuration_order, dependencies
from dolmen.store import Image

__all__ = [
    "Conditions",
    "Image",
    "base_packages",
    "build",
    "configuration_order",
    "dependencies",
    "image_key",
]
