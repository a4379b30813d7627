"""All parts together: the world, the courier, the queue of events, the view of the desk."""

from simulator import manifest
from simulator.acting.actor import Actor
from simulator.config import Settings
from simulator.courier import Courier
from simulator.desk import Desk
from simulator.errors import ActError
from simulator.event_queue import EventQueue
from simulator.world import World


class Simulator:
    """One workspace with the bot's address and secrets."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.world = World(manifest.read(settings.manifest))
        self.courier = Courier(settings, self.world)
        self.events = EventQueue(self.world, self.courier)
        self.desk = Desk(settings)

    def actor(self, name: str) -> Actor:
        """Return the person with that id or name, ready to act."""
        for person in self.world.people.values():
            if name in (person.id, person.name):
                return Actor(self.world, self.courier, self.events, person)
        raise ActError(f"There is nobody called {name}.", 404)

    def reset(self) -> None:
        """Put everything back to the start."""
        self.events.clear()
        self.world.reset()

    def close(self) -> None:
        """Stop waiting and sending."""
        self.courier.closing.set()
        self.events.close()
        self.desk.close()
