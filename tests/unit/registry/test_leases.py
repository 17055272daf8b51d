"""A server is alive for as long as it says so, and no longer once it has ended."""

import threading

from homeport.metadata import server_rows
from homeport.registry.leases import Lease
from rooms import Rooms


def alive(rooms: Rooms) -> frozenset[str]:
    with rooms.database.snapshot() as transaction:
        return server_rows.alive(transaction)


def test_a_server_is_alive_until_its_lease_ends(rooms: Rooms) -> None:
    lease = Lease(rooms.database, "me")

    lease.renew()
    while_it_runs = alive(rooms)
    lease.end()

    assert while_it_runs == {"me"}
    assert alive(rooms) == frozenset()


def test_a_renewal_that_comes_late_does_not_bring_a_server_back(rooms: Rooms) -> None:
    lease = Lease(rooms.database, "me")
    lease.renew()

    with rooms.database.transaction():
        # Both wait for their turn to write, the one that began last maybe first.
        threads = [
            threading.Thread(target=step)
            for step in (*[lease.renew] * 5, lease.end, *[lease.renew] * 5)
        ]
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join()

    assert alive(rooms) == frozenset()
