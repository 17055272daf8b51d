"""Each replica is given GPUs of its own while there are any."""

from homeport.serving.accelerators import Accelerators


def test_gpus_are_handed_out_one_after_the_other() -> None:
    gpus = Accelerators(4)

    assert [gpus.take(1), gpus.take(2), gpus.take(1)] == [(0,), (1, 2), (3,)]


def test_those_given_back_are_handed_out_again() -> None:
    gpus = Accelerators(2)
    first = gpus.take(1)
    gpus.take(1)

    gpus.give_back(first)

    assert gpus.take(1) == (0,)


def test_more_replicas_than_gpus_share_them_evenly() -> None:
    gpus = Accelerators(2)

    assert [gpus.take(1) for _ in range(4)] == [(0,), (1,), (0,), (1,)]


def test_one_replica_is_given_no_gpu_twice() -> None:
    assert Accelerators(2).take(8) == (0, 1)


def test_without_gpus_there_is_nothing_to_give() -> None:
    assert Accelerators(0).take(2) == ()
