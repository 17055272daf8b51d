"""What uv says to people becomes one sentence with the names that matter."""

import textwrap

import pytest

from homeport.environments import explanation
from homeport.environments.uvtool import Outcome
from homeport.errors import (
    DataLossError,
    FailedPreconditionError,
    HomeportError,
    NotFoundError,
    ResourceExhaustedError,
    UnavailableError,
)

TARGET = "Python 3.11 on linux-x86_64"


def explained(text: str, status: int = 1) -> HomeportError:
    return explanation.explain(Outcome(status, textwrap.dedent(text)), TARGET)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            """\
            error: No solution found when resolving dependencies
              cause: Because torchvision==0.15.1 depends on torch==2.0.0
                     and you require torch==1.13.1, we can conclude that your
                     requirements and torchvision==0.15.1 are incompatible.
                     And because you require torchvision==0.15.1, we can conclude
                     that your requirements are unsatisfiable.
            """,
            "torchvision 0.15.1 needs torch==2.0.0, but the requirements want "
            "torch==1.13.1: give torchvision and torch versions that go together, or "
            "leave torch without a version",
            id="a pin against a dependency",
        ),
        pytest.param(
            """\
              \u00d7 No solution found when resolving dependencies:
              ╰─▶ Because requests==2.31.0 depends on urllib3>=1.21.1,<3 and you
                  require requests==2.31.0, we can conclude that you require
                  urllib3>=1.21.1,<3.
                  And because you require urllib3==3, we can conclude that your
                  requirements are unsatisfiable.
            """,
            "requests 2.31.0 needs urllib3>=1.21.1,<3, but the requirements want "
            "urllib3==3: give requests and urllib3 versions that go together, or "
            "leave urllib3 without a version",
            id="a range against a pin, in the frame of other releases",
        ),
        pytest.param(
            """\
            error: No solution found when resolving dependencies
              cause: Because all versions of beta depend on shared>=2 and all
                     versions of alpha depend on shared<2, we can conclude that all
                     versions of alpha and all versions of beta are incompatible.
                     And because you require alpha==1.0 and beta==3.0, we can
                     conclude that your requirements are unsatisfiable.
            """,
            "beta 3.0 needs shared>=2, but alpha 1.0 needs shared<2: give beta and "
            "alpha versions that go together",
            id="two packages that want a third",
        ),
        pytest.param(
            """\
            error: No solution found when resolving dependencies
              cause: you require idna<3 and idna>4, which are incompatible
            """,
            "the requirements want idna<3 and idna>4, which no version is: keep one "
            "of the two lines of idna",
            id="one package twice",
        ),
    ],
)
def test_a_conflict_names_the_pair(text: str, said: str) -> None:
    error = explained(text)

    assert isinstance(error, explanation.ConflictError)
    assert error.message == said


@pytest.mark.parametrize(
    ("text", "cls", "said"),
    [
        (
            "Because there is no version of idna==99.0 and you require idna==99.0, "
            "we can conclude that your requirements are unsatisfiable.",
            NotFoundError,
            "there is no idna==99.0 in the index: choose a version that exists",
        ),
        (
            "Because my-code was not found in the package registry and you require "
            "my-code==1, we can conclude that your requirements are unsatisfiable.",
            NotFoundError,
            "no package is called my-code in the index: correct the name, or pack a "
            "module of your own with --extra-files",
        ),
        (
            "Because tensorflow==2.10.0 has no wheels with a matching Python ABI tag "
            "(e.g., `cp311`) and you require tensorflow==2.10, we can conclude that "
            "your requirements are unsatisfiable.\n\nhint: You require CPython 3.11",
            FailedPreconditionError,
            "tensorflow 2.10.0 has no wheel for Python 3.11 on linux-x86_64: choose a "
            "version that has one, or allow building it from source with --allow-build",
        ),
        (
            "Because the current Python version (3.11.7) does not satisfy "
            "Python>=3.12 and numpy==2.5.5 depends on Python>=3.12, we can conclude "
            "that numpy==2.5.5 cannot be used.\nAnd because you require "
            "numpy==2.5.5, we can conclude that your requirements are unsatisfiable.",
            FailedPreconditionError,
            "numpy 2.5.5 needs Python >=3.12, and this is for Python 3.11 on "
            "linux-x86_64: choose a version that runs there",
        ),
    ],
)
def test_one_requirement_that_cannot_be_met_is_named(
    text: str, cls: type[HomeportError], said: str
) -> None:
    error = explained(text)

    assert isinstance(error, cls)
    assert error.message == said


@pytest.mark.parametrize(
    "hint",
    [
        "An index URL (https://me:secret@index/simple) could not be queried due to a "
        "lack of valid authentication credentials (401 Unauthorized)",
        "An index (https://index/simple) returned a 403 Forbidden error.",
    ],
)
def test_an_index_that_wants_credentials_hides_its_packages(hint: str) -> None:
    error = explained(
        "cause: Because mine was not found in the package registry and you require "
        f"mine==1.0, we can conclude that your requirements are unsatisfiable.\n\n"
        f"hint: {hint}"
    )

    assert isinstance(error, UnavailableError)
    assert error.message.startswith(
        "the package index does not show mine to this machine (40"
    )
    assert "secret" not in error.message


def test_a_build_that_no_index_has_is_told_without_it() -> None:
    error = explained(
        "cause: Because there is no version of torch==2.5.1+cu121 and you require "
        "torch==2.5.1+cu121, we can conclude that your requirements are unsatisfiable."
    )

    assert isinstance(error, NotFoundError)
    assert error.message == (
        "there is no torch==2.5.1+cu121 in the index: leave out +cu121"
    )


@pytest.mark.parametrize(
    "text",
    [
        "error: Request failed after 3 retries in 4.7s\n"
        "  cause: Failed to fetch: http://me:secret@index.internal:8080/simple/idna/\n"
        "  cause: tcp connect error\n"
        "  cause: Connection refused (os error 111)\n",
        "Because black was not found in the cache and you require black, we can "
        "conclude that your requirements are unsatisfiable.\n\n"
        "hint: Packages were unavailable because the network was disabled.",
        "Using Python 3.11.7 environment at: .staging.secret/simple\n"
        "error: Failed to fetch: http://index.internal/idna/",
    ],
)
def test_an_index_that_does_not_answer_is_not_a_mistake_in_the_requirements(
    text: str,
) -> None:
    error = explained(text, status=2)

    assert isinstance(error, UnavailableError)
    assert "secret" not in error.message
    assert "/simple" not in error.message


def test_a_full_disk_and_a_changed_file_are_told_apart() -> None:
    full = explained("error: Failed to write\n  cause: No space (os error 28)", 2)
    changed = explained(
        """\
        error: Failed to download `idna==3.10`
          cause: Hash mismatch for `idna==3.10`

                 Expected:
                   sha256:00
        """
    )

    assert isinstance(full, ResourceExhaustedError)
    assert isinstance(changed, DataLossError)
    assert "idna==3.10 is not the file that was locked" in changed.message


def test_what_is_not_recognised_is_shown_in_uvs_words_without_places() -> None:
    error = explained(
        f"""\
        error: No solution found when resolving dependencies
          cause: Because the moon is full in /srv/homeport/data/x.txt and
                 https://me:secret@host.example/simple says so, {"nothing " * 80}
        """
    )

    assert error.message.startswith(
        f"the requirements cannot be met for {TARGET} (Because the moon is full in "
        "x.txt and host.example says so, nothing"
    )
    assert error.message.endswith("nothing ...): change them")
    assert len(error.message) < 550


def test_a_failure_of_uvs_own_is_no_mistake_in_the_requirements() -> None:
    error = explained("error: unexpected argument '--format' found", status=2)

    assert error.message == (
        "uv could not do its work (unexpected argument '--format' found): correct "
        "that and try again"
    )
