"""Tests of the typed state of the application."""

import sys
from typing import Annotated, get_args, get_origin

import app.main  # noqa: F401  # imports the modules of all routes
from app.http.app_state import Component


def list_component_dependencies():
    """Return (module and name, annotated type, key) of each dependency on a component."""
    return [
        (f"{module.__name__}.{name}", get_args(value)[0], get_args(value)[1].dependency)
        for module in [module for name, module in sys.modules.items() if name.startswith("app.")]
        for name, value in vars(module).items()
        if get_origin(value) is Annotated
        if isinstance(getattr(get_args(value)[1], "dependency", None), Component)
    ]


def test_each_dependency_on_a_component_has_the_type_of_the_component():
    dependencies = list_component_dependencies()
    differing = [name for name, type_, key in dependencies if get_args(key.__orig_class__) != (type_,)]
    assert len(dependencies) > 30
    assert differing == []


def test_component_names_are_unique():
    keys = {key for _, _, key in list_component_dependencies()}
    assert len({key.name for key in keys}) == len(keys)
