# The operator's image: a static program and nothing else. make image writes the
# same without a daemon.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETARCH
WORKDIR /src
COPY . .
RUN CGO_ENABLED=0 GOOS=linux GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w" -o /greenroom-operator ./cmd/greenroom-operator

FROM scratch
COPY --from=build /greenroom-operator /greenroom-operator
USER 65532:65532
ENTRYPOINT ["/greenroom-operator"]
