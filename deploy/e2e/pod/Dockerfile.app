# The applications of the pod: busybox and a few scripts. Nothing of kasm-scrub is in here.
FROM scratch
COPY busybox /bin/busybox
COPY app /app
COPY www /www
USER 65532:65532
