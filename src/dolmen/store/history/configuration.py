"""A repository's own configuration (`config`, ostree.repo-config(5))."""

from __future__ import annotations

from dolmen.store.history.repository import History, told


def get(history: History, group: str, key: str) -> str:
    """A value; raises StoreError ("store-failed") where there is none."""
    with told():
        return str(history.repo.get_config().get_string(group, key))


def change(history: History, group: str, key: str, value: str | None) -> None:
    """Set a value, or take it away (None); what is not there is no error."""
    with history.changing() as repo:
        config = repo.copy_config()
        if value is not None:
            config.set_string(group, key, value)
        elif config.has_group(group) and key in config.get_keys(group)[0]:
            config.remove_key(group, key)
        repo.write_config(config)
