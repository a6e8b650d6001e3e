// load: many merchants, each with some lanes that play one little scene after another, at a rate.
//
// A lane owns what it makes, so it knows how everything it sees has to be; what it is told is judged here at
// once (a definite answer that is not as it must be is an error that a client has seen) and once more from
// the history, by model.mjs.
import {randomUUID} from 'node:crypto';
import {Client} from './client.mjs';
import {pause} from './instance.mjs';
import {Random} from './random.mjs';

const behindMs = 1500; // what a pause of the system has cost is caught up with, up to so much
const againMax = 30; // how often a client begins again when it is told to, "in a little bit"

// name, share of a hundred, scene
const scenes = [
    ['paid by a test card', 50, async (s) => s.pay({card: 'payment_method=pm_card_visa'})],
    ['paid by a card that was typed', 12, async (s) => s.pay({card: s.typedCard()})],
    ['declined', 5, async (s) => s.pay({card: 'payment_method=pm_card_visa_chargeDeclined', status: 402, state: 'requires_payment_method'})],
    ['asked for authentication', 2, async (s) => s.pay({card: 'payment_method=pm_card_authenticationRequired', state: 'requires_action'})],
    ['held and captured', 4, async (s) => {
        const intent = await s.hold();
        await s.step(intent, 'capture', '', 'succeeded');
    }],
    ['held and captured in part', 4, async (s) => {
        const intent = await s.hold();
        await s.step(intent, 'capture', `amount_to_capture=${1 + s.random.below(intent.amount)}`, 'succeeded');
    }],
    ['held and canceled', 3, async (s) => {
        const intent = await s.hold();
        await s.step(intent, 'cancel', '', 'canceled');
    }],
    ['made, then confirmed', 5, async (s) => {
        const intent = await s.pay({card: 'payment_method=pm_card_visa', confirm: false, state: 'requires_confirmation'});
        await s.step(intent, 'confirm', 'payment_method=pm_card_visa', 'succeeded');
    }],
    ['refunded in part', 4, async (s) => {
        const intent = await s.pay({card: 'payment_method=pm_card_visa'});
        await s.refund(intent, 1 + s.random.below(intent.amount), [200]);
    }],
    ['refunded twice at once, for which it does not suffice', 3, async (s) => {
        const intent = await s.pay({card: 'payment_method=pm_card_visa'});
        const most = Math.floor(intent.amount * 0.6);
        await Promise.all([s.refund(intent, most, [200, 400]), s.beside.refund(intent, most, [200, 400])]);
    }],
    ['refunded by a refund that takes its time', 1, async (s) => {
        const intent = await s.pay({card: 'payment_method=pm_card_pendingRefund'});
        await s.refund(intent, 1 + s.random.below(intent.amount), [200]);
    }],
    ['asked twice at once with one key', 3, async (s) => s.twice()],
    ['given up by its client', 2, async (s) => s.giveUp()],
    ['paid and looked at', 2, async (s) => {
        const intent = await s.pay({card: 'payment_method=pm_card_visa'});
        await s.look(intent, 'succeeded');
    }],
];
export const sceneNames = scenes.map(([name]) => name);

class Wrong extends Error {}

// What one lane can do.
class Stage {
    constructor(load, merchant, random) {
        Object.assign(this, {load, merchant, random});
        this.client = new Client(load.port, merchant, load.history, load.counts);
    }

    typedCard() {
        const month = this.random.between(1, 12), year = 2030 + this.random.below(20);
        return `payment_method_data[type]=card&payment_method_data[card][number]=4242424242424242` +
            `&payment_method_data[card][exp_month]=${month}&payment_method_data[card][exp_year]=${year}&payment_method_data[card][cvc]=123`;
    }

    form(key, {card, manual, confirm}, amount) {
        return `amount=${amount}&currency=usd&payment_method_types[]=card&${card}${confirm === false ? '' : '&confirm=true'}` +
            `${manual ? '&capture_method=manual' : ''}&metadata[key]=${key}`;
    }

    // Asks with a key; begins again with a new one as long as the answer says that nothing happened and that
    // it is to be tried again.
    async definitely(operation, method, target, makeBody) {
        for (let again = 0; again < againMax; again++) {
            const key = randomUUID();
            const answer = await this.client.insist(operation, method, target, makeBody(key), {key});
            if (!answer) throw new Wrong(`${operation}: nothing definite`);
            const nothingHappened = answer.code === 'processing_error' || (operation === 'refund' && answer.state === 'failed');
            if (!nothingHappened) return answer;
            this.load.counts.again++;
            await pause(Math.min(100 * 2 ** again, 2000));
        }
        throw new Wrong(`${operation}: told ${againMax} times to begin again`);
    }

    async pay(how) {
        const amount = how.amount ?? 100 + this.random.below(100000);
        const answer = await this.definitely('create', 'POST', '/v1/payment_intents', (key) => this.form(key, how, amount));
        this.load.paid();
        if (answer.status !== (how.status ?? 200) || answer.state !== (how.state ?? 'succeeded'))
            throw new Wrong(`create: ${answer.status} ${answer.code ?? ''} ${answer.message ?? ''} ${answer.state} instead of ${how.state ?? 'succeeded'}`);
        if (answer.state === 'succeeded' && !this.load.receiver.known.has(answer.id)) this.load.told.set(answer.id, Date.now());
        return {id: answer.id, amount, charge: answer.charge};
    }

    hold() {
        return this.pay({card: 'payment_method=pm_card_visa', manual: true, state: 'requires_capture'});
    }

    async step(intent, verb, body, state) {
        const answer = await this.definitely(verb, 'POST', `/v1/payment_intents/${intent.id}/${verb}`, () => body);
        if (answer.status !== 200 || answer.state !== state)
            throw new Wrong(`${verb} ${intent.id}: ${answer.status} ${answer.code ?? ''} ${answer.state} instead of ${state}`);
    }

    async refund(intent, amount, statuses) {
        const answer = await this.definitely('refund', 'POST', '/v1/refunds', () => `payment_intent=${intent.id}&amount=${amount}`);
        if (!statuses.includes(answer.status)) throw new Wrong(`refund of ${intent.id}: ${answer.status} ${answer.code ?? ''}`);
        return answer;
    }

    async look(intent, state) {
        const answer = await this.client.insist('look', 'GET', `/v1/payment_intents/${intent.id}`, undefined);
        if (!answer || answer.status !== 200 || answer.state !== state || answer.amount !== intent.amount)
            throw new Wrong(`${intent.id} is ${answer?.status} ${answer?.state}, ${answer?.amount} instead of ${intent.amount}`);
    }

    async twice() {
        const key = randomUUID(), amount = 100 + this.random.below(100000);
        const body = this.form(key, {card: 'payment_method=pm_card_visa'}, amount);
        const answers = await Promise.all([this, this.beside].map((stage) =>
            stage.client.insist('create', 'POST', '/v1/payment_intents', body, {key})));
        this.load.paid();
        if (answers.some((answer) => !answer)) throw new Wrong('asked twice: nothing definite');
        if (answers[0].digest !== answers[1].digest || answers[0].status !== answers[1].status)
            throw new Wrong(`asked twice: ${answers[0].status} ${answers[0].id}, and ${answers[1].status} ${answers[1].id}`);
    }

    // One try and no more, and no patience: whatever becomes of it, it must not stay open.
    async giveUp() {
        const key = randomUUID(), amount = 100 + this.random.below(100000);
        await this.client.insist('abandon', 'POST', '/v1/payment_intents', this.form(key, {card: 'payment_method=pm_card_visa'}, amount),
            {key, tries: 1, timeout: 15});
        this.load.paid();
    }
}

export class Load {
    payments = 0;
    played = new Map();
    wrong = [];
    stages = [];
    marks = []; // [Unix s] → payments ended then
    stopped = false;
    told = new Map(); // payment → when its client was told that it succeeded, until it is heard of
    heardAfter = []; // [ms since the beginning, ms from there until the first endpoint heard of it]

    constructor({port, merchants, history, receiver, rate, lanes, seed}) {
        Object.assign(this, {port, merchants, history, receiver, rate, lanes});
        receiver.onFirst = (id) => this.heard(id);
        this.counts = {requests: 0, again: 0, borne: new Map()};
        this.random = new Random(seed);
        this.deck = scenes.flatMap((scene) => Array(scene[1]).fill(scene));
    }

    paid() {
        this.payments++;
        const second = Math.floor((Date.now() - this.begun) / 1000);
        this.marks[second] = (this.marks[second] ?? 0) + 1;
    }

    // From the receiver. Heard of before the client was told: that is at once.
    heard(id) {
        const told = this.told.get(id);
        this.told.delete(id);
        if (this.begun) this.heardAfter.push([Date.now() - this.begun, told ? Date.now() - told : 0]);
    }

    // When the next scene may begin: one after the other at the rate, whoever takes it.
    async turn() {
        const now = Date.now();
        this.next = Math.max(this.next ?? now, now - behindMs);
        const at = this.next;
        this.next += 1000 / this.rate;
        if (at > now) await pause(at - now);
    }

    begin() {
        this.begun = Date.now();
        this.playing = this.merchants.flatMap((merchant) => Array.from({length: this.lanes}, () => this.play(merchant)));
    }

    async play(merchant) {
        const random = new Random(this.random.below(2 ** 32));
        const stage = new Stage(this, merchant, random);
        stage.beside = new Stage(this, merchant, random);
        this.stages.push(stage, stage.beside);
        while (!this.stopped) {
            await this.turn();
            if (this.stopped) break;
            const [name, , scene] = random.one(this.deck);
            try {
                await scene(stage);
                this.played.set(name, (this.played.get(name) ?? 0) + 1);
            } catch (error) {
                if (!(error instanceof Wrong)) throw error;
                this.wrong.push(`${name}: ${error.message}`);
            }
        }
    }

    // No more scenes; those that are under way end.
    async end() {
        this.stopped = true;
        await Promise.all(this.playing);
        this.ended = Date.now();
        for (const stage of this.stages) stage.client.close();
    }

    // Payments begun now and every 100 ms for each merchant, until each has had one that succeeded (and, if
    // wanted, was heard of by webhook). Answers after how long, undefined when that does not come about.
    async recovered({since, receiver, heard = false, limitMs = 90000}) {
        const done = new Map();
        const open = new Map(this.merchants.map((merchant) => [merchant.number, 0]));
        const told = new Map(); // intent → merchant, until it is heard of
        const early = new Set(); // heard of before the client was answered
        const isHeard = (merchant) => done.has(merchant) || done.set(merchant, Date.now() - since);
        const listen = (number, id) => {
            if (told.has(id)) isHeard(told.get(id));
            else early.add(id);
        };
        if (heard) receiver.listeners.add(listen);
        const begun = Date.now();
        while (done.size < this.merchants.length && Date.now() - begun < limitMs) {
            for (const merchant of this.merchants) {
                if (done.has(merchant.number) || open.get(merchant.number) >= 12) continue;
                open.set(merchant.number, open.get(merchant.number) + 1);
                const probe = this.probe(merchant, (id) => {
                    told.set(id, merchant.number);
                    if (early.has(id)) isHeard(merchant.number);
                }).then((ok) => {
                    open.set(merchant.number, open.get(merchant.number) - 1);
                    if (ok && !heard && !done.has(merchant.number)) done.set(merchant.number, Date.now() - since);
                });
                this.playing.push(probe);
            }
            for (let waited = 0; waited < 100 && done.size < this.merchants.length; waited += 10) await pause(10);
        }
        receiver?.listeners.delete(listen);
        const ms = done.size === this.merchants.length ? Math.max(...done.values()) : undefined;
        return ms;
    }

    async probe(merchant, tell) {
        const stage = new Stage(this, merchant, this.random);
        try {
            const {id} = await stage.pay({card: 'payment_method=pm_card_visa', amount: 500});
            tell(id);
            return true;
        } catch (error) {
            if (!(error instanceof Wrong)) throw error;
            this.wrong.push(`probe: ${error.message}`);
            return false;
        } finally {
            stage.client.close();
        }
    }
}
