"""Secrets of Kubernetes, and the certificates in them."""
import base64
import subprocess


def key_pair(name):
    """A key and a certificate that it has signed itself, by the names that Kubernetes gives them."""
    pem = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", "-", "-out", "-"],
        capture_output=True, check=True, text=True).stdout
    end = pem.index("-----BEGIN CERTIFICATE")
    return {"tls.key": pem[:end], "tls.crt": pem[end:]}


def secret(name, files, kind="Opaque"):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": kind,
            "data": {file: base64.b64encode(text.encode()).decode() for file, text in files.items()}}
