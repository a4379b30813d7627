#!/usr/bin/env bash
# Pins every requirements*.in into its requirements*.txt, with hashes for every platform and Python >= 3.11.
# The files are resolved together first, so that one environment holds both services with the same versions.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"${PYTHON:-python3}" -m venv "$tools/venv"
"$tools/venv/bin/pip" install --quiet uv

compile() {
    "$tools/venv/bin/uv" pip compile --quiet --python-version 3.11 --no-header --no-emit-index-url \
        --no-emit-find-links --no-annotate "$@"
}

resolve() {
    compile --universal "$@"
}

resolve --upgrade --output-file "$tools/all.txt" {oms-api,slack-bot}/requirements{,-dev}.in \
    oms-api/requirements-{sdk,ibkr}.in
for extra in oms-api/requirements-{xlsx,sheets,sdk,ibkr,sentry} slack-bot/requirements-charts; do
    rm -f "$extra.txt"
    resolve --generate-hashes --constraint "$tools/all.txt" --output-file "$extra.txt" "$extra.in"
done
# Celery does not support Windows, where its packages need another tzdata than ib_async.
rm -f oms-api/requirements-celery.txt
compile --python-platform linux --generate-hashes --constraint "$tools/all.txt" \
    --output-file oms-api/requirements-celery.txt oms-api/requirements-celery.in
for service in oms-api slack-bot; do
    for list in requirements requirements-dev; do
        rm -f "$service/$list.txt"
        resolve --generate-hashes --constraint "$tools/all.txt" --output-file "$service/$list.txt" "$service/$list.in"
    done
done
