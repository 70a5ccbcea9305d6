# syntax=docker/dockerfile:1
# 信桥 Xinqiao: one image for every Airflow role and for the command line. The local stack is not in it.

FROM python:3.13.14-slim-bookworm AS build
ENV UV_PROJECT_ENVIRONMENT=/opt/xinqiao/venv \
    UV_PYTHON_DOWNLOADS=never \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1
RUN pip install --no-cache-dir --disable-pip-version-check uv==0.13.9
WORKDIR /build
# Dependencies first: they change seldom, and this layer stays.
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN uv sync --locked --no-dev --no-install-project
COPY connectors connectors
COPY exchange_formats exchange_formats
COPY gateway gateway
COPY scoring scoring
RUN uv sync --locked --no-dev --no-editable

FROM python:3.13.14-slim-bookworm
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Xinqiao 信桥" \
      org.opencontainers.image.description="Industry-credit supervision gateway whose every published grade can be replayed and proved" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 50000 xinqiao && \
    useradd --uid 50000 --gid 50000 --home-dir /var/lib/xinqiao --create-home --no-log-init --shell /usr/sbin/nologin xinqiao
COPY --from=build /opt/xinqiao/venv /opt/xinqiao/venv
COPY dags /opt/xinqiao/dags
COPY gateway/server/initialise /opt/xinqiao/server/initialise
ENV PATH=/opt/xinqiao/venv/bin:$PATH \
    XINQIAO_HOME=/var/lib/xinqiao \
    AIRFLOW_HOME=/var/lib/xinqiao/airflow \
    PYTHONUNBUFFERED=1 \
    LANG=C.UTF-8
WORKDIR /var/lib/xinqiao
USER 50000:50000
CMD ["xinqiao", "--help"]
