"""Create the parts of the simulator: state, deliveries, event queue and the view of the OMS."""

from simulator import manifest
from simulator.config import Settings
from simulator.errors import ActError
from simulator.event_queue import EventQueue
from simulator.installations import Installations
from simulator.oauth import OAuthCodes
from simulator.oms_view import OmsView
from simulator.request_delivery import RequestSender
from simulator.user_actions.actor import Actor
from simulator.workspace_state import WorkspaceState


class Simulator:
    """The workspaces, connected to a bot."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        installations = Installations(settings.bot_token)
        self.workspace_state = WorkspaceState(manifest.read(settings.manifest), installations)
        self.workspace_state.bot_url = settings.bot_url
        self.request_sender = RequestSender(settings, self.workspace_state)
        self.events = EventQueue(self.workspace_state, self.request_sender)
        self.oms_view = OmsView(settings)
        self.oauth_codes = OAuthCodes()

    def actor(self, name: str) -> Actor:
        """Return the person with that id or name. Raises ActError if there is none."""
        for person in self.workspace_state.people.values():
            if name in (person.id, person.name):
                return Actor(self.workspace_state, self.request_sender, self.events, person)
        raise ActError(f"There is nobody called {name}.", 404)

    def reset(self) -> None:
        """Restore the initial state."""
        self.events.clear()
        self.workspace_state.reset()

    def close(self) -> None:
        """Stop waiting calls and deliveries."""
        self.request_sender.closing.set()
        self.events.close()
        self.oms_view.close()
