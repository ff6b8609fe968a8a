# One process, no root, nothing written but /app/data and /tmp.
FROM python:3.13-slim AS build
WORKDIR /src
COPY . .
RUN pip install --no-cache-dir --prefix=/install ".[web,session]"

FROM python:3.13-slim
COPY --from=build /install /usr/local
RUN useradd --create-home --uid 10001 bot && mkdir -p /app/data /app/plugins && chown bot /app/data
WORKDIR /app
USER bot
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 SESSIONBOT_HOME=/app/data \
    SESSIONBOT_WEB__HOST=0.0.0.0 SESSIONBOT_GATEWAY__HOST=0.0.0.0
VOLUME ["/app/data"]
EXPOSE 8080 8089
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/readyz', timeout=4)"]
CMD ["sessionbot", "run"]
