"""The command line: the only room that prints, colours, and decides exit codes."""
