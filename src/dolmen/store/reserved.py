"""Which refs are the store's own."""

#: First parts of refs that keep packages, images and what is made of them: the collector may remove
#: them, and nobody moves them by hand. Any other ref is somebody's root.
OURS = ("deb", "image", "pyc", "initramfs")
