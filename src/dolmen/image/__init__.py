"""Lock -> image: one configured, normalised, content-addressed tree."""

from dolmen.image.build import (
    Composed,
    Conditions,
    build,
    build_tree,
    image_key,
    settle,
    true_checkout,
)
from dolmen.image.closure import base_packages, configuration_order, dependencies
from dolmen.image.layer import commit_layer
from dolmen.image.status import read_status
from dolmen.store import Image

__all__ = [
    "Composed",
    "Conditions",
    "Image",
    "base_packages",
    "build",
    "build_tree",
    "commit_layer",
    "configuration_order",
    "dependencies",
    "image_key",
    "read_status",
    "settle",
    "true_checkout",
]
