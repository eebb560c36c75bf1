# One image for each program: api, operator, worker, and dev with embedded parts for a try-out.
#   docker build --target api -t rekindle-api .
# Any base with Python 3.11 to 3.13, venv and pip will do: --build-arg BASE=...
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS environment
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# An environment without pip, at one path whatever Python there is.
RUN python3 -m venv --without-pip /opt/rekindle && ln -s /opt/rekindle/lib/python3* /opt/rekindle/python
COPY dev/rekindle_dev/images/prune.py /build/

# Rekindle itself, built with what is locked.
FROM environment AS wheel
WORKDIR /src
COPY requirements/build.lock ./
RUN python3 -m pip --python /opt/rekindle/bin/python install --require-hashes -r build.lock
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY crds crds
COPY operator operator
COPY api api
COPY dev dev
RUN python3 -m pip --python /opt/rekindle/bin/python wheel --no-deps --no-build-isolation --wheel-dir /wheels .

# Packages of a program in a layer that changes only with its lock; then Rekindle, as much of it as the program needs.
FROM environment AS api-environment
COPY requirements/api.lock /build/
RUN python3 -m pip --python /opt/rekindle/bin/python install --require-hashes -r /build/api.lock \
 && python3 /build/prune.py packages /opt/rekindle/python/site-packages
COPY --from=wheel /wheels /wheels
RUN python3 -m pip --python /opt/rekindle/bin/python install --no-deps /wheels/*.whl \
 && python3 /build/prune.py rooms /opt/rekindle/python/site-packages rekindle_api

FROM environment AS operator-environment
COPY requirements/operator.lock /build/
RUN python3 -m pip --python /opt/rekindle/bin/python install --require-hashes -r /build/operator.lock \
 && python3 /build/prune.py packages /opt/rekindle/python/site-packages
COPY --from=wheel /wheels /wheels
RUN python3 -m pip --python /opt/rekindle/bin/python install --no-deps /wheels/*.whl \
 && python3 /build/prune.py rooms /opt/rekindle/python/site-packages rekindle_operator

FROM environment AS worker-environment
RUN apt-get update && apt-get install --yes --no-install-recommends binutils
COPY requirements/worker.lock /build/
# Wheels of codecs carry symbols for their debuggers.
RUN python3 -m pip --python /opt/rekindle/bin/python install --require-hashes -r /build/worker.lock \
 && python3 /build/prune.py packages /opt/rekindle/python/site-packages \
 && cd /opt/rekindle/python/site-packages && find av numpy PIL scipy skimage -name "*.so" -exec strip --strip-unneeded {} +
COPY --from=wheel /wheels /wheels
RUN python3 -m pip --python /opt/rekindle/bin/python install --no-deps /wheels/*.whl \
 && python3 /build/prune.py rooms /opt/rekindle/python/site-packages rekindle_worker

FROM environment AS dev-environment
COPY requirements/tryout.lock /build/
RUN python3 -m pip --python /opt/rekindle/bin/python install --require-hashes -r /build/tryout.lock \
 && python3 /build/prune.py packages /opt/rekindle/python/site-packages
COPY --from=wheel /wheels /wheels
RUN python3 -m pip --python /opt/rekindle/bin/python install --no-deps /wheels/*.whl \
 && python3 /build/prune.py rooms /opt/rekindle/python/site-packages rekindle_dev

# What all images end as: no pip, nobody in particular, no way to write but /tmp.
FROM ${BASE} AS runtime
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3*/site-packages/pip* /usr/local/lib/python3*/ensurepip \
    /usr/bin/pip* /usr/lib/python3/dist-packages/pip* /usr/lib/python3/dist-packages/setuptools* /root/.cache \
 && echo 'rekindle:x:65532:65532:Rekindle:/tmp:/usr/sbin/nologin' >> /etc/passwd
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Rekindle" \
      org.opencontainers.image.description="Old photos in, restored photos and short animations out" \
      org.opencontainers.image.url="https://rekindle.dev" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV PATH=/opt/rekindle/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp
WORKDIR /tmp
USER 65532:65532

FROM runtime AS operator
COPY --from=operator-environment /opt/rekindle /opt/rekindle
EXPOSE 8080
ENTRYPOINT ["rekindle-operator"]
CMD ["run"]

FROM runtime AS worker
COPY --from=worker-environment /opt/rekindle /opt/rekindle
ENTRYPOINT ["rekindle-worker"]
CMD ["run"]

FROM runtime AS api
COPY --from=api-environment /opt/rekindle /opt/rekindle
EXPOSE 8000 8001
ENTRYPOINT ["rekindle-api"]
CMD ["serve", "--host", "0.0.0.0"]

# For `skaffold dev`: a program runs from a copy of its source under /tmp, and starts again when a file of that changes.
FROM operator AS operator-live
COPY dev/rekindle_dev/live.py /opt/rekindle/live.py
ENTRYPOINT ["python3", "/opt/rekindle/live.py", "--source=/opt/rekindle/python/site-packages", "--copy=/tmp/live", "rekindle-operator"]

FROM api AS api-live
COPY dev/rekindle_dev/live.py /opt/rekindle/live.py
ENTRYPOINT ["python3", "/opt/rekindle/live.py", "--source=/opt/rekindle/python/site-packages", "--copy=/tmp/live", "rekindle-api"]

FROM runtime AS dev
COPY --from=dev-environment /opt/rekindle /opt/rekindle
EXPOSE 5432 9000 9999
ENTRYPOINT ["python3", "-m", "rekindle_dev.tryout"]
