import pytest

from homeport.errors import FailedPreconditionError, InvalidArgumentError
from homeport.objects.addresses import StoreAddress, check_endpoint


def test_an_address_has_a_bucket_a_folder_and_how_to_get_there() -> None:
    address = StoreAddress.parse(
        "s3://lab/a/b?endpoint=http://minio:9000/&region=eu-central-1&anonymous=true"
    )

    assert address == StoreAddress(
        "s3", "lab", "a/b/", "http://minio:9000", "eu-central-1", anonymous=True
    )
    assert str(address) == "s3://lab/a/b/"


@pytest.mark.parametrize(
    "text",
    [
        "http://lab/a",
        "s3://",
        "s3:///a",
        "gs://Lab/",
        "s3://lab/a/../b",
        "s3://lab/a//b",
        "s3://lab/./b",
        "s3://lab/a\nb",
        "s3://lab/?anonymous=perhaps",
        "s3://user:hunter2@lab/",
        "s3://lab/?aws_secret_access_key=hunter2",
    ],
)
def test_what_is_no_address_is_refused_without_its_secrets(text: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        StoreAddress.parse(text)

    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    ("uri", "key"),
    [
        ("gs://a/b", ""),
        ("gs://a/b/", ""),
        ("gs://a/b/c", "c"),
        ("gs://a/b/c/d/", "c/d"),
        ("gs://a/b/p%2Fq", "p%2Fq"),
        ("gs://a/bc", None),
        ("gs://a", None),
        ("gs://ab/b/c", None),
        ("s3://a/b/c", None),
    ],
)
def test_a_folder_ends_at_its_slash(uri: str, key: str | None) -> None:
    assert StoreAddress.parse("gs://a/b").key_of(uri) == key


def test_the_bucket_itself_is_a_folder() -> None:
    address = StoreAddress.parse("gs://a")

    assert address.key_of("gs://a") == ""
    assert address.key_of("gs://a/x") == "x"
    assert address.key_of("gs://ab/x") is None


def test_the_endpoint_is_said_in_the_address_or_in_the_variables() -> None:
    variables = {"AWS_ENDPOINT_URL": "https://all/", "AWS_ENDPOINT_URL_S3": ""}
    said = StoreAddress.parse("s3://a/?endpoint=https://one")

    assert said.reached(variables) == "https://one"
    assert StoreAddress.parse("s3://a").reached(variables) == "https://all"
    assert StoreAddress.parse("gs://a").reached(variables) == ""


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0.0.0.0",  # noqa: S104
        "10.1.2.3",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "[::1]",
        "[fe80::1]",
        "[fd00::1]",
        "[::ffff:127.0.0.1]",
    ],
)
def test_an_endpoint_that_is_not_public_is_refused_unless_listed(host: str) -> None:
    listed = f"{host.strip('[]')}:9000"

    with pytest.raises(FailedPreconditionError, match="--private-endpoint"):
        check_endpoint(f"https://{host}:9000", [])
    with pytest.raises(FailedPreconditionError, match="--private-endpoint"):
        check_endpoint(f"https://{host}:9000", [f"{host.strip('[]')}:9001"])
    check_endpoint(f"http://{host}:9000", [listed])


def test_a_public_endpoint_is_used_over_https_alone() -> None:
    check_endpoint("https://8.8.8.8", [])

    with pytest.raises(FailedPreconditionError, match="not HTTPS"):
        check_endpoint("http://8.8.8.8", [])


@pytest.mark.parametrize(
    "url",
    [
        "minio:9000",
        "ftp://8.8.8.8",
        "https://",
        "https://u:hunter2@8.8.8.8",
        "https://8.8.8.8:x",
    ],
)
def test_what_is_no_endpoint_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(InvalidArgumentError, match="https://HOST") as caught:
        check_endpoint(url, [])

    assert "hunter2" not in caught.value.message
