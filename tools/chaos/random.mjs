// random: chance from a seed, so that the same seed injects the same faults in the same order.
export class Random {
    constructor(seed) {
        this.state = (seed >>> 0) || 1;
    }

    // mulberry32
    next() {
        this.state = (this.state + 0x6d2b79f5) >>> 0;
        let t = this.state;
        t = Math.imul(t ^ (t >>> 15), t | 1);
        t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    }

    below(n) {
        return Math.floor(this.next() * n);
    }

    between(low, high) {
        return low + this.below(high - low + 1);
    }

    one(list) {
        return list[this.below(list.length)];
    }

    shuffle(list) {
        for (let i = list.length - 1; i > 0; i--) {
            const j = this.below(i + 1);
            [list[i], list[j]] = [list[j], list[i]];
        }
        return list;
    }
}
