"""Does what a quickstart says, as it is written: quickstart.py DOCUMENT. It writes the files whose blocks begin with
`# file: NAME` or `// file: NAME`, and runs the `sh` blocks in one shell, in their order, in a fresh build/quickstart-LANG.
Exits with 77 where the gateway's own ports are taken."""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"(?:#|//|<!--) file: (\S+)")
PORTS = (8080, 9090, 9091)  # the gateway's own
LIMIT_SECONDS = 900
LEFT_OUT = 77  # as exit code


def script_of(document):
    """The blocks as one script, in which a file comes into being where its block stands."""
    lines = ["set -euo pipefail"]
    for language, text in BLOCK.findall(document):
        file = FILE.match(text)
        if language == "sh":
            lines.append(text)
        elif file:
            lines += [f"mkdir -p {os.path.dirname(file[1]) or '.'}", f"cat > {file[1]} <<'END OF FILE'", text + "END OF FILE"]
    lines.append("kill %1 2>/dev/null && wait %1 || true")
    return "\n".join(lines)


def is_taken(port):
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def main(path):
    taken = [port for port in PORTS if is_taken(port)]
    if taken:
        print(f"{path}: left out, since something listens on {taken} already")
        return LEFT_OUT
    # What an earlier time has left is not there for whoever follows it first.
    shutil.rmtree(os.path.join("build", os.path.splitext(os.path.basename(path))[0]), ignore_errors=True)
    with open(path) as file:
        script = script_of(file.read())
    begin = time.monotonic()
    # Background jobs have ids in a shell with job control only; all of them are ended with its session.
    shell = subprocess.Popen(["bash", "-mc", script], start_new_session=True)
    try:
        code = shell.wait(LIMIT_SECONDS)
    finally:
        subprocess.run(["pkill", "-KILL", "-s", str(shell.pid)], check=False)
    print(f"{path}: {'done' if code == 0 else f'ended with {code}'} after {time.monotonic() - begin:.0f} s")
    return 0 if code == 0 else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main(sys.argv[1]))
