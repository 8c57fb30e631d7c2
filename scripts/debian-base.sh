#!/bin/sh
# Builds a base image for the evaluator from Debian packages, for machines that can't reach an image registry:
#   scripts/debian-base.sh [TAG]        (default tag: cad1-base:bookworm)
# Needs root, mmdebstrap and a running Docker engine. Takes about a minute.
set -eu
tag=${1:-cad1-base:bookworm}
for tool in mmdebstrap docker; do
    command -v "$tool" >/dev/null || { echo "debian-base: $tool is missing: install the Debian packages mmdebstrap and docker.io" >&2; exit 3; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
# One date for every file: two builds of the same packages differ as little as possible.
SOURCE_DATE_EPOCH=1700000000 mmdebstrap --quiet --variant=apt --include=python3,python3-venv \
    --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*' \
    bookworm "$work/base.tar"
docker import --change 'ENV LANG=C.UTF-8' "$work/base.tar" "$tag"
