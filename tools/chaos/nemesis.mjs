// nemesis: takes faults from a deck that the seed has shuffled, one after the other, and measures how long
// each takes to be over. Blows are dealt alone most of the time; now and then a condition (a slow network,
// an endpoint that hangs) lasts while they are dealt, and then they are measured apart from the others.
import {pause} from './instance.mjs';
import {makeFaults} from './faults.mjs';
import {Random} from './random.mjs';

const breathMs = [60, 260]; // between two faults
const limitMs = 90000;

export class Nemesis {
    injected = []; // {kind, group, what, at, ms, alone, lasted, limit}
    unreached = [];
    wrong = [];
    conditions = new Set();

    constructor({instance, load, receiver, endpoints, seed, milliseconds, only}) {
        Object.assign(this, {instance, load, receiver, endpoints, milliseconds});
        this.random = new Random(seed);
        this.faults = makeFaults(instance).filter((fault) =>
            fault.control || (only ? only.test(fault.kind) : fault.longest <= milliseconds / 10));
        if (this.faults.every((fault) => fault.control)) throw new Error('No kind of fault has a name that --only matches.');
        // First of all, every process once.
        this.deck = this.random.shuffle(this.faults.filter((fault) => fault.control || fault.kind.startsWith('kill -9 ')));
        this.waiting = [];
    }

    // In each round every kind comes as often as its share says; a fraction is a chance.
    draw() {
        if (!this.deck.length) {
            for (const fault of this.faults)
                for (let share = fault.share; share > 0; share--)
                    if (share >= 1 || this.random.next() < share) this.deck.push(fault);
            this.random.shuffle(this.deck);
        }
        return this.deck.pop();
    }

    // Until so many ms have passed. Answers when all that was begun is over.
    async rage() {
        this.begun = Date.now();
        while (Date.now() - this.begun < this.milliseconds) {
            const fault = this.draw();
            if (!fault) break;
            if (fault.apart && (this.random.next() < 0.5 || fault.beside)) {
                if (!this.conditions.size) this.waiting.push(this.inject(fault, true));
            } else {
                await this.inject(fault, false);
            }
            await pause(this.random.between(...breathMs));
        }
        await Promise.all(this.waiting);
    }

    async inject(fault, beside) {
        const alone = !beside && !this.conditions.size;
        if (fault.apart) this.conditions.add(fault);
        const hit = await fault.inject(this);
        if (!hit) {
            this.unreached.push(fault.kind);
            this.conditions.delete(fault);
            return;
        }
        const record = {kind: fault.kind, group: fault.group ?? fault.kind, what: hit.what, at: hit.at, alone, heard: Boolean(fault.heard),
            limit: fault.limit};
        this.injected.push(record);
        this.current = record;
        const measure = (since) => this.load.recovered({since, receiver: this.receiver, heard: fault.heard, limitMs});
        let ms;
        if (fault.end) {
            const standing = hit.at;
            // Whether it is survived while it lasts is of interest for what stands still and for links.
            const during = fault.apart ? undefined : measure(standing);
            await pause(Math.max(0, standing + fault.lasts - Date.now()));
            fault.end(this, hit);
            record.lasted = Date.now() - standing;
            ms = during ? await during : await measure(Date.now());
        } else {
            ms = await measure(hit.at);
        }
        record.ms = ms;
        record.alone = record.alone && (fault.apart || !this.conditions.size);
        this.conditions.delete(fault);
        if (ms === undefined) this.wrong.push(`${fault.kind} (${hit.what}): no recovery within ${limitMs / 1000} s`);
    }
}
