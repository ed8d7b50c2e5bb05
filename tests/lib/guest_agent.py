"""Runs in a machine under test: commands come over a virtio port, one JSON object a line."""

import json
import os
import subprocess
import time

PORT = "/dev/virtio-ports/dolmen.test"


def answer(request: dict) -> dict:  # type: ignore[type-arg]
    """Run one command; the answer has its exit code and what it wrote."""
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", request["command"]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=request.get("timeout", 60),
            errors="replace",
        )
        code, out, err = done.returncode, done.stdout, done.stderr
    except subprocess.TimeoutExpired as error:
        code, out, err = 124, (error.stdout or b"").decode(errors="replace"), "timed out"
    return {"id": request["id"], "code": code, "out": out[-1 << 20 :], "err": err[-65536:]}


def main() -> None:
    """Say hello, then answer until the machine ends."""
    port = os.open(PORT, os.O_RDWR)
    rest = b""

    def send(value: dict) -> None:  # type: ignore[type-arg]
        data = json.dumps(value).encode() + b"\n"
        while data:
            data = data[os.write(port, data) :]

    with open("/proc/sys/kernel/random/boot_id") as stream:
        send({"hello": stream.read().strip()})
    while True:
        chunk = os.read(port, 65536)
        if not chunk:  # nobody listens on the other side
            time.sleep(0.2)
            continue
        rest += chunk
        *lines, rest = rest.split(b"\n")
        for line in lines:
            if line.strip():
                send(answer(json.loads(line)))


main()
