// client: HTTP as a merchant's server speaks it, one connection with keep-alive per lane, and the patience
// of a careful one: each request has an Idempotency-Key, and whatever happens (no connection, no answer,
// 409, 429, 5xx) it asks again with the same key until it hears something definite.
import {createHash} from 'node:crypto';
import net from 'node:net';
import {pause} from './instance.mjs';

const tryMs = 10000; // a try without an answer is given up
const patienceMs = 120000; // after that an operation counts as an error that the client has seen

// A connection that asks one thing at a time.
export class Connection {
    constructor(port, key) {
        this.port = port;
        this.head = `Host: 127.0.0.1:${port}\r\nAuthorization: Bearer ${key}\r\n`;
    }

    // {status, headers, body}, or {error}.
    ask(method, target, {body, key, timeout = tryMs} = {}) {
        return new Promise((resolve) => {
            const fresh = !this.socket;
            if (fresh) this.open();
            const {socket} = this;
            this.parts = [];
            this.size = 0;
            this.answer = undefined;
            const finish = (answer) => {
                clearTimeout(timer);
                this.finish = undefined;
                if (answer.error || answer.closes) {
                    socket.destroy();
                    this.socket = undefined;
                }
                resolve(answer);
            };
            const timer = setTimeout(() => finish({error: 'no answer in time'}), timeout);
            this.finish = finish;
            const length = body === undefined ? '' : 'Content-Type: application/x-www-form-urlencoded\r\n' +
                `Content-Length: ${Buffer.byteLength(body)}\r\n`;
            socket.write(`${method} ${target} HTTP/1.1\r\n${this.head}${key ? `Idempotency-Key: ${key}\r\n` : ''}${length}\r\n${body ?? ''}`);
        });
    }

    open() {
        const socket = net.connect({port: this.port, host: '127.0.0.1', noDelay: true});
        this.socket = socket;
        const end = (error) => {
            if (this.socket !== socket) return;
            this.socket = undefined;
            this.finish?.({error});
        };
        socket.on('error', (error) => end(error.code ?? error.message));
        socket.on('close', () => end('closed'));
        socket.on('data', (chunk) => {
            if (this.socket === socket && this.finish) this.take(chunk);
        });
    }

    take(chunk) {
        this.parts.push(chunk);
        this.size += chunk.length;
        if (!this.answer) {
            const all = this.parts.length === 1 ? chunk : Buffer.concat(this.parts);
            this.parts = [all];
            const end = all.indexOf('\r\n\r\n');
            if (end < 0) return;
            const [first, ...lines] = all.toString('latin1', 0, end).split('\r\n');
            const headers = {};
            for (const line of lines) {
                const colon = line.indexOf(':');
                headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
            }
            this.answer = {status: Number(first.split(' ')[1]), headers};
            this.bodyAt = end + 4;
            this.bodySize = Number(headers['content-length']);
            if (!Number.isInteger(this.bodySize)) return this.finish({error: 'an answer without its length'});
        }
        if (this.size < this.bodyAt + this.bodySize) return;
        const all = this.parts.length === 1 ? this.parts[0] : Buffer.concat(this.parts);
        if (this.size > this.bodyAt + this.bodySize) return this.finish({error: 'more than an answer'});
        this.answer.body = all.toString('utf8', this.bodyAt);
        this.answer.closes = this.answer.headers.connection === 'close';
        this.finish(this.answer);
    }

    close() {
        this.socket?.destroy();
        this.socket = undefined;
    }
}

// An answer that will not change. 5xx is one only when it says that asking again is of no use.
export function isDefinite({error, status, headers}) {
    if (error) return false;
    if (headers['stripe-should-retry'] === 'true') return false;
    if (status === 409 || status === 429) return false;
    if (status >= 500) return headers['stripe-should-retry'] === 'false' || headers['idempotent-replayed'] === 'true';
    return true;
}

export const digestOf = (text) => createHash('sha1').update(text).digest('base64').slice(0, 20);

// What of an answer goes into the history.
function summary(answer) {
    if (answer.error) return {error: answer.error};
    const told = {status: answer.status, digest: digestOf(answer.body)};
    try {
        const object = JSON.parse(answer.body);
        if (object.error) {
            told.code = object.error.code ?? object.error.type;
            told.message = object.error.message;
            told.declined = object.error.decline_code;
            told.id = object.error.payment_intent?.id;
            told.state = object.error.payment_intent?.status;
        } else {
            told.id = object.id;
            told.state = object.status;
            told.amount = object.amount;
            if (object.object === 'payment_intent') {
                told.received = object.amount_received;
                told.charge = object.latest_charge;
            }
            if (object.object === 'refund') told.charge = object.charge;
        }
    } catch {
        told.error = 'not JSON';
    }
    return told;
}

export class Client {
    constructor(port, merchant, history, counts) {
        Object.assign(this, {merchant, history, counts});
        this.connection = new Connection(port, merchant.key);
    }

    // Asks until there is a definite answer; undefined when there is none within all patience.
    async insist(operation, method, target, body, {key, tries = Infinity, timeout} = {}) {
        const begun = Date.now();
        for (let number = 1, wait = 50; number <= tries && Date.now() - begun < patienceMs; number++) {
            const asked = Date.now();
            this.counts.requests++;
            const answer = await this.connection.ask(method, target, {body, key, timeout});
            const told = summary(answer);
            const definite = isDefinite(answer) && !told.error;
            this.history.write({t: asked, ms: Date.now() - asked, m: this.merchant.number, op: operation, method, target,
                ...(body === undefined ? {} : {body}), ...(key ? {key} : {}), try: number, definite, ...told});
            if (definite) return {...told, begun, ended: Date.now(), tries: number, text: answer.body};
            const what = told.error ?? `${told.status} ${told.code ?? ''}`.trim();
            this.counts.borne.set(what, (this.counts.borne.get(what) ?? 0) + 1);
            if (number < tries) await pause(wait);
            wait = Math.min(wait * 2, 400);
        }
        return undefined;
    }

    close() {
        this.connection.close();
    }
}
