"""TorchServe's custom metrics: every call a handler may make is accepted.

They go to the log at DEBUG and nowhere else; a server does not scrape its workers.
"""

import dataclasses
import logging
from collections.abc import Mapping
from typing import Final

_LOG: Final = logging.getLogger("homeport.metrics")


@dataclasses.dataclass(frozen=True, slots=True)
class Dimension:
    """A label of a metric.

    Attributes:
        name: Of the label.
        value: Its value.
    """

    name: str
    value: object


@dataclasses.dataclass(frozen=True, slots=True)
class CachedMetric:
    """A metric declared once and updated often.

    Attributes:
        name: Of the metric.
    """

    name: str

    def add_or_update(self, value: float, *_: object, **__: object) -> None:
        """Note a value of it."""
        _LOG.debug("%s %s", self.name, value)

    update = add_or_update


class Metrics:
    """What handlers know as `context.metrics`.

    Attributes:
        model_name: The archive's.
        request_ids: Of the current call, by index.
    """

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name
        self.request_ids: Mapping[int, str] | None = None

    def add_counter(
        self, name: str, value: float, *rest: object, **more: object
    ) -> None:
        """Count `value` more of `name`."""
        self._note(name, value, rest, more)

    def add_time(self, name: str, value: float, *rest: object, **more: object) -> None:
        """Note a duration, in milliseconds unless `unit` says otherwise."""
        self._note(name, value, rest, more)

    def add_size(self, name: str, value: float, *rest: object, **more: object) -> None:
        """Note a size, in MB unless `unit` says otherwise."""
        self._note(name, value, rest, more)

    def add_percent(
        self, name: str, value: float, *rest: object, **more: object
    ) -> None:
        """Note a percentage."""
        self._note(name, value, rest, more)

    def add_error(
        self, name: str, value: object, *rest: object, **more: object
    ) -> None:
        """Note an error as text."""
        self._note(name, value, rest, more)

    def add_metric(
        self, name: str, value: object, *rest: object, **more: object
    ) -> None:
        """Note anything else."""
        self._note(name, value, rest, more)

    def add_metric_to_cache(
        self, metric_name: str, *_: object, **__: object
    ) -> CachedMetric:
        """Declare a metric."""
        return CachedMetric(metric_name)

    def get_metric(self, metric_name: str, *_: object, **__: object) -> CachedMetric:
        """Return a metric, declared or not."""
        return CachedMetric(metric_name)

    def _note(self, name: str, value: object, *_: object) -> None:
        _LOG.debug("%s %s", name, value)
