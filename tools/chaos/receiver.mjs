// receiver: the merchants' servers. Checks each signature, remembers which objects it has heard of, and
// fails or hangs when it is told to.
import http from 'node:http';
import {signatureOf} from './instance.mjs';

export class Receiver {
    heard = new Map(); // 'ENDPOINT-NUMBER OBJECT' → how often
    known = new Set(); // payments that any endpoint has heard of
    listeners = new Set(); // called with (merchant number, object id)
    secrets = new Map(); // endpoint number → its secret
    moods = new Map(); // endpoint number → 'failing', 'hanging' or 'cutting'
    deliveries = 0;
    refused = 0;
    forged = 0;

    async start() {
        this.server = http.createServer((request, response) => this.take(request, response));
        this.server.keepAliveTimeout = 60000;
        await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
        this.port = this.server.address().port;
    }

    url(number) {
        return `http://127.0.0.1:${this.port}/${number}`;
    }

    take(request, response) {
        const number = Number(request.url.slice(1));
        const chunks = [];
        request.on('error', () => {});
        request.on('data', (chunk) => chunks.push(chunk));
        request.on('end', () => {
            const mood = this.moods.get(number);
            if (mood) {
                this.refused++;
                if (mood === 'failing') response.writeHead(500).end();
                if (mood === 'cutting') request.socket.destroy();
                return; // hanging: no answer at all
            }
            const body = Buffer.concat(chunks).toString();
            const [, time, signature] = /^t=(\d+),v1=([0-9a-f]+)/.exec(request.headers['stripe-signature'] ?? '') ?? [];
            if (!signature || signature !== signatureOf(this.secrets.get(number) ?? '', time, body)) {
                this.forged++;
                response.writeHead(400).end();
                return;
            }
            const {type, data} = JSON.parse(body);
            const name = `${number} ${type} ${data.object.id}`;
            this.deliveries++;
            this.heard.set(name, (this.heard.get(name) ?? 0) + 1);
            if (type === 'payment_intent.succeeded' && !this.known.has(data.object.id)) {
                this.known.add(data.object.id);
                this.onFirst?.(data.object.id);
            }
            for (const listener of this.listeners) listener(number, data.object.id);
            response.end();
        });
    }

    stop() {
        this.server?.closeAllConnections();
        this.server?.close();
    }
}
