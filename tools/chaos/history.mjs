// history: every request and what was answered, a line of JSON each, on disk as it happens.
//
//   t   when it was asked, Unix ms       ms  how long until the answer
//   m   the merchant's number            op  what the client meant by it
//   method, target, body, key            the request
//   try                                  the how-manieth with this key
//   definite                             whether the client took it for an answer
//   status, code, id, state, amount, …   what it said; digest: of its bytes
//   error                                there was none: what happened to the connection
import fs from 'node:fs';

export class History {
    constructor(file) {
        this.file = file;
        this.fd = fs.openSync(file, 'w');
        this.lines = [];
        this.count = 0;
        this.timer = setInterval(() => this.flush(), 500);
    }

    write(record) {
        this.count++;
        if (this.lines.push(JSON.stringify(record)) >= 2000) this.flush();
    }

    flush() {
        if (!this.lines.length) return;
        fs.writeSync(this.fd, `${this.lines.join('\n')}\n`);
        this.lines = [];
    }

    close() {
        clearInterval(this.timer);
        this.flush();
        fs.closeSync(this.fd);
    }
}
