"""Certificates of an authority that is made for one engine and known to nobody else. Needs openssl."""

import dataclasses
import pathlib
import subprocess

from .cache import EngineError, require
from .node import die_with_parent

DAYS = "2"


@dataclasses.dataclass
class Certificates:
    """PEM files. The server's is for 127.0.0.1 and localhost, and holds its key as well."""

    authority: pathlib.Path
    server: pathlib.Path
    client: pathlib.Path
    client_key: pathlib.Path

    def files(self):
        """Paths of what clients need: the authority, a client's certificate, and its key."""
        return [str(self.authority), str(self.client), str(self.client_key)]

    @classmethod
    def make(cls, folder):
        """Makes them in `folder`, which may be there already: then they are kept."""
        made = cls(folder / "authority.pem", folder / "server.pem", folder / "client.pem", folder / "client.key")
        if made.server.exists():
            return made
        folder.mkdir(parents=True, exist_ok=True)
        key = folder / "authority.key"
        _openssl("req", "-x509", *_new_key(key), "-days", DAYS, "-subj", "/CN=authority of one test", "-out", made.authority)
        _sign(folder, made.authority, key, "client", "extendedKeyUsage=clientAuth")
        _sign(folder, made.authority, key, "server", "subjectAltName=IP:127.0.0.1,DNS:localhost")
        made.server.write_text((folder / "server.key").read_text() + made.server.read_text())
        return made


def _sign(folder, authority, authority_key, name, extension):
    """Makes `name.key`, and `name.pem` signed by the authority."""
    request, extensions = folder / f"{name}.csr", folder / f"{name}.ext"
    _openssl("req", *_new_key(folder / f"{name}.key"), "-subj", f"/CN={name}", "-out", request)
    extensions.write_text(extension)
    _openssl("x509", "-req", "-in", request, "-CA", authority, "-CAkey", authority_key, "-CAcreateserial",
             "-extfile", extensions, "-days", DAYS, "-out", folder / f"{name}.pem")


def _new_key(path):
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path]


def _openssl(*arguments):
    command = [require("openssl", "openssl"), *map(str, arguments)]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=die_with_parent)
    if result.returncode != 0:
        raise EngineError(f"openssl {arguments[0]} failed:\n{result.stdout[-2000:]}")
