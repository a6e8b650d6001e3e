// Rows of the list of bad inputs that need a whole Florin, and that no other test has: abuse, clients
// that go away, endpoints that lead inside, keys that are guessed. Each check begins with its rows.
import {execFileSync, spawnSync} from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import {ask, check, finish, home, inParallel, key, until, url} from './helpers.mjs';

const florin = (...words) => execFileSync(process.env.FLORIN, words, {encoding: 'utf8'});
function merchant(name) {
    const said = florin('merchant', '--name', name);
    return said.match(/^FLORIN_SECRET_KEY=(.*)$/m)[1];
}
const pay = {amount: 2000, currency: 'usd', payment_method: 'pm_card_visa', confirm: 'true', 'payment_method_types[]': 'card'};
const form = (params) => new URLSearchParams(params).toString();
const head = (method, target, more = '', body = '') => `${method} ${target} HTTP/1.1\r\nHost: ${url.host}\r\nAuthorization: Bearer ${key}\r\n${more}`
    + (body ? `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n` : '') + `\r\n${body}`;
const open = () => new Promise((resolve, reject) => {
    const socket = net.connect(url.port, url.hostname, () => resolve(socket));
    socket.on('error', reject);
});
const pids = () => JSON.parse(florin('status', '--json')).map((p) => `${p.name} ${p.pid}`).join();
const before = pids();

// --- clients that go away ------------------------------------------------------------------------
{
    const stamp = `gone-${Date.now()}`;
    for (let i = 0; i < 20; i++) {
        const socket = await open();
        socket.on('error', () => {});
        await new Promise((resolve) => socket.write(head('POST', '/v1/payment_intents', `Idempotency-Key: ${stamp}-${i}\r\n`,
            form({...pay, description: stamp})), resolve));
        if (i % 2) socket.resetAndDestroy(); else socket.destroy();
    }
    const answers = [];
    for (let i = 0; i < 20; i++) // "in use" while the first is under way
        answers.push(await until('the answer under its key', async () => {
            const answer = await ask('POST', '/v1/payment_intents', {params: {...pay, description: stamp}, headers: {'Idempotency-Key': `${stamp}-${i}`}});
            return answer.status === 409 ? null : answer;
        }));
    const list = (await ask('GET', '/v1/charges?limit=100')).json.data.filter((c) => c.description === stamp);
    check('H63 who goes away after sending has paid once, and is told so when it asks again',
        answers.every((a) => a.status === 200 && a.json.status === 'succeeded') && new Set(answers.map((a) => a.json.id)).size === 20 && list.length === 20);
}
{
    for (let i = 0; i < 1000; i++) {
        const socket = net.connect(url.port, url.hostname);
        socket.on('error', () => {});
        socket.on('connect', () => { if (i % 3) socket.write('GET /v1/bal'); socket.resetAndDestroy(); });
        if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    check('H62 a storm of connects and resets is survived', (await ask('GET', '/v1/balance')).status === 200 && pids() === before);
}

// --- keys --------------------------------------------------------------------------------------------
const other = merchant('Somebody else');
{
    const headers = {'Idempotency-Key': `shared-${Date.now()}`};
    const [mine, theirs] = [await ask('POST', '/v1/customers', {params: {name: 'mine'}, headers}), await ask('POST', '/v1/customers', {params: {name: 'theirs'}, headers, key: other})];
    check('H87 the same idempotency key of another merchant is another request', mine.status === 200 && theirs.status === 200
        && mine.json.id !== theirs.json.id && theirs.json.name === 'theirs' && !theirs.headers.get('idempotent-replayed'));
}
{
    const tail = key.slice('sk_test_'.length);
    const keys = [`sk_live_${tail}`, `rk_live_${tail}`, `rk_test_${tail}`, `pk_test_${tail}`, `sk_test_${tail}x`, `sk_test_${tail.slice(0, -1)}`,
        key.toUpperCase(), `${key} `.trim() + '\t'.trim() + '0'];
    const answers = await Promise.all(keys.map((k) => ask('GET', '/v1/balance', {key: k})));
    check('H80, H132 no key but the one that was made opens anything, with no other prefix: there are no live keys yet', answers.every((a) => a.status === 401));
}
{
    const guess = (i) => `sk_test_${String(i).padStart(32, '0')}`;
    const answers = await inParallel(2000, 16, (i) => ask('GET', '/v1/balance', {key: guess(i)}));
    const words = new Set(answers.map((a) => a.text.replace(/sk_test_\*+\w+/, 'KEY').replace(/"request_log_url.*\n/, '')));
    const near = await inParallel(200, 4, (i) => ask('GET', '/v1/balance', {key: i % 2 ? guess(9e6 + i) : key.slice(0, -6) + String(100000 + i)}));
    const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
    const [far, close] = [1, 0].map((odd) => median(near.filter((_, i) => i % 2 === odd).map((a) => a.ms)));
    check(`H147 a guess that is nearly right is told the same, and as late (${far.toFixed(1)} and ${close.toFixed(1)} ms)`,
        answers.every((a) => a.status === 401) && words.size === 1 && near.every((a) => a.status === 401) && Math.abs(far - close) < 2 + Math.min(far, close));
    check('H147 and whoever has a key is served meanwhile', (await Promise.all([ask('GET', '/v1/balance'), ...Array.from({length: 50}, (_, i) => ask('GET', '/v1/balance', {key: guess(5e6 + i)}))]))[0].status === 200);
}
{
    const made = await inParallel(200, 8, () => ask('POST', '/v1/customers', {key: other}));
    const tails = made.map((a) => a.json.id.slice(-14));
    const values = Array.from({length: 14}, (_, i) => new Set(tails.map((t) => t[i])).size);
    check(`H148 nobody guesses the next id: 14 characters of chance, each of ${Math.min(...values)} values at least among 200`,
        new Set(tails).size === 200 && Math.min(...values) > 40);
}

// --- abuse ---------------------------------------------------------------------------------------------
{
    const url17 = (i) => ask('POST', '/v1/webhook_endpoints', {params: {url: `https://example.com/${i}`, 'enabled_events[]': '*'}, key: other});
    const many = await inParallel(17, 8, url17);
    const last = await url17(17);
    check('H150 an account has 16 endpoints at most, also when it asks for all at once', many.filter((a) => a.status === 200).length === 16 && last.status === 400);
}
{
    const intent = (await ask('POST', '/v1/payment_intents', {params: {amount: 2000, currency: 'usd', 'payment_method_types[]': 'card'}})).json;
    const answers = await inParallel(400, 8, (i) => ask('POST', `/v1/payment_intents/${intent.id}`, {params: {[`metadata[k${i % 10}]`]: `v${i}`}}));
    const now = (await ask('GET', `/v1/payment_intents/${intent.id}`)).json;
    check('H151 hundreds of updates of one intent, several at a time, leave one intent with the last of each', answers.every((a) => [200, 409, 429].includes(a.status))
        && Object.keys(now.metadata).length === 10 && answers.filter((a) => a.status === 200).length >= 40);
}
{
    const customer = (await ask('POST', '/v1/customers', {})).json.id;
    const answers = await inParallel(110, 8, () => ask('POST', '/v1/payment_methods/pm_card_visa/attach', {params: {customer}}));
    const list = await ask('GET', `/v1/customers/${customer}/payment_methods?limit=1000`);
    check('H145 with many cards on one customer its lists stay bounded', answers.every((a) => a.status === 200) && list.json.data.length === 100 && list.json.has_more);
}
{
    const cards = ['pm_card_visa_chargeDeclined', 'pm_card_visa_chargeDeclinedInsufficientFunds', 'pm_card_chargeDeclined'];
    const small = await inParallel(150, 8, (i) => ask('POST', '/v1/payment_intents', {params: {...pay, amount: 50 + i % 7, payment_method: cards[i % 3]}}));
    const declined = small.filter((a) => a.status === 402 && a.error.type === 'card_error');
    check('H144 small payments with one bad card after another are declined one by one, and nothing is charged', declined.length >= 100
        && small.every((a) => a.status !== 200) && declined.every((a) => !a.json.error.payment_intent?.amount_received));
}
{
    const answers = await inParallel(300, 8, () => ask('GET', '/v1/customers?limit=100'));
    check('H149 a list that is read over and over has a hundred at most', answers.every((a) => [200, 429].includes(a.status) && !(a.json.data?.length > 100)));
}

// --- endpoints that lead inside (settings of this instance: private addresses are refused) ---------------------
{
    let visits = 0;
    const inside = http.createServer((request, response) => { visits++; response.end(); });
    await new Promise((resolve) => inside.listen(0, '0.0.0.0', resolve));
    const port = inside.address().port;
    const hosts = ['127.0.0.1', 'localhost', '2130706433', '0x7f.1', '0177.0.0.1', '127.1', '0.0.0.0', '[::1]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', 'localhost.'];
    const victim = merchant('Led inside');
    let made = 0;
    for (const host of hosts) {
        const answer = await ask('POST', '/v1/webhook_endpoints', {params: {url: `http://${host}:${port}/hook`, 'enabled_events[]': '*'}, key: victim});
        if (answer.status === 200) made++;
        else if (answer.status !== 400) check(`H136 ${host}: ${answer.text}`, false);
    }
    const bad = ['http://127.0.0.1:22/', 'https://user:pw@example.com/', 'https://example.com/#x', 'https://exa mple.com/', 'https://example.com/\r\nX: y', `https://${'a'.repeat(3000)}.example/`];
    const refused = await Promise.all(bad.slice(1).map((u) => ask('POST', '/v1/webhook_endpoints', {params: {url: u, 'enabled_events[]': '*'}, key: victim})));
    check('H135, H140, H141 URLs with a user, a fragment, white space or an endless host are refused', refused.every((a) => a.status === 400 && a.error.param === 'url'));
    const tried = () => fs.readdirSync(path.join(home, 'log')).filter((f) => /^webhooks-/.test(f))
        .map((f) => fs.readFileSync(path.join(home, 'log', f), 'utf8')).join('').split('\n').filter((l) => l.includes('webhook.failed')).length;
    const start = tried();
    await ask('POST', '/v1/customers', {key: victim});
    await until('each endpoint has been tried', () => tried() >= start + made, 30000);
    check(`H136, H137, H138, H142 no address inside is ever called, however it is written: ${made} endpoints tried, ${visits} visits`, made >= 5 && visits === 0);
    inside.close();
}

// --- the configuration -------------------------------------------------------------------------------------
{
    const text = (await ask('GET', '/v1/unknown%20thing')).text + (await ask('POST', '/v1/payment_intents', {params: {amount: 'x'}})).text;
    check('API8 errors tell nothing of the inside', !/\.c:|postgres|PQ|SELECT|\/tmp\/|assert|0x[0-9a-f]{6}/i.test(text));
    const folder = fs.mkdtempSync('/tmp/florin-hostile.');
    const cases = [['port = 70000', /port/], ['no_such_setting = 1', /no_such_setting/], ['port = 8420\nport = 8421', /port/], ['log_level = \xff\xfe', /./], ['x'.repeat(1 << 20), /./], ['port', /./]];
    const wrong = cases.filter(([text, words]) => {
        fs.writeFileSync(path.join(folder, 'florin.conf'), `${text}\n`, 'latin1');
        const run = spawnSync(path.join(path.dirname(process.env.FLORIN), 'build/release/bin/florin-gateway'), ['--home', folder, '--name', 'gateway-1'], {encoding: 'utf8', timeout: 20000});
        return !(run.status === 1 && run.stderr.trim().split('\n').length === 1 && words.test(run.stderr));
    });
    fs.rmSync(folder, {recursive: true});
    check(`C1 a configuration that is wrong is one sentence and exit 1${wrong.length ? `: not for ${wrong.map(([t]) => t.slice(0, 20))}` : ''}`, wrong.length === 0);
}

check('all processes are those that they were', pids() === before);
finish();
