"""What the engine and the services need from the world, and what it promises them.

Each port is a promise that every implementation keeps, checked by one suite of tests (`tests/store`): the store on
SQLite, on Postgres and in memory, task services over HTTP and in simulation. Nothing behind a port decides anything
about a release; nothing before it knows a database or a socket.
"""

from lockstep.coordinator.ports.announcing import Carrier, Outbox
from lockstep.coordinator.ports.catalogue import Catalogue
from lockstep.coordinator.ports.people import Identity, People, SignIn
from lockstep.coordinator.ports.releases import Releases, ReleaseStore
from lockstep.coordinator.ports.store import Batches, Store
from lockstep.coordinator.ports.story import Story
from lockstep.coordinator.ports.waking import Announcer, Doorbell, Feed, Peers, Subscription
from lockstep.coordinator.ports.world import Clock, DataService, OtherCoordinator, Prober, TaskServices, always

__all__ = [
    "Announcer",
    "Batches",
    "Carrier",
    "Catalogue",
    "Clock",
    "DataService",
    "Doorbell",
    "Feed",
    "Identity",
    "OtherCoordinator",
    "Outbox",
    "Peers",
    "People",
    "Prober",
    "ReleaseStore",
    "Releases",
    "SignIn",
    "Store",
    "Story",
    "Subscription",
    "TaskServices",
    "always",
]
