"""`dolmen system build`."""

from __future__ import annotations

from dolmen.cli.options import session, verb


@verb(
    examples="""
        dolmen lock && dolmen system build
        dolmen -C machine system build --json
    """
)
def command() -> None:
    """Make the system image of dolmen.toml and dolmen.lock: one commit that boots.

    Needs root, or subordinate ids (subuid(5)): files have owners. Built before, it costs nothing.
    The numbers of users that packages make are written into dolmen.lock, and stay. The store keeps
    the five newest images of a directory; older ones are for gc.
    """
    from dolmen.store import Store
    from dolmen.system import building, keeping
    from dolmen.system.disk.making import declared

    current = session()
    environment = current.environment()
    directory = environment.directory
    manifest, lock = declared(directory)
    store = Store.open(current.store)
    image = building.build(lock, manifest, directory, store, emit=current.emit)
    is_new = building.keep_numbers(directory, lock, image)
    environment.create_state()
    keeping.remember(environment.state / "systems", image.key, store)
    current.close()
    current.answer(
        {
            "directory": directory,
            "key": image.key,
            "root": image.root,
            "commit": image.commit,
            "ref": f"system/{image.key}",
            "kernel": image.kernel,
            "packages": len(lock.packages),
        }
    )
    if is_new:
        current.say("Wrote the numbers of users and groups into dolmen.lock")
    current.say(f"System {image.root[:16]}, kernel {image.kernel}")
    current.say(f"Commit {image.commit}")
    current.say("Next: dolmen system image -o disk.raw")
