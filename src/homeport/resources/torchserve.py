"""What TorchServe's configuration asks of workers, queues and requirements."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class TorchServeWords:
    """Words that are stored with a version, and act where it is deployed.

    None where nobody said the word.

    Attributes:
        default_workers: `default_workers_per_model`; 0 counts the cores.
        min_workers: `minWorkers`.
        max_workers: `maxWorkers`.
        queue_length: `jobQueueSize` of the model, else the server's `job_queue_size`.
        install_requirements: `install_py_dep_per_model`; it does not act yet.
    """

    default_workers: int | None = None
    min_workers: int | None = None
    max_workers: int | None = None
    queue_length: int | None = None
    install_requirements: bool | None = None
