# spikeseg on the CPU. Where there is no Docker, packaging/try_docker_steps.py does what stands here in a folder.
#   docker build -t spikeseg .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/data" spikeseg detect night.raw --output found
FROM python:3.12-slim

# Where the small build of torch comes from; empty: the registry's, for a GPU, several GB.
ARG TORCH="--index-url https://download.pytorch.org/whl/cpu"
# Compiled kernels are kept in the image; HOME is that of whoever runs it, who may have none.
ENV NUMBA_CACHE_DIR=/opt/spikeseg/kernels PIP_NO_CACHE_DIR=1 MPLCONFIGDIR=/tmp HOME=/tmp

WORKDIR /opt/spikeseg
COPY constraints-cpu.txt pyproject.toml setup.cfg README.md LICENSE ./
COPY spikeseg spikeseg
COPY pipelines pipelines
COPY configs configs
RUN pip install -c constraints-cpu.txt torch $TORCH
RUN pip install -c constraints-cpu.txt ".[formats,plots,view]"
RUN mkdir kernels && cd /tmp && spikeseg doctor && chmod -R a+rwX "$NUMBA_CACHE_DIR"

WORKDIR /data
ENTRYPOINT ["spikeseg"]
CMD ["--help"]
