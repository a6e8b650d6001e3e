#!/usr/bin/env node
// chaos: a Florin of real processes under load, and a nemesis that does to it whatever can be done to it.
//
//   node tools/chaos/chaos.mjs [--minutes M] [--seed S] [--json] [--report FOLDER] [--document] …   (--help)
//
// README.md says what it proves and how.
import fs from 'node:fs';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {Client} from './client.mjs';
import {History} from './history.mjs';
import {checkout, Instance, pause} from './instance.mjs';
import {Load} from './load.mjs';
import {Model} from './model.mjs';
import {Nemesis} from './nemesis.mjs';
import {Receiver} from './receiver.mjs';
import {evaluate, writeReport, sayReport} from './report.mjs';

const help = `chaos [--minutes M] [--seed S] [--json] [--report FOLDER] [--document]
Kills, stops, cuts and confuses a Florin of its own under load, and proves that nothing is lost, doubled
or answered wrongly. Non-zero if anything was.
  --minutes M          how long faults are injected (1)
  --seed S             the same faults in the same order (a number of chance)
  --json               the result as JSON on standard output
  --report FOLDER      where history and report go (build/chaos-report)
  --document           writes docs/CHAOS.md and its picture, too
  --rate N             payments begun each second, if it can be (240)
  --merchants N, --lanes N   how many merchants, and requests at once of each (8, 5)
  --only PATTERN       faults whose kind matches the regular expression alone
  --shared             for a machine that does other things, too: recovery limits are doubled, and what the
                       control (a recovery from nothing) takes there is added ten times
  --settle S           how long everything that is under way may take to end after the last fault (180)
  --failpoints FP      what FP has for every process (common/io/failpoint.h): a Florin that is broken on purpose
  --quiet              no progress
Example: ./florin chaos --minutes 10 --seed 7 --document
`;

function readOptions() {
    const whole = (name, text, least) => {
        const number = Number(text);
        if (!/^\d+$/.test(text) || number < least) throw new Error(`--${name} needs a whole number, ${least} or more.`);
        return number;
    };
    const {values} = parseArgs({options: {
        minutes: {type: 'string', default: '1'}, seed: {type: 'string'}, json: {type: 'boolean', default: false},
        report: {type: 'string', default: path.join(checkout, 'build/chaos-report')}, document: {type: 'boolean', default: false},
        rate: {type: 'string', default: '240'}, merchants: {type: 'string', default: '8'}, lanes: {type: 'string', default: '5'},
        only: {type: 'string'}, shared: {type: 'boolean', default: false}, failpoints: {type: 'string'},
        settle: {type: 'string', default: '180'},
        quiet: {type: 'boolean', default: false}, help: {type: 'boolean', default: false},
    }});
    if (values.help) {
        process.stdout.write(`./florin ${help}`);
        process.exit(0);
    }
    const minutes = Number(values.minutes);
    if (!(minutes > 0 && minutes <= 10000)) throw new Error('--minutes needs a number above 0.');
    return {...values, minutes, seed: values.seed === undefined ? 1 + Math.floor(Math.random() * 1e9) : whole('seed', values.seed, 1),
        rate: whole('rate', values.rate, 1), merchants: whole('merchants', values.merchants, 1), lanes: whole('lanes', values.lanes, 1),
        settle: whole('settle', values.settle, 1), only: values.only && new RegExp(values.only)};
}

const clock = (ms) => `${String(Math.floor(ms / 60000)).padStart(2, '0')}:${String(Math.floor(ms / 1000) % 60).padStart(2, '0')}`;

class Progress {
    constructor(quiet) {
        this.quiet = quiet;
        this.begun = Date.now();
    }

    say(text) {
        if (!this.quiet) process.stderr.write(`${process.stderr.isTTY ? '\r\x1b[K' : ''}${clock(Date.now() - this.begun)}  ${text}\n`);
    }

    // A line every five seconds; on a terminal one that changes every second.
    follow(load, nemesis) {
        if (this.quiet) return;
        const begun = Date.now();
        let ticks = 0;
        this.timer = setInterval(() => {
            const second = Math.floor((Date.now() - load.begun) / 1000) - 1;
            const last = nemesis.current;
            const line = `${clock(Date.now() - begun)}  ${load.payments} payments (${load.marks[second] ?? 0}/s)  ${nemesis.injected.length} faults` +
                `${load.wrong.length + nemesis.wrong.length ? `  ${load.wrong.length + nemesis.wrong.length} WRONG` : ''}` +
                `${last ? `  ${last.kind}${last.ms === undefined ? ' …' : `: ${last.ms} ms`}` : ''}`;
            if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`);
            else if (++ticks % 5 === 0) process.stderr.write(`${line}\n`);
        }, 1000);
    }

    unfollow() {
        clearInterval(this.timer);
        if (!this.quiet && process.stderr.isTTY) process.stderr.write('\n');
    }
}

// One endpoint each, and for every third merchant a second one that will be made to fail.
async function listen(instance, merchants, receiver) {
    const numbers = [];
    for (const merchant of merchants) {
        const own = [merchant.number * 2 + 1, ...(merchant.number % 3 === 0 ? [merchant.number * 2] : [])];
        const client = new Client(instance.port, merchant, {write() {}}, {requests: 0, borne: new Map()});
        for (const number of own) {
            const answer = await client.insist('endpoint', 'POST', '/v1/webhook_endpoints', `url=${encodeURIComponent(receiver.url(number))}` +
                '&enabled_events[]=payment_intent.succeeded&enabled_events[]=charge.refunded', {key: `endpoint-${number}`});
            if (answer?.status !== 200) throw new Error(`No webhook endpoint could be made: ${answer?.text}`);
            receiver.secrets.set(number, JSON.parse(answer.text).secret);
            numbers.push(number);
        }
        merchant.endpoints = own;
        client.close();
    }
    return numbers;
}

async function listAll(client, target) {
    const objects = [];
    for (let after = ''; ;) {
        const answer = await client.insist('list', 'GET', `${target}?limit=100${after}`, undefined, {timeout: 30000});
        if (answer?.status !== 200) throw new Error(`GET ${target}: ${answer?.status} ${answer?.text}`);
        const page = JSON.parse(answer.text);
        objects.push(...page.data);
        if (!page.has_more) return objects;
        after = `&starting_after=${page.data.at(-1).id}`;
    }
}

const silent = () => ({write() {}}), nothing = () => ({requests: 0, borne: new Map()});

// Every merchant's objects as the API shows them, against the model.
async function compare(instance, merchants, model) {
    for (const merchant of merchants) {
        const client = new Client(instance.port, merchant, silent(), nothing());
        const [intents, charges] = [await listAll(client, '/v1/payment_intents'), await listAll(client, '/v1/charges')];
        let refunds; // some take their time: five seconds, and what follows
        for (const until = Date.now() + 60000; ; await pause(500)) {
            refunds = await listAll(client, '/v1/refunds');
            if (Date.now() > until || !refunds.some((refund) => refund.status === 'pending')) break;
        }
        model.compare(merchant.number, intents, charges, refunds);
        client.close();
    }
}

// Keys asked once more, when all is quiet: every one of a short run, 20,000 of a long one.
async function askAgain(instance, merchants, model, most = 20000) {
    const told = [...model.keys].filter(([, known]) => known.told);
    const step = Math.max(1, told.length / most);
    const queue = [];
    for (let at = 0; at < told.length; at += step) queue.push(told[Math.floor(at)]);
    const count = queue.length;
    await Promise.all(Array.from({length: 16}, async () => {
        const clients = merchants.map((merchant) => new Client(instance.port, merchant, silent(), nothing()));
        for (let next; (next = queue.pop());) {
            const [key, known] = next;
            const again = await clients[known.merchant].insist('again', 'POST', known.target, known.body, {key});
            if (again?.status !== known.status || again?.digest !== known.digest)
                model.wrong(`key ${key}: told ${known.status} ${known.digest}, and in the end ${again?.status} ${again?.digest}`);
        }
        for (const client of clients) client.close();
    }));
    return count;
}

// What was told to have succeeded has been heard of at every endpoint of its merchant.
async function unheard(model, merchants, receiver, ms) {
    const names = [];
    for (const [id, intent] of model.intents)
        if (intent.state === 'succeeded')
            for (const number of merchants[intent.merchant].endpoints) names.push(`${number} payment_intent.succeeded ${id}`);
    let missing = names;
    for (const until = Date.now() + ms; missing.length && Date.now() < until; await pause(100))
        missing = missing.filter((name) => !receiver.heard.has(name));
    return {due: names.length, missing};
}

async function run(options) {
    const progress = new Progress(options.quiet);
    fs.mkdirSync(options.report, {recursive: true});
    const instance = new Instance({failpoints: options.failpoints});
    const receiver = new Receiver();
    const history = new History(path.join(options.report, 'history.jsonl'));
    let load;
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
        process.once(signal, async () => { // nothing that was started stays behind
            progress.say(`${signal}: taking down what was started`);
            await instance.stop();
            process.exit(130);
        });
    const result = {seed: options.seed, minutes: options.minutes, date: new Date().toISOString(), failures: []};
    try {
        progress.say(`seed ${options.seed}: starting a Florin of the test build`);
        await instance.start();
        await receiver.start();
        const merchants = [];
        for (let number = 0; number < options.merchants; number++) merchants.push({...await instance.merchant(`Merchant ${number}`), number});
        const endpoints = await listen(instance, merchants, receiver);

        load = new Load({port: instance.port, merchants, history, receiver, rate: options.rate, lanes: options.lanes, seed: options.seed + 1});
        const nemesis = new Nemesis({instance, load, receiver, endpoints, seed: options.seed, milliseconds: options.minutes * 60000, only: options.only});
        progress.say(`${nemesis.faults.length} kinds of faults, ${merchants.length} merchants, ${options.rate} payments/s wanted`);
        load.begin();
        // Until it runs evenly: caches are warm, and events are heard of soon.
        for (const until = Date.now() + 20000; Date.now() < until;)
            if (await load.recovered({since: Date.now(), receiver, heard: true}) < 500) break;
        progress.follow(load, nemesis);
        await nemesis.rage();
        progress.unfollow();

        progress.say('no more faults; what is under way ends');
        await load.end();
        history.close();
        const quietAt = Date.now();
        progress.say('audit');
        const audit = await instance.audit(options.settle);
        result.auditMs = Date.now() - quietAt;
        progress.say('the history is replayed and compared with what the API shows');
        const model = new Model();
        await model.replay(history.file);
        await compare(instance, merchants, model);
        progress.say('keys are asked once more');
        const repeated = await askAgain(instance, merchants, model);
        const webhooks = await unheard(model, merchants, receiver, options.settle * 1000);
        Object.assign(result, {instance, load, nemesis, receiver, model, audit, repeated, webhooks, usage: instance.usage()});
    } catch (error) {
        result.failures.push(error.stderr?.trim() || error.stack);
    } finally {
        progress.unfollow();
        if (load) load.stopped = true;
        receiver.stop();
        const trouble = await instance.stop(process.env.FLORIN_KEEP_LOGS);
        if (trouble) result.failures.push(trouble);
    }
    return result;
}

let options;
try {
    options = readOptions();
} catch (error) {
    process.stderr.write(`florin chaos: ${error.message.split('\n')[0].replace(/\.?$/, '.')} ./florin chaos --help tells more.\n`);
    process.exit(1);
}
const told = evaluate(await run(options), options);
writeReport(told, options);
if (options.json) process.stdout.write(`${JSON.stringify(told, undefined, 2)}\n`);
else sayReport(told, options);
process.exit(told.failures.length ? 1 : 0);
