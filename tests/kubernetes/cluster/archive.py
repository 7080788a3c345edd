"""Writes an image of one program, as containerd imports it: archive.py PROGRAM NAME:TAG <nothing> >archive.tar"""
import hashlib
import io
import json
import os
import sys
import tarfile


def tar_of(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def main():
    program, tag = sys.argv[1:]
    name = os.path.basename(program)
    with open(program, "rb") as file:
        layer = tar_of({name: file.read()})
    config = {"architecture": "amd64", "os": "linux", "config": {"Entrypoint": ["/" + name]},
              "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}
    manifest = [{"Config": "config.json", "RepoTags": [tag], "Layers": ["layer.tar"]}]
    sys.stdout.buffer.write(tar_of({"manifest.json": json.dumps(manifest).encode(), "layer.tar": layer,
                                    "config.json": json.dumps(config).encode()}))


main()
