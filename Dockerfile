# syntax=docker/dockerfile:1

FROM rust:1.95-bookworm AS build
# A static binary needs nothing from the image that it is in.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends musl-tools \
    && rm -rf /var/lib/apt/lists/* \
    && rustup target add "$(uname -m)-unknown-linux-musl"
# The commit, which `field-notes --version` shows: --build-arg GIT_REVISION=$(git rev-parse --short=12 HEAD)
ARG GIT_REVISION
# Its date, so that a rebuild gives the same bytes: --build-arg SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
ARG SOURCE_DATE_EPOCH
# The name that source paths have in the binary
WORKDIR /field-notes
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/field-notes/target \
    triple="$(uname -m)-unknown-linux-musl" \
    && tools/dist.sh "$triple" \
    && install -D "target/$triple/dist/field-notes" /out/field-notes \
    && install -d -m 700 /out/data /out/backups

# --target jobs: the same with ffmpeg, for the jobs of videos, and with a shell, for scheduled backups.
FROM debian:bookworm-slim AS jobs
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ffmpeg \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/field-notes /usr/local/bin/field-notes
COPY --chmod=755 ops/backup.sh /usr/local/bin/field-notes-backup
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build --chown=65532:65532 /out/backups /backups
ENV ENVIRONMENT=production HOST=0.0.0.0 PORT=5001 BACKUP_DIR=/data/backups
WORKDIR /
VOLUME /data
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["field-notes", "healthcheck", "--ready"]
ENTRYPOINT ["field-notes"]
CMD ["serve"]

# Without libraries and shell; runs as user 65532. Only /data and /tmp are written, so the root can be read-only.
FROM gcr.io/distroless/static-debian12:nonroot
ARG GIT_REVISION
LABEL org.opencontainers.image.title="field-notes" \
      org.opencontainers.image.description="Content backend of Field Notes" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.revision="$GIT_REVISION"
COPY --from=build /out/field-notes /usr/local/bin/field-notes
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build --chown=65532:65532 /out/backups /backups
# The embedded store has to be asked for: with DATA_DIR=/data.
ENV ENVIRONMENT=production HOST=0.0.0.0 PORT=5001 BACKUP_DIR=/data/backups
# The program reads /.env, and stores media in /data/media unless a variable names another place.
WORKDIR /
VOLUME /data
EXPOSE 5001
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["field-notes", "healthcheck", "--ready"]
ENTRYPOINT ["field-notes"]
CMD ["serve"]
