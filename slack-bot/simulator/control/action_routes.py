"""Serve the routes that act as a person: POST /control/…."""

from flask import Blueprint

from simulator.assembly import Simulator
from simulator.control.body import Body
from simulator.errors import ActError
from simulator.user_actions import element_actions, form_submission, message_composer, sources
from simulator.user_actions.actor import Actor, Outcome


def create_blueprint(simulator: Simulator) -> Blueprint:
    """Return the routes that act as a person. ``user`` is an id or a name such as ``ava``."""
    routes = Blueprint("user_actions", __name__, url_prefix="/control")

    @routes.post("/say")
    def send_text() -> Outcome:
        body = Body()
        return message_composer.send_text(
            _find_actor(simulator, body.text("user")),
            body.text("channel"),
            body.text("text"),
            body.optional_text("thread_ts"),
        )

    @routes.post("/submit")
    def submit() -> Outcome:
        body = Body()
        return form_submission.submit(
            _find_actor(simulator, body.text("user")), body.optional_text("view_id"), body.values()
        )

    @routes.post("/close")
    def close() -> Outcome:
        body = Body()
        actor = _find_actor(simulator, body.text("user"))
        return form_submission.close(actor, body.optional_text("view_id"), body.flag("everything"))

    @routes.post("/use")
    def use_element() -> Outcome:
        body = Body()
        source, action_id = _find_source(simulator, body), body.text("action_id")
        return element_actions.use_element(
            source, body.optional_text("block_id"), action_id, body.fields.get("value"), body.values()
        )

    @routes.post("/options")
    def options() -> Outcome:
        body = Body()
        query = body.optional_text("query") or ""
        block_id, action_id = body.optional_text("block_id"), body.text("action_id")
        return element_actions.load_options(_find_source(simulator, body), block_id, action_id, query)

    @routes.post("/home")
    def open_app_page() -> Outcome:
        return element_actions.open_app_page(_find_actor(simulator, Body().text("user")))

    return routes


def _find_source(simulator: Simulator, body: Body) -> sources.Source:
    actor = _find_actor(simulator, body.text("user"))
    return sources.find_source(
        actor, body.optional_text("view_id"), body.optional_text("channel"), body.optional_text("ts")
    )


def _find_actor(simulator: Simulator, name: str) -> Actor:
    """Return a person who may act. Slack logs deactivated people out."""
    actor = simulator.actor(name)
    if actor.person.id in simulator.workspace_state.deactivated:
        raise ActError(f"{actor.person.name} is deactivated.", 403)
    return actor
