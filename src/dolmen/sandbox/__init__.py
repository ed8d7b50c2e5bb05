"""Namespaces: where maintainer scripts run, and how an image is entered."""

from dolmen.sandbox.builder import BuildJob, BuildResult, build
from dolmen.sandbox.findings import Finding, probe, require
from dolmen.sandbox.hostfiles import host_files
from dolmen.sandbox.identities import Owner, give, identities, run_entered, settle
from dolmen.sandbox.launcher import launcher
from dolmen.sandbox.mountpoints import MOUNT_POINTS
from dolmen.sandbox.trial import Share, TrialEntry, prepare_layer, share, trial_argv

__all__ = [
    "MOUNT_POINTS",
    "BuildJob",
    "BuildResult",
    "Finding",
    "Owner",
    "Share",
    "TrialEntry",
    "build",
    "give",
    "host_files",
    "identities",
    "launcher",
    "prepare_layer",
    "probe",
    "require",
    "run_entered",
    "settle",
    "share",
    "trial_argv",
]
