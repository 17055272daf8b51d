"""A token is believed if an account of this server signed it, and while it is good."""

import base64
import datetime as dt
import json
import pathlib
from typing import Any

import hypothesis
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import strategies as st

from homeport.errors import InvalidArgumentError, NotFoundError, UnauthenticatedError
from homeport.identity.accounts import AccountKey, AccountKeys
from homeport.identity.tokens import Tokens

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
SECRET = b"s" * 32


class Issuer:
    """A server with one account, and a clock of its own."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.now = NOW
        self.keys = AccountKeys(directory / "keys")
        self.key, pem = self.keys.create("trainer", NOW)
        self.private = serialization.load_pem_private_key(pem.encode(), None)
        self.tokens = Tokens(self.keys, SECRET, lambda: self.now)

    def signed(self, claims: dict[str, Any] | None = None, **header: Any) -> str:
        """Return a token of the account, with some claims or headers of another."""
        return sign(self.private, self.key, claims or {}, header)


def sign(
    private: Any, key: AccountKey, claims: dict[str, Any], header: dict[str, Any]
) -> str:
    begins = int(NOW.timestamp())
    said = {"alg": "RS256", "typ": "JWT", "kid": key.id, **header}
    claimed = {"iss": key.email, "sub": key.email, "iat": begins, "exp": begins + 3600}
    text = ".".join(segment(one) for one in (said, {**claimed, **claims}))
    signature = private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{text}.{encoded(signature)}"


def segment(document: dict[str, Any]) -> str:
    return encoded(json.dumps(document).encode())


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer"))


def test_a_token_of_the_account_is_believed(issuer: Issuer) -> None:
    issuer.tokens.check(issuer.signed())


def test_an_access_token_is_believed_for_an_hour(tmp_path: pathlib.Path) -> None:
    issuer = Issuer(tmp_path)
    token = issuer.tokens.exchange(issuer.signed())

    issuer.now = NOW + dt.timedelta(minutes=59)
    issuer.tokens.check(token.text)
    issuer.now = NOW + dt.timedelta(hours=1)
    with pytest.raises(UnauthenticatedError, match="ask for a new one"):
        issuer.tokens.check(token.text)


def test_access_tokens_outlive_a_restart_and_no_other_server_takes_them(
    issuer: Issuer,
) -> None:
    token = issuer.tokens.exchange(issuer.signed()).text
    again = Tokens(issuer.keys, SECRET, lambda: NOW)
    other = Tokens(issuer.keys, b"t" * 32, lambda: NOW)

    again.check(token)
    with pytest.raises(UnauthenticatedError, match="not one of this server"):
        other.check(token)


@pytest.mark.parametrize("token", ["", "tok", "ya29.c.b0AXv0zTM", "a.b.c", "e30.e30.x"])
def test_what_says_nothing_of_us_is_let_through(issuer: Issuer, token: str) -> None:
    issuer.tokens.check(token)


BEGINS = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"exp": BEGINS}, "is over"),
        ({"iat": BEGINS + 120}, "has not begun"),
        ({"exp": BEGINS + 7200}, "more than an hour"),
        ({"exp": float("nan")}, "exp"),
        ({"iat": float("-inf")}, "iat"),
        ({"exp": "never"}, "exp"),
        ({"exp": None}, "exp"),
        ({"iss": "somebody@homeport.local"}, "somebody"),
        ({"sub": "somebody@homeport.local"}, "trainer"),
    ],
)
def test_a_signed_claim_is_no_claim_to_everything(
    issuer: Issuer, claims: dict[str, Any], message: str
) -> None:
    token = issuer.signed(claims)

    for use in (issuer.tokens.check, issuer.tokens.exchange):
        with pytest.raises(UnauthenticatedError, match=message):
            use(token)


@pytest.mark.parametrize(
    "algorithm", ["none", "HS256", "RS512", "rs256", None, ["RS256"]]
)
def test_a_token_does_not_choose_how_it_is_verified(
    issuer: Issuer, algorithm: object
) -> None:
    with pytest.raises(UnauthenticatedError, match="expected RS256"):
        issuer.tokens.check(issuer.signed(alg=algorithm))


def test_a_signature_by_another_key_is_forged(issuer: Issuer) -> None:
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    with pytest.raises(UnauthenticatedError, match="homeport keys create"):
        issuer.tokens.check(sign(stranger, issuer.key, {}, {}))


@pytest.mark.parametrize("key_id", ["", "0" * 40, "../../secret", "x" * 40])
def test_a_key_that_is_not_there_is_refused(issuer: Issuer, key_id: str) -> None:
    with pytest.raises(UnauthenticatedError, match="homeport keys create"):
        issuer.tokens.check(issuer.signed(kid=key_id))


def test_claims_that_were_changed_are_forged(issuer: Issuer) -> None:
    header, claims, signature = issuer.signed().split(".")
    changed = segment({"iss": issuer.key.email, "iat": BEGINS, "exp": BEGINS + 60})
    assert changed != claims

    with pytest.raises(UnauthenticatedError, match="homeport keys create"):
        issuer.tokens.check(f"{header}.{changed}.{signature}")


def test_a_deleted_key_is_refused_at_once(tmp_path: pathlib.Path) -> None:
    issuer = Issuer(tmp_path)
    token, access = issuer.signed(), issuer.tokens.exchange(issuer.signed()).text
    issuer.tokens.check(token)

    AccountKeys(tmp_path / "keys").delete(issuer.key.id)

    for shown in (token, access):
        with pytest.raises(UnauthenticatedError):
            issuer.tokens.check(shown)
    assert issuer.keys.list() == ()


@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.too_slow])
@hypothesis.given(where=st.integers(0, 10_000), what=st.characters(codec="ascii"))
def test_a_token_with_one_other_character_is_never_believed_for_another(
    issuer: Issuer, where: int, what: str
) -> None:
    token = issuer.tokens.exchange(issuer.signed()).text
    where = len("homeport-") + where % (len(token) - len("homeport-"))
    changed = token[:where] + what + token[where + 1 :]
    hypothesis.assume(base64_value(changed) != base64_value(token))

    with pytest.raises(UnauthenticatedError):
        issuer.tokens.check(changed)


def base64_value(token: str) -> object:
    text = token.removeprefix("homeport-")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except ValueError:
        return None


@pytest.mark.parametrize(
    "token",
    [
        "homeport-",
        "homeport-é",
        "homeport-" + "A" * 200,
        f"{encoded(b'[' * 50_000)}.e30.e30",
        "x" * 100_000,
    ],
)
def test_nonsense_is_no_token(issuer: Issuer, token: str) -> None:
    with pytest.raises(UnauthenticatedError):
        issuer.tokens.exchange(token)


def test_keys_are_listed_and_their_files_are_private(tmp_path: pathlib.Path) -> None:
    keys = AccountKeys(tmp_path / "data" / "keys")
    first = keys.create("trainer", NOW)[0]
    second = keys.create("reader", NOW + dt.timedelta(seconds=1))[0]

    assert [key.email for key in keys.list()] == [
        "trainer@homeport.local",
        "reader@homeport.local",
    ]
    assert {key.id for key in keys.list()} == {first.id, second.id}
    files = sorted((tmp_path / "data" / "keys").iterdir())
    assert [path.stat().st_mode & 0o777 for path in files] == [0o600, 0o600]
    assert "PRIVATE" not in files[0].read_text()


@pytest.mark.parametrize("name", ["", "A", "-a", "a-", "a" * 31, "a/b", "../a"])
def test_a_bad_name_is_refused(tmp_path: pathlib.Path, name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="lower-case letters"):
        AccountKeys(tmp_path).create(name, NOW)


def test_deleting_no_key_is_said(tmp_path: pathlib.Path) -> None:
    with pytest.raises(NotFoundError, match="homeport keys list"):
        AccountKeys(tmp_path).delete("0" * 40)
