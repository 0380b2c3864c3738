# docker build --build-arg VERSION=1.2.3 -t archiver:1.2.3 .
#
# The image is the command, certificate authorities and time zones, and nothing
# else: no shell, no package manager, no root.

ARG GO_VERSION=1.26.8

# Built on the builder's own architecture, for the one asked for.
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

# What the last stage cannot make, having no shell: its one account, and Go's own
# copy of the time zones.
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

# By number, so that Kubernetes' runAsNonRoot can tell.
USER 65532:65532

# No HEALTHCHECK: a probe would need a program in here besides the archiver, and
# the same image runs commands that simply end. `run` answers /healthz and /readyz
# on --listen, for whoever probes from outside.
ENTRYPOINT ["/archiver"]
CMD ["run"]
