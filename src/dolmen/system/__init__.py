"""Whole systems: an image that boots, the disk it lies on, and what a running machine does with it.

Nothing here knows of environments, nor they of this: both stand on `image/`.
"""
