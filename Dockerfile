# The program in an image of its own, without a compiler, tests or root.
#
#   docker build --tag reconciler .
#   docker run --rm --volume "$PWD:/work:ro" --env AWS_PROFILE --volume "$HOME/.aws:/home/reconciler/.aws:ro" reconciler plan
# The image is python:3.13-slim with Python 3.13.14, by its digest.
FROM python:3.13-slim@sha256:9662417aace5ae7b8e2609cce472b72a8958e134ba372808abe9cc1a0c0125e6 AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE /src/
COPY reconciler /src/reconciler
COPY share /src/share
RUN python -m venv /opt/reconciler
RUN /opt/reconciler/bin/pip install --no-cache-dir --disable-pip-version-check --constraint /src/constraints.txt /src
RUN /opt/reconciler/bin/reconciler version

FROM python:3.13-slim@sha256:9662417aace5ae7b8e2609cce472b72a8958e134ba372808abe9cc1a0c0125e6
RUN useradd --uid 10001 --create-home reconciler
COPY --from=build /opt/reconciler /opt/reconciler
ENV PATH=/opt/reconciler/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 10001
WORKDIR /work
ENTRYPOINT ["reconciler"]
CMD ["--help"]
