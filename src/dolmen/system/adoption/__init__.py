"""From an ordinary Debian to the manifest of a declared one: what was chosen there, read off."""
