"""A worker process from its first instruction to its last.

It says HELLO, loads the one model it is told to, serves it, and ends with the socket:
a worker never outlives its server.
"""

import atexit
import ctypes
import dataclasses
import faulthandler
import gc
import logging
import os
import pathlib
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from homeport.worker import (
    calls,
    envelopes,
    exposure,
    handler,
    loading,
    loop,
    occupancy,
    protocol,
)
from homeport.worker.config import ModelConfig
from homeport.worker.context import Context
from homeport.worker.handler import Archive
from homeport.worker.loop import Link, RequestLoop
from homeport.worker.protocol import Kind

_LOG: Final = logging.getLogger("homeport.worker")
_THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_PR_SET_PDEATHSIG: Final = 1


def main(fd: int) -> int:
    """Serve over the inherited socket `fd`; return the exit status."""
    link = Link(socket.socket(fileno=fd))
    # A handler may fork: only one process answers, and it alone keeps the server's
    # end from seeing that it is gone.
    os.register_at_fork(after_in_child=link.forsake)
    try:
        return _serve(link)
    except loop.ParentGoneError:
        # At once, whatever threads and exit hooks the author's code has left.
        os._exit(0)


def prepare_process() -> None:
    """Set what holds for the whole process, and for what is forked from it."""
    for variable in _THREAD_VARIABLES:
        os.environ.setdefault(variable, "1")
    # The model's directory is read-only, and its digest was checked.
    sys.dont_write_bytecode = True
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(levelname)s %(name)s %(message)s",
    )


def end_with_parent() -> None:
    """Have the system kill this process when the one that started it is gone."""
    if sys.platform == "linux":
        # Also while a handler computes and nobody reads the socket.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def enter_environment() -> int | None:
    """Keep the model's own environment from being removed while this process is there.

    Returns the open file that does so, None in the server's environment.
    """
    if not exposure.is_all_there_is():
        return None
    entered = occupancy.enter(pathlib.Path(sys.prefix))
    if entered is None:
        sys.exit("this environment is being removed: deploy again, which builds it")
    return entered


def leave(status: int) -> NoReturn:
    """End a process that was forked, after what has to be done at its exit.

    Python's own way would write to every page that it shares with others, to take apart
    what ends with the process anyway.
    """
    atexit._run_exitfuncs()  # noqa: SLF001  # what Python calls itself
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _serve(link: Link) -> int:
    link.send(protocol.encode_json(Kind.HELLO, {"protocol": protocol.PROTOCOL_VERSION}))
    order = link.next_frame()
    if order.kind == Kind.SHUTDOWN:
        return 0
    if order.kind != Kind.LOAD:
        raise protocol.ProtocolError(
            f"the server sent a frame of kind {order.kind} instead of LOAD: "
            "both sides need the same Homeport version"
        )
    wanted = protocol.decode_json(order.payload)
    model_dir = pathlib.Path(wanted["model_dir"])
    began = time.perf_counter()
    try:
        archive, initialise = _import(model_dir, wanted)
        import_s = time.perf_counter() - began
        link.send(protocol.encode_json(Kind.IMPORTED, {"import_s": import_s}))
        predictor = initialise()
    except Exception as error:  # noqa: BLE001  # whatever the author's code raises
        failure = loading.explain(error, model_dir)
        sys.stderr.write(failure.traceback)
        link.send(protocol.encode_json(Kind.LOAD_FAILED, dataclasses.asdict(failure)))
        link.next_frame()  # until the parent has read it and hangs up
        return 1
    load_s = time.perf_counter() - began - import_s
    _use_one_thread()
    link.send(protocol.encode_json(Kind.LOADED, _report(archive) | {"load_s": load_s}))
    # What was loaded stays: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    _make_loop(link, predictor, archive.config).run()
    return 0


def _make_loop(
    link: Link, predictor: calls.Predictor, settings: ModelConfig
) -> RequestLoop:
    if settings.response_timeout_s is None:
        return RequestLoop(link, predictor, settings.policy)
    return RequestLoop(link, predictor, settings.policy, flush_after_s=0.0)


def _import(
    model_dir: pathlib.Path, wanted: Mapping[str, Any]
) -> tuple[Archive, Callable[[], calls.Predictor]]:
    """Return the archive, and what loads its model, all code imported."""
    archive = handler.open_archive(model_dir, os.environ, wanted["server_config"])
    for note in archive.config.notes:
        _LOG.info("%s", note)
    handler.enter(model_dir)
    context = handler.make_context(archive, wanted["gpu_id"])
    if handler.names_default(archive, handler.BASE_HANDLER):
        return archive, _import_base(context, model_dir)
    initialise, envelope = handler.find(archive), _envelope(archive)
    return archive, lambda: calls.HandlerPredictor(
        initialise(context), context, envelope
    )


def _use_one_thread() -> None:
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)


def _envelope(archive: Archive) -> envelopes.Envelope:
    # TorchServe's own handlers understand instances alone.
    if handler.names_default(archive, handler.IMAGE_CLASSIFIER):
        return envelopes.JsonEnvelope()
    return envelopes.make(archive.config.envelope)


def _import_base(
    context: Context, model_dir: pathlib.Path
) -> Callable[[], calls.Predictor]:
    # Deferred: these import torch, which an author's own handler may not need.
    from homeport.worker import basehandler, tensorcalls  # noqa: PLC0415

    def load() -> calls.Predictor:
        base = basehandler.BaseHandler()
        base.initialize(context)
        if base.device is None:
            raise RuntimeError("initialize() set no device")
        return tensorcalls.TensorPredictor(base.model, base.device, model_dir)

    return load


def _report(archive: Archive) -> dict[str, Any]:
    policy = archive.config.policy
    return {
        "batch_size": policy.max_size,
        "max_batch_delay_s": policy.max_delay_s,
        "response_timeout_s": archive.config.response_timeout_s,
        "response_timeout_source": archive.config.response_timeout_source,
        "handler": archive.manifest.handler,
    }
