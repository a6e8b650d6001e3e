// faults: everything that the nemesis can do, a row each.
//
//   kind     as the report names it
//   share    how often it is in the deck
//   longest  ms that it may take at most; only runs that are long enough have it (a tenth of the run)
//   inject   does it; answers with what it hit, or undefined when there was nothing to hit
//   end      undoes what would stay (a stopped process, a slow network), after `lasts` ms
//   heard    recovery is a webhook that arrives, not a payment that succeeds
//   limit    ms within which recovery has to come at the 99th percentile
//   apart    a condition rather than a blow: may last while others are injected
//   beside   never anything but that: it lasts for long
//
// Recovery is measured from the moment of the blow, or from the end of a condition.
import {childrenOf, isAlive, pause} from './instance.mjs';

const actors = ['gateway', 'broker', 'payments', 'vault', 'network', 'webhooks'];
const killLimits = {gateway: 1000, broker: 1000, payments: 1000, webhooks: 1000, 'leading ledger': 2000, 'waiting ledger': 2000};

// A process of that role; of the ledgers, the one that leads or the other.
async function nameOf({instance, random}, role) {
    if (role === 'redis' || role === 'postgres') return role;
    if (role === 'leading ledger' || role === 'waiting ledger') {
        let leader;
        try {
            leader = await instance.leader();
        } catch {
            return undefined; // Postgres is away
        }
        return role === 'leading ledger' ? leader : leader === 'ledger-1' ? 'ledger-2' : 'ledger-1';
    }
    const names = instance.processes().map((p) => p.name).filter((name) => name.startsWith(`${role}-`));
    return names.length ? random.one(names) : undefined;
}

const blow = (role, signal) => async (run) => {
    const name = await nameOf(run, role);
    const pid = name && run.instance.signal(name, signal);
    return pid ? {what: `${name} (${pid})`, pid, at: Date.now()} : undefined;
};

function wake(hit) {
    try {
        process.kill(hit.pid, 'SIGCONT');
    } catch {
        // ended meanwhile
    }
}

// The whole of Postgres: its postmaster and every process that it has started.
function killPostgres(instance) {
    const found = instance.process('postgres');
    if (!found) return undefined;
    const children = childrenOf(found.pid);
    for (const pid of [found.pid, ...children]) {
        try {
            process.kill(pid, 'SIGKILL');
        } catch {
            // ended by itself
        }
    }
    return found.pid;
}

// Sessions of that role that are in a transaction end, if possible in their COMMIT: looked for without a pause.
const endSessions = (role) => async ({instance}) => {
    let hit = '';
    try {
        hit = await instance.sql(`SET statement_timeout = '3s';
        DO $$ DECLARE victim int; BEGIN
            FOR i IN 1..10000 LOOP
                PERFORM pg_stat_clear_snapshot();
                SELECT pid INTO victim FROM pg_stat_activity WHERE usename = '${role}' AND state = 'active'
                    AND (query ILIKE '%commit%' OR backend_xid IS NOT NULL) AND query NOT ILIKE '%advisory%' LIMIT 1;
                EXIT WHEN victim IS NOT NULL;
            END LOOP;
            PERFORM set_config('chaos.victim', coalesce(pg_terminate_backend(victim)::text, ''), false);
        END $$;
        SELECT current_setting('chaos.victim')`);
    } catch {
        // nobody was in a COMMIT for all that time, or Postgres is away
    }
    return hit.includes('t') ? {what: `a session of ${role}`, at: Date.now()} : undefined;
};

const linkNames = ['broker_front-1', 'broker_back-1', 'ledger_commands-', 'ledger_tap-', 'vault_tokenize-1', 'vault_reveal-1',
    'network_requests-1'];

// Points that are passed only when something else has happened.
const provoked = {
    'broker.after_assign': blow('payments', 'SIGKILL'),
    'payments.after_slots_taken': blow('payments', 'SIGKILL'),
    'payments.after_take': blow('payments', 'SIGKILL'),
    'payments.before_reverse': async ({instance}) => {
        instance.network({lose_percent: 100});
        await pause(300);
        instance.network(undefined);
        return blow('payments', 'SIGKILL')({instance, random: {one: (list) => list[0]}});
    },
    'payments.after_reversing': (run) => provoked['payments.before_reverse'](run),
    'ledger.before_lead': blow('leading ledger', 'SIGKILL'),
    'ledger.after_lead': blow('leading ledger', 'SIGKILL'),
};
// For the tests that lies are found; nothing that may be done to a Florin that is to stand it.
const lies = ['payments.answer_early', 'payments.forget_recovery'];

const failpoint = (point, action, ms) => ({
    async inject(run) {
        const {instance} = run;
        const before = instance.failpoint(point).done;
        // Passed a few times first, so that it is not always the first request after the last fault.
        instance.armFailpoint(point, action, ms, provoked[point] ? 0 : run.random.below(20));
        if (provoked[point]) await provoked[point](run);
        for (const until = Date.now() + 2500; Date.now() < until; await pause(5)) {
            const {done, pid} = instance.failpoint(point);
            if (done !== before) return {what: `${point} in ${pid}`, pid, at: Date.now()};
        }
        instance.armFailpoint(point, 'none');
        await pause(5);
        const {done, pid} = instance.failpoint(point);
        return done === before ? undefined : {what: `${point} in ${pid}`, pid, at: Date.now()};
    },
    ...(action === 'stop' ? {lasts: ms, end: (run, hit) => wake(hit)} : {}),
});

export function makeFaults(instance) {
    const faults = [];
    const add = (kind, share, fault) => faults.push({kind, share, longest: 0, ...fault});

    for (const role of [...actors, 'leading ledger', 'waiting ledger'])
        add(`kill -9 ${role}`, role === 'waiting ledger' ? 2 : 6, {inject: blow(role, 'SIGKILL'), limit: killLimits[role], heard: role === 'webhooks'});
    for (const role of [...actors, 'leading ledger', 'waiting ledger'])
        add(`SIGTERM ${role}`, 2, {inject: blow(role, 'SIGTERM'), heard: role === 'webhooks'});
    for (const role of [...actors, 'leading ledger', 'redis'])
        add(`SIGSTOP 5 s ${role}`, 1, {inject: blow(role, 'SIGSTOP'), lasts: 5000, end: (run, hit) => wake(hit), longest: 6000});
    // Whoever has another beside it stands still while other things happen; the others stop everything, and that
    // is for runs of half an hour and more.
    for (const role of ['payments', 'leading ledger'])
        add(`SIGSTOP 60 s ${role}`, 0.3, {inject: blow(role, 'SIGSTOP'), lasts: 60000, end: (run, hit) => wake(hit), longest: 60000, apart: true, beside: true});
    for (const role of ['broker', 'network'])
        add(`SIGSTOP 60 s ${role}`, 0.3, {inject: blow(role, 'SIGSTOP'), lasts: 60000, end: (run, hit) => wake(hit), longest: 180000});

    // What the measurement takes by itself.
    for (const heard of [false, true])
        add(`(nothing${heard ? ', until heard of' : ''})`, 3, {control: true, heard, inject: () => ({what: 'control', at: Date.now()})});

    add('kill -9 supervisor', 2, {async inject(run) {
        run.instance.processes();
        const pid = run.instance.supervisor;
        if (!pid || !isAlive(pid)) return undefined;
        process.kill(pid, 'SIGKILL');
        const at = Date.now();
        await run.instance.startSupervisor();
        return {what: `supervisor (${pid}), started again`, at};
    }});
    add('kill -9 Postgres', 3, {limit: 5000, longest: 6000, async inject(run) {
        const pid = killPostgres(run.instance);
        return pid && {what: `postmaster ${pid} and its processes`, at: Date.now()};
    }});
    add('kill -9 postmaster alone', 1, {limit: 5000, longest: 6000, inject: blow('postgres', 'SIGKILL')});
    add('session of the ledger ended in COMMIT', 3, {inject: endSessions('ledger')});
    add('session of webhooks ended in COMMIT', 1, {inject: endSessions('webhooks'), heard: true});
    add('kill -9 everything at once', 2, {limit: 15000, longest: 6000, async inject(run) {
        const all = run.instance.processes().filter((p) => p.pid > 0);
        for (const {name, pid} of all) {
            try {
                if (name === 'postgres') killPostgres(run.instance);
                else process.kill(pid, 'SIGKILL');
            } catch {
                // ended by itself
            }
        }
        return {what: `${all.length} processes`, at: Date.now()};
    }});

    add('kill -9 Redis', 3, {inject: blow('redis', 'SIGKILL')});
    add('Redis FLUSHALL', 4, {inject: async (run) => await run.instance.redis('FLUSHALL') && {what: 'redis', at: Date.now()}});
    add('Redis hangs', 2, {lasts: 1500, apart: true, end() {}, inject: async (run) =>
        await run.instance.redis('CLIENT PAUSE 1500 ALL') && {what: 'redis', at: Date.now()}});

    for (const [kind, setting] of Object.entries({
        slow: {delay_ms: 400}, silent: {silent: 1}, 'answering twice': {double: 1}, late: {late_ms: 1500}, 'losing a fifth': {lose_percent: 20},
        'late and answering twice': {late_ms: 700, double: 1}}))
        add(`network ${kind}`, 1, {apart: true, lasts: 2000, inject: (run) => {
            run.instance.network(setting);
            return {what: JSON.stringify(setting), at: Date.now()};
        }, end: (run) => run.instance.network(undefined)});

    for (const mood of ['failing', 'hanging', 'cutting'])
        add(`webhook endpoints ${mood}`, 1, {apart: true, lasts: 3000, heard: true, inject: (run) => {
            const numbers = run.endpoints.filter((number) => number % 2 === 0);
            for (const number of numbers) run.receiver.moods.set(number, mood);
            return {what: `${numbers.length} endpoints`, at: Date.now()};
        }, end: (run) => run.receiver.moods.clear()});

    for (const link of linkNames)
        add(`link cut ${link.replace(/-\d?$/, '')}`, 1, {heard: link.startsWith('ledger_tap'), inject: (run) => {
            run.instance.orderDetour(`cut ${link}`);
            return {what: link, at: Date.now()};
        }});
    add('link closed 1 s', 3, {inject: (run) => {
        const link = run.random.one(linkNames);
        run.instance.orderDetour(`close ${link} 1000`);
        return {what: link, at: Date.now()};
    }, lasts: 1000, end() {}});
    add('link delayed by 150 ms', 3, {apart: true, lasts: 2000, inject: (run) => {
        const link = run.random.one(linkNames);
        run.instance.orderDetour(`delay ${link} 150 2000`);
        return {what: link, at: Date.now()};
    }, end() {}});
    add('link stalled 2 s', 3, {lasts: 2000, inject: (run) => {
        const link = run.random.one(linkNames);
        run.instance.orderDetour(`stall ${link} 2000`);
        return {what: link, at: Date.now()};
    }, end() {}});

    for (const point of instance.points) {
        if (lies.includes(point)) continue;
        const heard = point.startsWith('webhooks.');
        add(`failpoint ${point} kill`, 1, {...failpoint(point, 'kill'), group: 'failpoint: kill', heard});
        add(`failpoint ${point} abort`, 0.1, {...failpoint(point, 'abort'), group: 'failpoint: failed assertion', heard});
        add(`failpoint ${point} sleep 300 ms`, 0.3, {...failpoint(point, 'sleep', 300), group: 'failpoint: pause of 300 ms', heard});
        add(`failpoint ${point} stop 3 s`, 0.1, {...failpoint(point, 'stop', 3000), group: 'failpoint: SIGSTOP 3 s', longest: 4000, heard});
    }
    return faults;
}
