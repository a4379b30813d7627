#!/usr/bin/env bash
# Pins every requirements*.in into its requirements*.txt, with hashes for every platform and Python >= 3.11.
# The files are resolved together first, so that one environment holds both services with the same versions.
# Nothing is replaced before all lists are complete and installed in an empty environment. LOCK_DATE=2026-11-30
# ignores what was released later.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"${PYTHON:-python3}" -m venv "$tools/venv"
"$tools/venv/bin/pip" install --quiet --disable-pip-version-check uv
uv() { "$tools/venv/bin/uv" --quiet "$@"; }
mkdir -p "$tools/new/oms-api" "$tools/new/slack-bot"
until=(${LOCK_DATE:+--exclude-newer "$LOCK_DATE"})

compile() {
    uv pip compile --python-version 3.11 --no-header --no-emit-index-url --no-emit-find-links --no-annotate \
        ${until[@]+"${until[@]}"} "$@"
}

# Pins a list, given without its suffix. The other arguments say for which platforms.
pin() {
    compile --generate-hashes --constraint "$tools/all.txt" --output-file "$tools/new/$1.txt" "${@:2}" "$1.in"
}

# Installs lists as `make` does, without what they do not list, and fails if a package lacks another.
verify() {
    rm -rf "$tools/trial"
    uv venv --python "$tools/venv/bin/python" "$tools/trial"
    uv pip install --python "$tools/trial" --require-hashes --no-deps "${@/#/--requirement=$tools/new/}"
    uv pip check --python "$tools/trial"
}

compile --universal --upgrade --output-file "$tools/all.txt" {oms-api,slack-bot}/requirements{,-dev}.in \
    oms-api/requirements-{sdk,ibkr}.in
services=(oms-api/requirements slack-bot/requirements)
extras=(oms-api/requirements-{xlsx,sheets,sdk,ibkr,sentry,celery} slack-bot/requirements-charts)
tests=(oms-api/requirements-dev slack-bot/requirements-dev)
for list in "${services[@]}" "${extras[@]}" "${tests[@]}"; do
    # Celery does not support Windows, where its packages need another tzdata than ib_async.
    if [ "$list" = oms-api/requirements-celery ]; then pin "$list" --python-platform linux; else pin "$list" --universal; fi
done
if grep --recursive --line-number --extended-regexp '://|^-' "$tools/new"; then
    echo "The lists above contain an address or an option." >&2
    exit 1
fi

for extra in "${extras[@]}"; do
    verify "${services[@]/%/.txt}" "$extra.txt"
done
verify "${services[@]/%/.txt}" "${extras[@]/%/.txt}" "${tests[@]/%/.txt}"
cp -r "$tools/new/." .
