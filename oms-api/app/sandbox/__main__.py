"""Check the sandbox of strategies on this machine: `python -m app.sandbox`.

It starts a child, which tries to leave the sandbox in many ways. Exit status: 0 untrusted strategies may run
here, 1 a layer of protection is missing or an attempt did not fail, 2 no child could be started.
"""

import argparse
import json
import sys
from collections.abc import Sequence

from app.sandbox.errors import SandboxError
from app.sandbox.rules.layers import Layer, find_missing_layers
from app.sandbox.service.check import SandboxCheck, run_attempts

SAFE, UNSAFE, CANNOT = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the sandbox, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m app.sandbox", description="Check the sandbox.")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    args = parser.parse_args(arguments)
    try:
        check = run_attempts()
    except SandboxError as error:
        sys.stderr.write(f"{error}\n")
        return CANNOT
    missing = find_missing_layers(check.layers)
    is_safe = not missing and None not in check.refusals.values()
    if args.json:
        fields = {"is_safe": is_safe, "layers": check.layers, "missing": missing, "attempts": check.refusals}
        sys.stdout.write(f"{json.dumps(fields)}\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in _list_lines(check, missing)))
    return SAFE if is_safe else UNSAFE


def _list_lines(check: SandboxCheck, missing: Sequence[str]) -> list[str]:
    layers = [f"{'yes' if layer in check.layers else 'no ':3}  {layer}" for layer in Layer]
    attempts = [f"{name}: {refusal or 'NOT REFUSED'}" for name, refusal in check.refusals.items()]
    lack = f"Untrusted strategies are refused: {' and '.join(missing)} is missing."
    return [*layers, "", *attempts, "", lack if missing else "Untrusted strategies may run here."]


if __name__ == "__main__":
    sys.exit(main())
