# syntax=docker/dockerfile:1

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --profile dist --locked --bin field-notes \
    && install -D target/dist/field-notes /out/field-notes \
    && install -d /out/data

# Only glibc and certificates; runs as user 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/field-notes /usr/local/bin/field-notes
COPY --from=build --chown=65532:65532 /out/data /data
ENV HOST=0.0.0.0 PORT=5001 BACKUP_DIR=/data/backups
EXPOSE 5001
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["field-notes", "healthcheck"]
ENTRYPOINT ["field-notes"]
CMD ["serve"]
