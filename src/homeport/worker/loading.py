"""Why a model did not load, in the words its author needs."""

import dataclasses
import pathlib
import traceback
import types
from collections.abc import Iterable
from typing import Final

from homeport.errors import FailedPreconditionError, InvalidArgumentError
from homeport.worker import distributions, optional, places

OFFERED: Final = (
    "Homeport brings BaseHandler, VisionHandler, ImageClassifier, Context and "
    "ts.utils.util: subclass BaseHandler and keep the rest in your own file"
)
"""What to do about a part of `ts` that there is not."""
_NOT_ALLOWED: Final = (
    "A worker may change files below tempfile.gettempdir() alone, and read the archive "
    "and what is installed: pack what it reads with --extra-files, or start with "
    "--worker-read or --worker-write and the folder."
)
_OURS: Final = str(pathlib.Path(__file__).parent)


class LoadRefusedError(FailedPreconditionError):
    """The archive cannot be served, for a reason that is known here.

    Args:
        cause: One sentence without the final full stop.
        remedy: What to do, one sentence.
    """

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause}. {remedy}")
        self.cause = cause
        self.remedy = remedy


@dataclasses.dataclass(frozen=True, slots=True)
class LoadFailure:
    """What the parent is told.

    Attributes:
        cause: One sentence without the final full stop.
        remedy: What to do, one sentence.
        traceback: The author's frames as Python prints them, "" if there are none.
    """

    cause: str
    remedy: str
    traceback: str


def explain(
    error: Exception, model_dir: pathlib.Path, doing: str = "loading the model"
) -> LoadFailure:
    """Return the failure that `error`, raised by the author's code, stands for.

    An ImportError behind it, which that code took for something else, is named.

    Args:
        error: What was raised.
        model_dir: The archive.
        doing: What was going on, for an error that did not come from the archive's
            own files.
    """
    masked = _masked_import_error(error)
    cause, remedy = _cause_and_remedy(masked or error, model_dir, doing)
    if masked is not None:
        cause = f"{cause}; what it was taken for: {_where(error, model_dir, doing)}"
    return LoadFailure(
        cause=places.without_server_paths(cause, model_dir),
        remedy=places.without_server_paths(remedy, model_dir),
        traceback=(
            ""
            if masked is None and _says_it_all(error, model_dir)
            else authors_traceback(error, model_dir)
        ),
    )


def _says_it_all(error: Exception, model_dir: pathlib.Path) -> bool:
    """Tell whether we refused it, while none of the author's code ran."""
    links = (error, error.__cause__)
    frames = [frame for link in links if link for frame in _frames(link.__traceback__)]
    is_ours = isinstance(error, LoadRefusedError)
    return is_ours and _last_authors_frame(frames, model_dir) is None


def authors_traceback(error: BaseException, model_dir: pathlib.Path) -> str:
    """Return the traceback without our frames and the server's paths."""
    report = traceback.TracebackException.from_exception(error, compact=True)
    if not _keep_authors_frames(report):
        return ""
    return places.without_server_paths("".join(report.format()), model_dir)


def _keep_authors_frames(report: traceback.TracebackException) -> bool:
    """Drop our frames and our callers', along the chain; say if any is left."""
    ours = [_is_ours(frame.filename) for frame in report.stack]
    begin = ours.index(True) if True in ours else 0
    frames = zip(report.stack[begin:], ours[begin:], strict=True)
    kept = [frame for frame, is_ours in frames if not is_ours]
    report.stack = traceback.StackSummary.from_list(kept)
    left = bool(kept)
    for link in (report.__cause__, report.__context__):
        if link is not None:
            left |= _keep_authors_frames(link)
    return left


def _is_ours(filename: str) -> bool:
    return filename.startswith((_OURS, "<frozen "))


def _masked_import_error(error: Exception) -> ImportError | None:
    """Return the first ImportError behind `error`, None if that is one itself."""
    seen: set[int] = set()
    found: ImportError | None = None
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        if isinstance(link, ImportError):
            if link is error:
                return None
            found = link
        # Also after `raise ... from None`, which is how it is hidden.
        link = link.__cause__ or link.__context__
    return found


def _cause_and_remedy(
    error: Exception, model_dir: pathlib.Path, doing: str
) -> tuple[str, str]:
    match error:
        case LoadRefusedError():
            return error.cause, error.remedy
        case FailedPreconditionError():
            return error.message, "Correct it and deploy again."
        case InvalidArgumentError() if (
            _last_authors_frame(_frames(error.__traceback__), model_dir) is None
        ):
            # The manifest or the configuration, which we read.
            return error.message, "Then pack the archive again."
        case ModuleNotFoundError(name=str() as name) if name:
            return _where(error, model_dir, doing), _missing_module(name, model_dir)
        case FileNotFoundError():
            return (
                _where(error, model_dir, doing),
                "Pack the file with --extra-files and open it relative to "
                'context.system_properties["model_dir"].',
            )
        case _:
            return (
                _where(error, model_dir, doing),
                _NOT_ALLOWED
                if isinstance(error, PermissionError)
                else "Correct the code and pack the archive again.",
            )


def _missing_module(name: str, model_dir: pathlib.Path) -> str:
    top = name.partition(".")[0]
    if top == "ts":
        return f"{OFFERED}."
    if top != name and _is_in_archive(top, model_dir):
        return f"Add the file of {name} to the archive with --extra-files."
    package = distributions.advise(name)
    listing = optional.remedy(
        package,
        here=f"list {package} in a requirements file and pack the archive again with "
        "it, or install it where Homeport runs",
    )
    if distributions.is_renamed(name):
        return f"Please {listing}."
    return (
        f"If {top} is a package, {listing}; if {top}.py is a file of yours, add it to "
        "the archive with --extra-files."
    )


def _is_in_archive(top: str, model_dir: pathlib.Path) -> bool:
    return (model_dir / f"{top}.py").is_file() or (model_dir / top).is_dir()


def _where(error: Exception, model_dir: pathlib.Path, doing: str) -> str:
    """Return `handler.py line 3 raised ValueError: text`."""
    text = " ".join(str(error).split())
    raised = f"raised {type(error).__name__}" + (f": {text}" if text else "")
    frame = _last_authors_frame(_frames(error.__traceback__), model_dir)
    if frame is None:
        if isinstance(error, SyntaxError) and error.filename:
            return f"{pathlib.PurePath(error.filename).name} {raised}"
        return f"{doing} {raised}"
    return f"{pathlib.PurePath(frame.filename).name} line {frame.lineno} {raised}"


def _frames(trace: types.TracebackType | None) -> list[traceback.FrameSummary]:
    return list(traceback.extract_tb(trace))


def _last_authors_frame(
    frames: Iterable[traceback.FrameSummary], model_dir: pathlib.Path
) -> traceback.FrameSummary | None:
    inside = [
        f for f in frames if pathlib.PurePath(f.filename).is_relative_to(model_dir)
    ]
    return inside[-1] if inside else None
