"""sink.py FILE: takes webhooks on a free port, which is the file's first line; each event's type and account follow."""

import http.server
import json
import sys


class Sink(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        print(event["type"], event["data"]["object"]["id"], file=out, flush=True)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


out = open(sys.argv[1], "w")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
print(server.server_port, file=out, flush=True)
server.serve_forever()
