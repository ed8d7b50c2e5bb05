"""From a configured tree, as a chroot has it, to the tree of a deployment; pass by pass.

Each pass works on the tree's names and objects alone; nothing is run, nothing is checked out.
`../../../../docs/system.md` tells where everything goes.
"""
