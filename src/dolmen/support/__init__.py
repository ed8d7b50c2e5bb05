"""Small topical helpers every layer may use: errors, events, processes, files, locks, time."""
