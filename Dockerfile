# One image for the service, the steps of the pipeline and batch work: docker build --tag faultwatch .
# The index of python:3.12.14-slim-bookworm, for all platforms.
ARG PYTHON=python:3.12.14-slim-bookworm@sha256:782412e85d0f0984994c290652577d4018aff08145c85b262bb63dc0c7522254

# hadolint ignore=DL3006
FROM ${PYTHON} AS build
# The lock to install: requirements.txt, or one that adds an extra to it.
ARG LOCK=requirements.txt
ENV VIRTUAL_ENV=/opt/faultwatch \
    UV_COMPILE_BYTECODE=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
COPY requirements-dev.txt ./
# uv installs the rest, setuptools builds the wheel; both as they are locked.
RUN awk '/^[^ ]/ { wanted = /^(uv|setuptools)==/ } wanted' requirements-dev.txt > bootstrap.txt \
    && pip install --no-cache-dir --quiet --require-hashes -r bootstrap.txt \
    && uv venv --quiet "$VIRTUAL_ENV"
COPY ${LOCK} ./lock.txt
# Binary packages only: nothing is compiled here either.
RUN uv pip install --quiet --no-build --require-hashes -r lock.txt
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src ./src
# src/cloud is a link to it.
COPY cloud ./cloud
RUN pip wheel --quiet --no-build-isolation --no-deps --no-index --wheel-dir dist . \
    && uv pip install --quiet --offline --no-deps dist/*.whl \
    && cp lock.txt "$VIRTUAL_ENV/requirements.txt"

# hadolint ignore=DL3006
FROM ${PYTHON} AS libraries
# LightGBM counts on the system's OpenMP; the base has none.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --no-install-recommends --yes libgomp1 \
    && mkdir /opt/libraries \
    && cp /usr/lib/*-linux-gnu/libgomp.so.1 /opt/libraries/

# hadolint ignore=DL3006
FROM ${PYTHON} AS run
ARG VERSION=unknown
ARG REVISION=unknown
ARG SOURCE=unknown
ARG USER_ID=10001
LABEL org.opencontainers.image.title="faultwatch" \
    org.opencontainers.image.description="Watches a fleet of devices: which are faulty or behave strangely, since when, and why" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.source="${SOURCE}"
ENV FAULTWATCH_DATA=/var/lib/faultwatch \
    FAULTWATCH_HOST=0.0.0.0 \
    FAULTWATCH_LOG_FORMAT=json \
    HOME=/var/lib/faultwatch \
    LD_LIBRARY_PATH=/opt/libraries \
    NUMBA_CACHE_DIR=/var/cache/faultwatch \
    PATH=/opt/faultwatch/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
RUN install -d -m 0700 -o "$USER_ID" -g "$USER_ID" "$FAULTWATCH_DATA" "$NUMBA_CACHE_DIR"
COPY --from=libraries /opt/libraries /opt/libraries
COPY --from=build /opt/faultwatch /opt/faultwatch
WORKDIR /var/lib/faultwatch
USER ${USER_ID}:${USER_ID}
EXPOSE 8765
# Ready or not, by what the service says of itself. The first start compiles its loops, for half a minute.
HEALTHCHECK --interval=60s --timeout=15s --start-period=120s --retries=3 CMD ["faultwatch", "status"]
ENTRYPOINT ["faultwatch"]
CMD ["serve"]
