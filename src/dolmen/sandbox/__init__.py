"""Namespaces: where maintainer scripts run, and how an image is entered."""

from dolmen.sandbox.builder import BuildJob, BuildResult, build

__all__ = ["BuildJob", "BuildResult", "build"]
