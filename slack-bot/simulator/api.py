"""Serve the routes that the bot calls: /api/<method>, /response/… and /upload/…, and the files."""

import json
import socket
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request

from simulator.assembly import Simulator
from simulator.errors import SlackError
from simulator.faults import CallFault
from simulator.files import FILE_PREFIX, MAX_FILE_BYTES, UPLOAD_PREFIX
from simulator.response_urls import PREFIX
from simulator.webapi import arguments, methods, url_responses

RESPONSE_URL = "response_url"  # names of these calls in faults and in the log
UPLOAD = "upload"
SOCKET = "simulator.socket"
ResponseBody = dict[str, Any]


def create_blueprint(simulator: Simulator) -> Blueprint:
    """Return the routes that the bot calls."""
    routes = Blueprint("api", __name__)

    @routes.route("/api/<name>", methods=["GET", "POST"])
    def web_api(name: str) -> Response:
        parameters, problem = _read_arguments()
        shown = {
            key: value for key, value in parameters.items() if key not in ("token", "code", "client_secret")
        }

        def run_call() -> Response:
            body = problem or _call_method(simulator, name, parameters)
            response = _build_json_response(body)
            if name == "auth.test":
                response.headers["X-OAuth-Scopes"] = ",".join(simulator.workspace_state.manifest.scopes)
            return response

        return _run_with_faults(simulator, name, shown, run_call)

    @routes.post(f"{PREFIX}/<path:_rest>")
    def response_url(_rest: str) -> Response:
        parameters, problem = _read_arguments()

        def run_call() -> Response:
            return (
                _build_text_response(problem["error"], 400)
                if problem
                else _use_response_url(simulator, request.path, parameters)
            )

        return _run_with_faults(simulator, RESPONSE_URL, parameters, run_call)

    _add_file_routes(routes, simulator)
    return routes


def _add_file_routes(routes: Blueprint, simulator: Simulator) -> None:
    @routes.post(f"{UPLOAD_PREFIX}/<token>")
    def upload(token: str) -> Response:
        request.max_content_length = MAX_FILE_BYTES
        content = request.get_data()
        return _run_with_faults(
            simulator, UPLOAD, {"bytes": len(content)}, lambda: _store_file(simulator, token, content)
        )

    @routes.get(f"{FILE_PREFIX}/<file_id>")
    @routes.get(f"{FILE_PREFIX}/<file_id>/<_name>")
    def download(file_id: str, _name: str = "") -> Response:
        return _send_file(simulator, file_id)


def _store_file(simulator: Simulator, token: str, content: bytes) -> Response:
    with simulator.workspace_state.change():
        is_stored = simulator.workspace_state.files.upload(token, content)
    return (
        _build_text_response("OK - uploaded", 200)
        if is_stored
        else _build_text_response("upload_failed", 400)
    )


def _send_file(simulator: Simulator, file_id: str) -> Response:
    with simulator.workspace_state.news:
        file = simulator.workspace_state.files.find(file_id)
    if file is None:
        return _build_text_response("not found", 404)
    response = Response(file.content, content_type=file.mimetype)
    disposition = "inline" if file.is_image else "attachment"
    response.headers.set("Content-Disposition", disposition, filename=file.name)
    return response


def _call_method(simulator: Simulator, name: str, parameters: arguments.Arguments) -> ResponseBody:
    state = simulator.workspace_state
    if name != "oauth.v2.access":
        return methods.call(state, name, _read_token(parameters), parameters)
    try:
        with state.change():
            response = simulator.oauth_codes.exchange(parameters, state.installations)
            state.update_bot_membership()
            return response
    except SlackError as error:
        return error.build_response()


def _read_arguments() -> tuple[arguments.Arguments, ResponseBody | None]:
    try:
        return arguments.parse(request.mimetype, request.get_data(), request.values.to_dict()), None
    except SlackError as error:
        return {}, error.build_response()


def _read_token(parameters: arguments.Arguments) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else str(parameters.get("token") or "")


def _use_response_url(simulator: Simulator, path: str, parameters: arguments.Arguments) -> Response:
    workspace_state = simulator.workspace_state
    try:
        with workspace_state.change():
            url_responses.respond(workspace_state, workspace_state.response_urls.find(path), parameters)
    except SlackError as error:
        return _build_text_response(error.code, 404 if error.code in {"expired_url", "used_url"} else 400)
    return _build_text_response("ok", 200)


def _run_with_faults(
    simulator: Simulator, name: str, parameters: ResponseBody, run_call: Callable[[], Response]
) -> Response:
    workspace_state = simulator.workspace_state
    with workspace_state.change():
        fault = workspace_state.faults.take_call_fault(name)
        entry = workspace_state.request_log.add_call(
            at=workspace_state.clock.now(), method=name, arguments=parameters, status=None, response=None
        )
    if fault and fault.slow_seconds:
        simulator.request_sender.closing.wait(fault.slow_seconds)
    response = run_call() if fault is None or fault.after or not _is_failing(fault) else _build_failure(fault)
    if fault and fault.after and _is_failing(fault):
        response = _build_failure(fault)
    with workspace_state.change():
        entry["status"] = response.status_code
        entry["response"] = _read_body(response)
    return response


def _is_failing(fault: CallFault) -> bool:
    return bool(fault.error or fault.status or fault.drop)


def _build_failure(fault: CallFault) -> Response:
    if fault.drop:
        return _close_connection()
    if fault.status:
        return _build_text_response("", fault.status)
    response = _build_json_response({"ok": False, "error": fault.error})
    if fault.error == "ratelimited":
        response.status_code = 429
        response.headers["Retry-After"] = str(fault.retry_after)
    return response


def _close_connection() -> Response:
    connection = request.environ.get(SOCKET)
    if connection is not None:
        connection.shutdown(socket.SHUT_RDWR)
    return _build_text_response("The connection was closed.", 500)


def _read_body(response: Response) -> Any:
    return response.get_json(silent=True) if response.is_json else response.get_data(as_text=True)


def _build_json_response(body: ResponseBody) -> Response:
    return Response(json.dumps(body, ensure_ascii=False), content_type="application/json; charset=utf-8")


def _build_text_response(text: str, status: int) -> Response:
    return Response(text, status=status, content_type="text/plain; charset=utf-8")
