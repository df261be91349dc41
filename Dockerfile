# syntax=docker/dockerfile:1

FROM rust:1.95-bookworm AS build
# The commit, which `field-notes --version` shows: --build-arg GIT_REVISION=$(git rev-parse --short=12 HEAD)
ARG GIT_REVISION
# Its date, so that a rebuild gives the same bytes: --build-arg SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
ARG SOURCE_DATE_EPOCH
# The name that source paths have in the binary
WORKDIR /field-notes
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/field-notes/target \
    tools/dist.sh \
    && install -D target/dist/field-notes /out/field-notes \
    && install -d -m 700 /out/data

# Only glibc and certificates; runs as user 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
ARG GIT_REVISION
LABEL org.opencontainers.image.title="field-notes" \
      org.opencontainers.image.description="Content backend of Field Notes" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.revision="$GIT_REVISION"
COPY --from=build /out/field-notes /usr/local/bin/field-notes
COPY --from=build --chown=65532:65532 /out/data /data
# The embedded store has to be asked for: with DATA_DIR=/data.
ENV ENVIRONMENT=production HOST=0.0.0.0 PORT=5001 BACKUP_DIR=/data/backups
VOLUME /data
EXPOSE 5001
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["field-notes", "healthcheck", "--ready"]
ENTRYPOINT ["field-notes"]
CMD ["serve"]
