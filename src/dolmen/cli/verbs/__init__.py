"""One module a verb: parse, one call, render. Each has a click command named `command`."""
