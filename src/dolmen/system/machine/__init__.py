"""What a machine that runs a system image does: read its deployments and change them."""
