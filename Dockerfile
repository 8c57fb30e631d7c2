# The sandbox image, two environments: the evaluator's (Python 3.11, the locked libraries, pyclarity 0.3.2) and the
# decoder's (a current soundfile); beside them our scoring code, and nothing else.
# `cad1 image build` makes the context (wheels checked against the requirement files, the files of scorer.lock),
# puts the variables of harness/haaqi/target.py in the place of the one word between @ signs, and builds without a
# network. BASE_IMAGE may be any other Debian bookworm with Python 3.11.
ARG BASE_IMAGE=python:3.11-slim-bookworm@sha256:0bee7276f83efd4a1ee05bbbf4281d95ed28e079220a9457f25a93e3f1e3c31b

FROM ${BASE_IMAGE} AS base
# The same bits on every x86-64-v3 machine: one CPU target for Numba, no wider kernels in NumPy, one core type for
# OpenBLAS, one thread per library.
ENV PYTHONPATH=/opt/cad1 PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 PYTHONNOUSERSITE=1 PYTHONUNBUFFERED=1 @TARGET@

FROM base AS build
COPY wheels /wheels
COPY harness/scorer-requirements.txt /wheels/evaluator/requirements.txt
COPY harness/decoder-requirements.txt /wheels/decoder/requirements.txt
RUN python3 -m venv /pip \
 && for program in evaluator decoder; do \
      python3 -m venv --without-pip /opt/cad1/$program \
      && /pip/bin/pip --python /opt/cad1/$program/bin/python install --quiet --no-cache-dir --no-index \
           --find-links /wheels/$program --require-hashes --no-deps --only-binary :all: \
           -r /wheels/$program/requirements.txt \
      || exit 1; \
    done
COPY Dockerfile /opt/cad1/Dockerfile
COPY harness /opt/cad1/harness
COPY validator /opt/cad1/validator
ARG LOCK
# Numba's cache depends on the dates of the source files: one date for all keeps it valid wherever the image is copied.
# Only the libraries are compiled: our own code always runs from the sources that the lock covers.
RUN find /opt/cad1 -exec touch --no-dereference --date=@1700000000 {} + \
 && for program in evaluator decoder; do \
      NUMBA_CACHE_DIR=/opt/cad1/kernels /opt/cad1/$program/bin/python -m harness.$program.selftest \
      && /opt/cad1/$program/bin/python -m compileall -q --invalidation-mode checked-hash /opt/cad1/$program/lib \
      && /opt/cad1/$program/bin/python -m harness.protocol.lock --check $program $LOCK \
      || exit 1; \
    done \
 && chmod -R a+rX,go-w /opt/cad1

FROM base
COPY --from=build /opt/cad1 /opt/cad1
ENV CAD1_NUMBA_CACHE=/opt/cad1/kernels HOME=/tmp TMPDIR=/tmp
WORKDIR /opt/cad1
USER 65534:65534
# The host names the program: /opt/cad1/evaluator/bin/python -m harness.evaluator, or the decoder's.
ENTRYPOINT []
