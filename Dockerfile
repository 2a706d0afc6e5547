# docker build -t dreamlab .
# docker run -p 7860:7860 -v dreamlab:/data -e DREAMLAB_TOKEN=at-least-8-characters dreamlab
# With an NVIDIA card: add --gpus all. Other verbs: docker run ... dreamlab train --dataset digits
FROM python:3.12-slim

WORKDIR /src
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
RUN pip install --no-cache-dir --no-deps . && rm -rf /src \
 && useradd --create-home lab && mkdir /data && chown lab /data

USER lab
WORKDIR /data
VOLUME /data
EXPOSE 7860
ENTRYPOINT ["dreamlab"]
CMD ["ui", "--host", "0.0.0.0", "--no-browser"]
