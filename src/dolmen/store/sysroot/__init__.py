"""libostree's sysroot: the deployments of a machine, read and changed through its own library."""
