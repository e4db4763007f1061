# Needs nothing but the source:
#   docker build -t fanlight .
#   docker run --rm -p 127.0.0.1:8080:8080 fanlight
FROM node:22-bookworm-slim AS page
WORKDIR /source/web
COPY web .
RUN npm ci --omit=dev --no-audit --no-fund && node build.mjs

FROM rust:1.95-slim-bookworm AS build
# mimalloc is built from its C source.
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
# There is no Node here, so the page is the one that was built above.
COPY --from=page /source/web/dist web/dist
RUN cargo build --release --locked --bin fanlight

FROM debian:bookworm-slim
COPY --from=build /source/target/release/fanlight /usr/local/bin/fanlight
USER 65534:65534
EXPOSE 8080
# Within a container every address is beyond loopback, and nobody has to authenticate: publish the port to networks
# whose every member is trusted, or to a proxy that does the refusing.
ENV FANLIGHT_LISTEN=0.0.0.0:8080 FANLIGHT_INSECURE_OPEN=true FANLIGHT_LOG_FORMAT=json
HEALTHCHECK --interval=10s --timeout=3s CMD ["fanlight", "health"]
# SIGTERM drains.
STOPSIGNAL SIGTERM
ENTRYPOINT ["fanlight"]
CMD ["serve"]
