"""Dates as people write them, understood by date(1)."""

from __future__ import annotations

import os


def seconds(words: str) -> int:
    """A time as seconds of UTC: `@N`, or whatever date(1) understands, in the caller's time zone.

    git's spelling with dots (`2.days.ago`) is understood too. Raises UsageError.
    """
    from dolmen.support.errors import UsageError
    from dolmen.support.run import CLEAN_ENVIRONMENT, run

    if words[:1] == "@" and words[1:].isdecimal():
        return int(words[1:])
    env = {**CLEAN_ENVIRONMENT, **{k: v for k, v in os.environ.items() if k == "TZ"}}
    for spelling in dict.fromkeys((words, words.replace(".", " "))):
        done = run(["date", f"--date={spelling}", "+%s"], timeout=10, env=env)
        if done.ok and spelling.strip():
            return int(done.stdout)
    raise UsageError(f"Could not parse '{words}'", hint="--timestamp='2024-01-31 12:00 +0000'")
