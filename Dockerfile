# docker build --build-arg VERSION=1.2.3 -t archiver:1.2.3 .
#
# The image holds the command, certificate authorities and time zones. It has no
# shell, no package manager and no root.

ARG GO_VERSION=1.26.8

# The compiler runs on the builder's architecture and compiles for the target's.
FROM --platform=$BUILDPLATFORM golang:${GO_VERSION}-bookworm AS build
WORKDIR /src
ENV CGO_ENABLED=0 GOMODCACHE=/cache/mod GOCACHE=/cache/build

COPY go.mod go.sum ./
RUN --mount=type=cache,target=/cache go mod download

COPY cmd cmd
COPY internal internal
COPY migrations migrations
ARG VERSION=dev
ARG TARGETOS
ARG TARGETARCH
RUN --mount=type=cache,target=/cache \
    GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath \
        -ldflags "-s -w -X main.release=$VERSION" -o /out/archiver ./cmd/archiver

# The last stage has no shell. So this stage makes its account, and copies Go's time
# zones.
RUN mkdir -p /out/etc /out/usr/local/share \
    && echo 'archiver:x:65532:65532::/:/archiver' >/out/etc/passwd \
    && cp "$(go env GOROOT)/lib/time/zoneinfo.zip" /out/usr/local/share/zoneinfo.zip

FROM scratch
ARG VERSION=dev
LABEL org.opencontainers.image.title="archiver" \
      org.opencontainers.image.description="Keeps the history of serverless invocations in PostgreSQL" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION"

COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/ /
ENV ZONEINFO=/usr/local/share/zoneinfo.zip

# As numbers: Kubernetes checks runAsNonRoot by them.
USER 65532:65532

# No HEALTHCHECK: a probe would need a second program in the image, and the image also
# runs commands that end. `run` answers /healthz and /readyz on --listen, for probes
# from outside.
ENTRYPOINT ["/archiver"]
CMD ["run"]
