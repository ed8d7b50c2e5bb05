"""Disks that boot, written without root, loop devices, mounts or a second copy of the tree."""
