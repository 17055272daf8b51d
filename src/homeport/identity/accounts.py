"""Service accounts: who may prove who they are, each by a key of its own.

In the directory `keys` of the data directory, for each key:

    <id>.json     the account's name, the public key and when it was made, mode 0600

The private key is in the file that `homeport keys create` writes, and nowhere else.
"""

import dataclasses
import datetime as dt
import json
import os
import pathlib
import re
import secrets
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from homeport.errors import InvalidArgumentError, NotFoundError

_NAME_RE: Final = re.compile(r"[a-z](?:[a-z0-9-]{0,28}[a-z0-9])?")
_ID_RE: Final = re.compile(r"[0-9a-f]{40}")
_KEY_BITS: Final = 2048
_DOMAIN: Final = "homeport.local"


@dataclasses.dataclass(frozen=True, slots=True)
class AccountKey:
    """One key of an account.

    Attributes:
        id: 40 hex digits; the `kid` of what it signs.
        email: Who signs with it.
        public_key: What its signatures are verified with.
        create_time: UTC.
    """

    id: str
    email: str
    public_key: rsa.RSAPublicKey
    create_time: dt.datetime

    def verifies(self, signature: bytes, signed: bytes) -> bool:
        """Tell whether this key made a signature (RS256) of these bytes."""
        try:
            self.public_key.verify(
                signature, signed, padding.PKCS1v15(), hashes.SHA256()
            )
        except InvalidSignature:
            return False
        return True


class AccountKeys:
    """The keys of one server; written by commands and read by the server meanwhile.

    Args:
        directory: `keys` in the data directory; made with the first key.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory
        # Id -> when the file was written, and what it holds.
        self._read: dict[str, tuple[int, AccountKey]] = {}

    def create(self, name: str, now: dt.datetime) -> tuple[AccountKey, str]:
        """Return a new key and its private half as PEM, which is not kept.

        Raises:
            InvalidArgumentError: The name is none of an account.
        """
        if not _NAME_RE.fullmatch(name):
            raise InvalidArgumentError(
                f"account {name!r}: give up to 30 lower-case letters, digits and "
                "hyphens, first a letter"
            )
        private = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
        email = f"{name}@{_DOMAIN}"
        key = AccountKey(secrets.token_hex(20), email, private.public_key(), now)
        self._write(key)
        pem = private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return key, pem.decode()

    def find(self, key_id: str) -> AccountKey | None:
        """Return a key, None if there is none of this id, or no more."""
        if not _ID_RE.fullmatch(key_id):
            return None
        path = self._path(key_id)
        try:
            written = path.stat().st_mtime_ns
            known = self._read.get(key_id)
            if known is not None and known[0] == written:
                return known[1]
            key = _parsed(key_id, path.read_text("utf-8"))
        except FileNotFoundError:
            self._read.pop(key_id, None)
            return None
        self._read[key_id] = (written, key)
        return key

    def list(self) -> tuple[AccountKey, ...]:
        """Return every key, the oldest first."""
        if not self._directory.is_dir():
            return ()
        found = (self.find(path.stem) for path in self._directory.glob("*.json"))
        keys = (key for key in found if key is not None)
        return tuple(sorted(keys, key=lambda key: (key.create_time, key.id)))

    def delete(self, key_id: str) -> None:
        """Forget a key; what it signed is refused from now on.

        Raises:
            NotFoundError: There is none of this id.
        """
        if self.find(key_id) is None:
            raise NotFoundError(
                f"no key has the id {key_id!r:.60}: homeport keys list shows them"
            )
        self._path(key_id).unlink(missing_ok=True)

    def _path(self, key_id: str) -> pathlib.Path:
        return self._directory / f"{key_id}.json"

    def _write(self, key: AccountKey) -> None:
        for folder in (self._directory.parent, self._directory):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        public = key.public_key.public_bytes(
            serialization.Encoding.PEM,
            serialization.PublicFormat.SubjectPublicKeyInfo,
        )
        document = {
            "email": key.email,
            "publicKey": public.decode(),
            "createTime": key.create_time.isoformat(),
        }
        with PrivateFile(self._path(key.id)) as file:
            file.write(json.dumps(document).encode())


class PrivateFile:
    """A file for its owner alone, which appears whole, and only if it is new.

    Args:
        path: What must not be there yet.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")

    def __enter__(self) -> Self:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        self._file = os.fdopen(os.open(self._partial, flags, 0o600), "wb")
        return self

    def write(self, content: bytes) -> None:
        """Write what it holds."""
        self._file.write(content)

    def __exit__(self, failure: type[BaseException] | None, *rest: object) -> None:
        with self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
        try:
            if failure is None:
                os.link(self._partial, self._path)
        finally:
            self._partial.unlink()


def _parsed(key_id: str, text: str) -> AccountKey:
    document = json.loads(text)
    public = serialization.load_pem_public_key(document["publicKey"].encode())
    if not isinstance(public, rsa.RSAPublicKey):
        raise TypeError(f"key {key_id} is no RSA key")
    created = dt.datetime.fromisoformat(document["createTime"])
    return AccountKey(key_id, document["email"], public, created)
