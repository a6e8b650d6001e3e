// model: a reference for payments, small enough to be seen through: what a payment becomes by what its client
// asked and was told. It replays the history from disk, and is then held against what the API shows.
//
// It finds: a key with two answers; an answer that cannot follow from what was told before; a payment that was
// told and is not there (lost); two for one key, two charges for one payment, a refund that nobody was told
// of (doubled); refunds above what was captured; any amount or state that differs.
import {linesOf} from './instance.mjs';

const declined = 'pm_card_visa_chargeDeclined', asks = 'pm_card_authenticationRequired';

// What a payment is to be after it was made, by its form alone.
function stateAfter(form) {
    if (form.get('confirm') !== 'true') return 'requires_confirmation';
    const card = form.get('payment_method');
    if (card === declined) return 'requires_payment_method';
    if (card === asks) return 'requires_action';
    return form.get('capture_method') === 'manual' ? 'requires_capture' : 'succeeded';
}

export class Model {
    intents = new Map(); // id → {merchant, key, amount, state, captured, refunds, refused}
    keys = new Map(); // key → {merchant, operation, target, body, status, digest, told}
    problems = {lost: [], doubled: [], wrong: []};
    counts = {requests: 0, definite: 0, payments: 0, refunds: 0};

    async replay(file) {
        for await (const line of linesOf(file)) this.take(JSON.parse(line));
    }

    wrong(text) {
        this.problems.wrong.push(text);
    }

    take(record) {
        this.counts.requests++;
        if (record.key && !this.keys.has(record.key))
            this.keys.set(record.key, {merchant: record.m, operation: record.op, target: record.target, body: record.body});
        if (!record.definite) return;
        this.counts.definite++;
        if (record.key) {
            const known = this.keys.get(record.key);
            if (known.told) {
                if (known.status !== record.status || known.digest !== record.digest)
                    this.wrong(`key ${record.key}: told ${known.status} ${known.digest}, then ${record.status} ${record.digest}`);
                return; // a repetition moves nothing
            }
            Object.assign(known, {told: true, status: record.status, digest: record.digest});
        }
        if (record.op === 'create' || record.op === 'abandon') this.created(record);
        else if (record.op === 'refund') this.refunded(record);
        else if (record.op === 'look') this.looked(record);
        else if (['capture', 'cancel', 'confirm'].includes(record.op)) this.stepped(record);
    }

    created(record) {
        const form = new URLSearchParams(record.body);
        const amount = Number(form.get('amount')), undone = record.code === 'processing_error';
        const state = undone ? 'requires_payment_method' : stateAfter(form);
        const status = undone || state === 'requires_payment_method' ? 402 : 200;
        this.counts.payments++;
        if (record.status !== status || record.state !== state)
            return this.wrong(`${record.id ?? record.key}: made with ${record.status} ${record.code ?? ''} ${record.state} instead of ${status} ${state}`);
        if (status === 200 && record.amount !== amount) this.wrong(`${record.id}: ${record.amount} instead of ${amount}`);
        if (status === 200 && state === 'succeeded' && record.received !== amount) this.wrong(`${record.id}: received ${record.received} of ${amount}`);
        if (!record.id) return;
        if (this.intents.has(record.id)) this.problems.doubled.push(`${record.id} is the answer to two keys`);
        this.intents.set(record.id, {merchant: record.m, key: record.key, amount, state, refunds: new Map(), refused: [],
            captured: state === 'succeeded' ? amount : 0, held: state === 'requires_capture'});
    }

    stepped(record) {
        const id = record.target.split('/')[3], intent = this.intents.get(id);
        if (!intent) return this.wrong(`${record.op} of ${id}, which was never told`);
        if (record.code === 'processing_error') {
            if (record.op === 'confirm') intent.state = 'requires_payment_method';
            return;
        }
        const [from, to] = {capture: [['requires_capture'], 'succeeded'], cancel: [['requires_capture'], 'canceled'],
            confirm: [['requires_confirmation', 'requires_payment_method'], 'succeeded']}[record.op];
        if (!from.includes(intent.state)) this.wrong(`${record.op} of ${id} was done while it was ${intent.state}`);
        if (record.status !== 200 || record.state !== to)
            return this.wrong(`${record.op} of ${id}: ${record.status} ${record.code ?? ''} ${record.state} instead of ${to}`);
        intent.state = to;
        if (to !== 'succeeded') return;
        intent.captured = Number(new URLSearchParams(record.body).get('amount_to_capture') ?? intent.amount);
        if (record.received !== intent.captured) this.wrong(`${id}: received ${record.received} instead of ${intent.captured}`);
    }

    refunded(record) {
        const form = new URLSearchParams(record.body), id = form.get('payment_intent'), amount = Number(form.get('amount'));
        const intent = this.intents.get(id);
        if (!intent) return this.wrong(`refund of ${id}, which was never told`);
        if (record.status === 400) {
            intent.refused.push(amount);
            return;
        }
        if (record.status !== 200) return this.wrong(`refund of ${id}: ${record.status} ${record.code ?? ''}`);
        if (record.state === 'failed') return;
        if (record.amount !== amount) this.wrong(`refund ${record.id}: ${record.amount} instead of ${amount}`);
        this.counts.refunds++;
        intent.refunds.set(record.id, amount);
        if (this.refundSum(intent) > intent.captured) this.wrong(`${id}: ${this.refundSum(intent)} refunded of ${intent.captured}`);
    }

    refundSum(intent) {
        let sum = 0;
        for (const amount of intent.refunds.values()) sum += amount;
        return sum;
    }

    looked(record) {
        const id = record.target.split('/')[3], intent = this.intents.get(id);
        if (!intent || record.state !== intent.state || record.amount !== intent.amount)
            this.wrong(`${id} looked ${record.state} ${record.amount} instead of ${intent?.state} ${intent?.amount}`);
    }

    // Against all that one merchant is shown: [intents], [charges], [refunds] of the API.
    compare(merchant, intents, charges, refunds) {
        const {lost, doubled} = this.problems;
        const chargesOf = new Map(), byKey = new Map(), refundOf = new Map(refunds.map((refund) => [refund.id, refund]));
        for (const charge of charges)
            (chargesOf.get(charge.payment_intent) ?? chargesOf.set(charge.payment_intent, []).get(charge.payment_intent)).push(charge);
        const shown = new Map(intents.map((intent) => [intent.id, intent]));
        for (const intent of intents) {
            const {key} = intent.metadata;
            if (byKey.has(key)) doubled.push(`key ${key}: ${intent.id} and ${byKey.get(key)}`);
            byKey.set(key, intent.id);
            this.compareIntent(merchant, intent, chargesOf.get(intent.id) ?? []);
        }
        for (const [id, intent] of this.intents) {
            if (intent.merchant !== merchant) continue;
            if (!shown.has(id)) lost.push(`${id} was told and is not there`);
            const sum = this.refundSum(intent);
            for (const amount of intent.refused)
                if (sum + amount <= intent.captured) this.wrong(`${id}: a refund of ${amount} was refused, with ${sum} of ${intent.captured} refunded`);
            for (const [refund, amount] of intent.refunds) {
                const found = refundOf.get(refund);
                if (!found) lost.push(`refund ${refund} was told and is not there`);
                else if (found.amount !== amount || found.payment_intent !== id || found.status !== 'succeeded')
                    this.wrong(`refund ${refund} is ${found.status}, ${found.amount} of ${found.payment_intent}`);
            }
        }
        for (const refund of refunds)
            if (refund.status !== 'failed' && !this.intents.get(refund.payment_intent)?.refunds.has(refund.id))
                doubled.push(`refund ${refund.id} of ${refund.payment_intent}: ${refund.status}, and nobody was told of it`);
    }

    compareIntent(merchant, shown, charges) {
        const told = this.keys.get(shown.metadata.key), intent = this.intents.get(shown.id);
        if (!told || told.merchant !== merchant) {
            this.problems.doubled.push(`${shown.id}: nobody has asked for it`);
            return;
        }
        // Of what its client never heard, everything may have happened or nothing.
        const open = !intent && (!told.told || told.status >= 400);
        if (!intent && !open) this.problems.doubled.push(`${shown.id}: its client was told of another`);
        if (open && !['succeeded', 'requires_payment_method'].includes(shown.status)) this.wrong(`${shown.id}: nobody was told, and it is ${shown.status}`);
        if (open && told.told && shown.status === 'succeeded') this.wrong(`${shown.id}: paid, and its client was told ${told.status}`);
        const state = intent?.state ?? shown.status, amount = Number(new URLSearchParams(told.body).get('amount'));
        const captured = intent ? intent.captured : state === 'succeeded' ? amount : 0;
        if (shown.status !== state) this.wrong(`${shown.id} is ${shown.status}; its client was told ${state}`);
        if (shown.amount !== amount) this.wrong(`${shown.id}: ${shown.amount} instead of ${amount}`);
        if (state === 'succeeded' && shown.amount_received !== captured) this.wrong(`${shown.id}: received ${shown.amount_received} instead of ${captured}`);
        const good = charges.filter((charge) => charge.status === 'succeeded');
        const due = ['succeeded', 'requires_capture', 'canceled'].includes(state) ? 1 : 0;
        if (good.length > due) this.problems.doubled.push(`${shown.id}: ${state}, with ${good.length} charges`);
        if (good.length < due) this.problems.lost.push(`${shown.id}: ${state}, with ${good.length} charges`);
        if (good.length !== 1 || due !== 1) return;
        const refunded = amount - captured + (intent ? this.refundSum(intent) : 0);
        const wanted = state === 'requires_capture' ? 0 : refunded;
        if (good[0].amount !== amount || good[0].amount_captured !== captured || good[0].amount_refunded !== wanted)
            this.wrong(`${good[0].id}: ${good[0].amount_captured} captured and ${good[0].amount_refunded} refunded of ${good[0].amount};` +
                ` ${captured} and ${wanted} of ${amount} were told`);
    }
}
