// instance: a Florin of our own, of the test build, in a temporary folder: started, looked into, stopped.
import {execFile, spawn} from 'node:child_process';
import {createHmac} from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import {fileURLToPath} from 'node:url';

export const checkout = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// What differs from an instance for use: a network that is given up sooner, so that what a silent one leaves
// is recovered within the run; webhooks that are tried again soon; no limits on a merchant's rate; funds
// that become available during the run. Two workers share the merchants and one stands ready, so that
// slots move between those who have some and go to one who has none.
const settings = {
    workers: 2, standby_workers: 1,
    network_timeout_ms: 2000, webhook_timeout_ms: 2000, webhook_retry_s: '1 1 1 2 2 2 4 4 8 8 15 15 30 30',
    account_rate: 0, key_rate: 0, settlement_delay_s: 20, log_level: 'info',
};

export class Instance {
    constructor({failpoints, verbose} = {}) {
        this.bin = path.join(checkout, 'build/chaos/bin');
        this.failpoints = failpoints;
        this.verbose = verbose;
    }

    async start() {
        this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'florin-chaos.'));
        fs.chmodSync(this.folder, 0o711); // Postgres runs as a user of its own, and must get to its cluster
        this.home = path.join(this.folder, 'home');
        fs.mkdirSync(this.home, {mode: 0o711});
        fs.mkdirSync(path.join(this.home, 'run'), {mode: 0o700});
        this.run = path.join(this.home, 'run');
        fs.writeFileSync(path.join(this.home, 'florin.conf'),
            Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`).join(''), {mode: 0o600});
        this.port = await freePort();
        await this.startDetour();
        await this.startSupervisor();
        this.mapFailpoints();
        this.startPsql();
    }

    // The environment of what is to use the detour, and of what is not.
    environment(detoured) {
        const {FP, FLORIN_DETOUR, ...rest} = process.env;
        return {...rest, FLORIN_HOME: this.home, FLORIN_PORT: String(this.port),
            ...(detoured ? {FLORIN_DETOUR: this.detourFolder, ...(this.failpoints ? {FP: this.failpoints} : {})} : {})};
    }

    async startDetour() {
        this.detourFolder = path.join(this.folder, 'detour');
        fs.mkdirSync(this.detourFolder, {mode: 0o700});
        this.detour = spawn(path.join(this.bin, 'florin-detour'), [this.detourFolder, this.run],
            {stdio: ['pipe', 'pipe', 'inherit']});
        this.detour.stdin.on('error', () => {});
        await new Promise((resolve, reject) => {
            this.detour.stdout.once('data', resolve);
            this.detour.once('exit', () => reject(new Error('florin-detour ended')));
        });
    }

    orderDetour(line) {
        this.detour.stdin.write(`${line}\n`);
    }

    async startSupervisor() {
        await runFile(path.join(this.bin, 'florin-supervisor'), ['--home', this.home, '--detach'], this.environment(true));
    }

    ctl(...words) {
        return runFile(path.join(this.bin, 'florin-ctl'), [words[0], '--home', this.home, ...words.slice(1)],
            this.environment(false));
    }

    // Another merchant: its account and its key.
    async merchant(name) {
        const text = await this.ctl('merchant', '--name', name);
        return {name, account: /acct_\w+/.exec(text)[0], key: /sk_test_\w+/.exec(text)[0]};
    }

    // [{name, pid, state}], as the supervisor wrote it last.
    processes() {
        try {
            const told = JSON.parse(fs.readFileSync(path.join(this.run, 'status.json'), 'utf8'));
            this.supervisor = told.supervisor;
            return told.processes;
        } catch {
            return []; // being replaced, or the supervisor is gone
        }
    }

    process(name) {
        return this.processes().find((p) => p.name === name && p.pid > 0 && isAlive(p.pid));
    }

    signal(name, signal) {
        const found = this.process(name);
        if (!found) return undefined;
        try {
            process.kill(found.pid, signal);
            return found.pid;
        } catch {
            return undefined;
        }
    }

    // --- failpoints: RUN/failpoints, as common/io/failpoint.h has it

    mapFailpoints() {
        const table = fs.readFileSync(path.join(checkout, 'common/io/failpoints.def'), 'utf8');
        this.points = [...table.matchAll(/^POINT\((\w+),\s*(\w+),/gm)].map(([, role, name]) => `${role}.${name}`);
        this.pointsFile = fs.openSync(path.join(this.run, 'failpoints'), 'r+');
    }

    armFailpoint(point, action, ms = 0, after = 0) {
        const actions = {none: 0, kill: 1, stop: 2, sleep: 3, abort: 4};
        const at = this.points.indexOf(point) * 32;
        const record = Buffer.alloc(12);
        record.writeUInt32LE(ms, 4);
        record.writeUInt32LE(after, 8);
        fs.writeSync(this.pointsFile, record, 4, 8, at + 4);
        record.writeUInt32LE(actions[action], 0);
        fs.writeSync(this.pointsFile, record, 0, 4, at);
    }

    // {done, pid}: how often it has had its effect, and in which process last.
    failpoint(point) {
        const record = Buffer.alloc(32);
        fs.readSync(this.pointsFile, record, 0, 32, this.points.indexOf(point) * 32);
        return {done: record.readUInt32LE(12), pid: record.readUInt32LE(16)};
    }

    // --- Postgres, as its administrator

    startPsql() {
        const socket = path.dirname(fs.realpathSync(path.join(this.run, '.s.PGSQL.5432')));
        this.psqlEnvironment = {...process.env, PGHOST: socket, PGUSER: 'florin_admin', PGDATABASE: 'florin', PGCONNECT_TIMEOUT: '5',
            PGPASSWORD: fs.readFileSync(path.join(this.home, 'secrets/postgres_florin_admin'), 'utf8').trim()};
    }

    async sql(text) {
        return (await runFile('psql', ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-c', text], this.psqlEnvironment)).trim();
    }

    async leader() {
        return this.sql('SELECT holder FROM ledger_leader');
    }

    // One word to Redis, whatever it answers.
    redis(words) {
        return new Promise((resolve) => {
            const socket = net.connect(path.join(this.run, 'redis.sock'));
            socket.setTimeout(2000, () => socket.destroy());
            socket.on('error', () => resolve(false));
            socket.on('close', () => resolve(false));
            socket.on('data', () => {
                resolve(true);
                socket.destroy();
            });
            socket.write(`${words}\r\n`);
        });
    }

    network(faults) {
        const file = path.join(this.home, 'network/faults');
        if (!faults) fs.rmSync(file, {force: true});
        else fs.writeFileSync(file, Object.entries(faults).map(([name, value]) => `${name}=${value}\n`).join(''), {mode: 0o600});
    }

    async audit(seconds) {
        try {
            return {clean: true, text: await this.ctl('audit', '--wait', String(seconds))};
        } catch (error) {
            return {clean: false, text: `${error.stdout ?? ''}${error.stderr ?? error.message}`};
        }
    }

    // Memory and processor time of each process, for the report: {name: {cpu_s, rss_mib}}.
    usage() {
        const told = {};
        for (const {name, pid} of this.processes()) {
            try {
                const fields = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
                told[name] = {cpu_s: (Number(fields[11]) + Number(fields[12])) / 100, rss_mib: Number(fields[21]) * 4096 / 2 ** 20};
            } catch {
                // gone just now
            }
        }
        return told;
    }

    async stop(keepLogs) {
        for (const {pid} of this.processes()) {
            try {
                process.kill(pid, 'SIGCONT');
            } catch {
                // gone
            }
        }
        let trouble;
        try {
            if (this.home) await runFile(path.join(this.bin, 'florin-supervisor'), ['--home', this.home, '--down'], this.environment(false));
        } catch (error) {
            trouble = `florin down: ${error.stderr || error.message}`;
        }
        this.detour?.stdin.end();
        if (keepLogs && this.home) fs.cpSync(path.join(this.home, 'log'), keepLogs, {recursive: true});
        if (this.folder) fs.rmSync(this.folder, {recursive: true, force: true});
        return trouble;
    }
}

export function isAlive(pid) {
    try {
        process.kill(pid, 0);
        return !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
    } catch {
        return false;
    }
}

// Of a postmaster: the processes that it has started.
export function childrenOf(pid) {
    const children = [];
    for (const name of fs.readdirSync('/proc')) {
        if (!/^\d+$/.test(name)) continue;
        try {
            const [, parent] = fs.readFileSync(`/proc/${name}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
            if (Number(parent) === pid) children.push(Number(name));
        } catch {
            // ended just now
        }
    }
    return children;
}

function runFile(file, words, env) {
    return new Promise((resolve, reject) => {
        execFile(file, words, {env, encoding: 'utf8', maxBuffer: 1 << 26}, (error, stdout, stderr) => {
            if (error) reject(Object.assign(error, {stdout, stderr}));
            else resolve(stdout);
        });
    });
}

async function freePort() {
    const server = net.createServer();
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const {port} = server.address();
    await new Promise((resolve) => server.close(resolve));
    return port;
}

export const signatureOf = (secret, time, body) => createHmac('sha256', secret).update(`${time}.${body}`).digest('hex');
export const linesOf = (file) => readline.createInterface({input: fs.createReadStream(file), crlfDelay: Infinity});
