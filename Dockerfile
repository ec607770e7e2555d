# docker build -t hone . && docker run --rm -v "$PWD:/data" hone finetune -m /data/model -t /data/train.jsonl
#
# Two stages: the package is built, its tests are run, and then it is installed with what it needs to run only.
FROM debian:12-slim AS build
RUN apt-get update -q && apt-get install -qy --no-install-recommends make git
COPY . /src/hone
WORKDIR /src/hone
RUN make deps deb-deps && make check && make deb

FROM debian:12-slim
COPY --from=build /src/hone/build/deb/*.deb /tmp/
RUN apt-get update -q && apt-get install -qy --no-install-recommends /tmp/hone_*.deb jq && \
	rm -rf /tmp/*.deb /var/lib/apt/lists/*
WORKDIR /data
ENTRYPOINT ["/usr/bin/hone"]
