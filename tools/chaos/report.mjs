// report: what a run has shown, as text, JSON, HTML with a picture, and docs/CHAOS.md.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {checkout} from './instance.mjs';

const quantile = (sorted, part) => sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)];
const thousands = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, ',');

function spread(list) {
    const sorted = list.sort((a, b) => a - b);
    return {p50: quantile(sorted, 0.5) ?? null, p99: quantile(sorted, 0.99) ?? null, max: sorted.at(-1) ?? null};
}

// A row for each kind: how often, and the recovery times of those that had no other fault beside them.
function table(injected, name) {
    const rows = new Map();
    for (const fault of injected) {
        const row = rows.get(fault[name]) ?? {kind: fault[name], count: 0, alone: [], beside: [], limit: fault.limit, heard: fault.heard};
        rows.set(fault[name], row);
        row.count++;
        if (fault.ms !== undefined) (fault.alone ? row.alone : row.beside).push(fault.ms);
    }
    return [...rows.values()].sort((a, b) => (a.kind < b.kind ? -1 : 1)).map(({kind, count, alone, beside, limit, heard}) => {
        const sorted = alone.sort((a, b) => a - b);
        return {kind, count, heard, alone: sorted.length, p50: quantile(sorted, 0.5) ?? null, p99: quantile(sorted, 0.99) ?? null,
            max: sorted.at(-1) ?? null, ...(beside.length ? {maxBeside: Math.max(...beside)} : {}), ...(limit ? {limit} : {})};
    });
}

export function evaluate(result, options) {
    const {seed, minutes, date, failures} = result;
    const told = {seed, minutes, date, machine: `${os.cpus().length} cores, ${Math.round(os.totalmem() / 2 ** 30)} GiB, Linux ${os.release()}`,
        rate: options.rate, merchants: options.merchants, lanes: options.lanes, failpoints: options.failpoints ?? null, failures};
    if (!result.model) return told;
    const {load, nemesis, receiver, model, audit, webhooks} = result;
    const {lost, doubled, wrong} = model.problems;
    const real = nemesis.injected.filter((fault) => !fault.kind.startsWith('(nothing'));
    const seconds = (load.ended - load.begun) / 1000;
    Object.assign(told, {
        seconds: Math.round(seconds), payments: load.payments, perSecond: Math.round(load.payments / seconds),
        requests: model.counts.requests, refunds: model.counts.refunds, scenes: Object.fromEntries([...load.played].sort()),
        faults: real.length, kinds: new Set(real.map((fault) => fault.kind)).size, groups: new Set(real.map((fault) => fault.group)).size,
        points: new Set(nemesis.injected.filter((fault) => fault.kind.startsWith('failpoint ')).map((fault) => fault.kind.split(' ')[1])).size,
        pointsThereAre: nemesis.instance.points.length, unreached: nemesis.unreached.length,
        errorsSeen: load.wrong.length, lost: lost.length, doubled: doubled.length, wrong: wrong.length,
        toldToBeginAgain: load.counts.again, keysAskedAgain: result.repeated,
        borne: Object.fromEntries([...load.counts.borne].sort((a, b) => b[1] - a[1])),
        webhooks: {due: webhooks.due, missing: webhooks.missing.length, delivered: receiver.deliveries,
            twice: [...receiver.heard.values()].filter((times) => times > 1).length, refused: receiver.refused, forged: receiver.forged},
        heardAfter: spread(load.heardAfter.map(([, ms]) => ms)),
        audit: audit.clean, auditSeconds: Math.round(result.auditMs / 100) / 10,
        table: table(nemesis.injected, 'group'), usage: result.usage,
        marks: Array.from({length: Math.ceil(seconds)}, (_, i) => load.marks[i] ?? 0),
        timeline: real.map(({kind, group, what, at, ms, lasted, alone}) =>
            ({kind, group, what, at: at - load.begun, ms: ms ?? null, ...(lasted ? {lasted} : {}), alone})),
    });
    const fail = (count, words, examples = []) => count && failures.push(`${count} ${words}${examples.length ? `, as: ${examples.slice(0, 5).join('; ')}` : ''}`);
    fail(load.wrong.length, 'errors that clients have seen', load.wrong);
    fail(lost.length, 'lost', lost);
    fail(doubled.length, 'doubled', doubled);
    fail(wrong.length, 'wrong', wrong);
    fail(nemesis.wrong.length, 'faults without recovery', nemesis.wrong);
    fail(webhooks.missing.length, 'events that an endpoint never heard of', webhooks.missing);
    fail(receiver.forged, 'webhooks with a wrong signature');
    if (!audit.clean) failures.push(`florin audit:\n${audit.text}`);
    const controlOf = ({heard}) => told.table.find((row) => row.kind.startsWith('(nothing') && row.heard === heard);
    for (const row of told.table) {
        if (row.limit && options.shared) row.limit = 2 * row.limit + 10 * (controlOf(row)?.p99 ?? 0);
        if (row.limit && row.p99 > row.limit) failures.push(`${row.kind}: recovery p99 of ${row.p99} ms, more than ${row.limit}`);
    }
    fail(real.length === 0 ? 1 : 0, 'run without a fault');
    return told;
}

// --- words

function sentences(t) {
    return [
        `${thousands(t.payments)} payments in ${t.seconds} s (${t.perSecond}/s) of ${t.merchants} merchants, ${thousands(t.requests)} requests,` +
            ` ${thousands(t.refunds)} refunds`,
        `${t.faults} faults of ${t.groups} kinds, at ${t.points} of ${t.pointsThereAre} failpoints among them (seed ${t.seed})`,
        `errors seen by clients that retry: ${t.errorsSeen}`,
        `lost: ${t.lost}   doubled: ${t.doubled}   wrong answers: ${t.wrong}`,
        `${thousands(t.keysAskedAgain)} keys asked once more at the end: each answered as the first time, to the byte, unless counted as wrong above`,
        `webhooks: ${thousands(t.webhooks.due)} due, ${t.webhooks.missing} missing, ${t.webhooks.twice} heard more than once,` +
            ` ${t.webhooks.refused} refused by endpoints that were made to fail; heard of after the client was told: p50 ${t.heardAfter.p50} ms,` +
            ` p99 ${t.heardAfter.p99} ms, faults and all`,
        `florin audit: ${t.audit ? 'clean' : 'NOT CLEAN'} ${t.auditSeconds} s after the last fault`,
        `told to begin again with a new key, because what had begun was taken back: ${t.toldToBeginAgain}`,
        `borne by the clients on the way: ${Object.entries(t.borne).map(([what, times]) => `${times} × ${what}`).join(', ') || 'nothing'}`,
    ];
}

const cells = (row) => [row.kind, row.count, row.p50 ?? '', row.p99 ?? '', row.max ?? '', row.limit ? `< ${row.limit}` : '', row.maxBeside ?? ''];
const columns = ['fault', 'times', 'p50 ms', 'p99 ms', 'max ms', 'p99 must be', 'max beside others'];

function textTable(t) {
    const rows = [columns, ...t.table.map(cells)].map((row) => row.map(String));
    const widths = columns.map((_, i) => Math.max(...rows.map((row) => row[i].length)));
    return rows.map((row) => row.map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join('  ')).join('\n');
}

function text(t) {
    if (!t.table) return `florin chaos, seed ${t.seed}: it did not come to an end.\n${t.failures.join('\n')}\n`;
    return `Florin under chaos, ${t.date.slice(0, 10)}, ${t.minutes} minutes, seed ${t.seed}\n\n${sentences(t).join('\n')}\n\n` +
        `Recovery: until every merchant has had a payment that was begun after the blow (or after the end of a\ncondition) and succeeded.\n\n` +
        `${textTable(t)}\n\n${t.failures.length ? t.failures.map((failure) => `FAILED  ${failure}`).join('\n') : 'All of it holds.'}\n`;
}

export function sayReport(t, options) {
    process.stdout.write(`${text(t)}\nReport: ${path.join(options.report, 'report.html')}\n`);
}

// --- the picture

const escape = (words) => String(words).replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
const colors = {'kill': '#c0392b', 'SIGT': '#e67e22', 'SIGS': '#8e44ad', 'fail': '#2c6fbb', 'link': '#16866e', 'netw': '#7a6a00', 'webh': '#b0307a'};
const colorOf = (kind) => colors[kind.slice(0, 4)] ?? '#555';

// Payments each second above, faults below: one row for each family, a bar from the blow to the recovery.
function picture(t) {
    const left = 150, width = 1050, top = 24, high = 150, rowHigh = 16;
    const seconds = t.marks.length, x = (ms) => left + ms / 1000 / seconds * width;
    const most = Math.max(10, ...t.marks), y = (n) => top + high - n / most * high;
    const family = (fault) => (/^failpoint/.test(fault.kind) ? `failpoint ${fault.kind.split(' ')[1].split('.')[0]}` : fault.group.replace(/ \w+$/, (last) =>
        (/^(kill|SIG)/.test(fault.kind) ? last : /^(link|network|webhook)/.test(fault.kind) ? '' : last))).trim();
    const families = [...new Set(t.timeline.map(family))].sort();
    const tall = top + high + 30 + families.length * rowHigh + 10;
    const parts = [`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${left + width + 20} ${tall}" font-family="sans-serif" font-size="10">`,
        `<rect width="100%" height="100%" fill="#fff"/>`, `<text x="${left}" y="14" font-size="12">payments ended each second, and faults from the blow until all merchants are served again</text>`];
    for (const n of [0, Math.round(most / 2), most])
        parts.push(`<line x1="${left}" x2="${left + width}" y1="${y(n)}" y2="${y(n)}" stroke="#ddd"/><text x="${left - 6}" y="${y(n) + 3}" text-anchor="end">${n}</text>`);
    parts.push(`<path d="M${x(0)} ${y(0)} ${t.marks.map((n, i) => `L${x(i * 1000 + 500).toFixed(1)} ${y(n).toFixed(1)}`).join(' ')} L${x(seconds * 1000)} ${y(0)} Z"` +
        ` fill="#cfe3d4" stroke="#3b7a4b" stroke-width="0.8"/>`);
    const step = [5, 10, 30, 60, 120, 300, 600, 1800, 3600].find((one) => seconds / one <= 20) ?? 7200;
    for (let second = 0; second <= seconds; second += step)
        parts.push(`<text x="${x(second * 1000)}" y="${top + high + 14}" text-anchor="middle">${second >= 60 && second % 60 === 0 ? `${second / 60} min` : `${second} s`}</text>`);
    families.forEach((name, i) => {
        const at = top + high + 26 + i * rowHigh;
        parts.push(`<text x="${left - 6}" y="${at + 10}" text-anchor="end">${escape(name)}</text><line x1="${left}" x2="${left + width}" y1="${at + 14}" y2="${at + 14}" stroke="#f0f0f0"/>`);
        for (const fault of t.timeline.filter((one) => family(one) === name)) {
            const length = Math.max(fault.lasted ?? 0, fault.ms ?? 90000);
            parts.push(`<rect x="${x(fault.at).toFixed(1)}" y="${at + 2}" width="${Math.max(1.2, length / 1000 / seconds * width).toFixed(1)}" height="11"` +
                ` fill="${colorOf(fault.kind)}" opacity="0.75"><title>${escape(`${(fault.at / 1000).toFixed(1)} s: ${fault.kind}, ${fault.what}; ${fault.ms} ms`)}</title></rect>`);
        }
    });
    parts.push('</svg>');
    return parts.join('\n');
}

function html(t) {
    const row = (list, tag) => `<tr>${list.map((cell, i) => `<${tag}${i ? ' class="n"' : ''}>${escape(cell)}</${tag}>`).join('')}</tr>`;
    return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Florin under chaos</title>
<style>body{font:15px/1.5 sans-serif;max-width:1240px;margin:2em auto;padding:0 1em}table{border-collapse:collapse;font-size:13px}
td,th{padding:2px 10px;border-bottom:1px solid #ddd;text-align:left}.n{text-align:right}.bad{color:#b00020}</style>
<h1>Florin under chaos</h1><p>${escape(t.date)}, ${t.minutes} minutes, seed ${t.seed}, ${escape(t.machine)}</p>
<ul>${sentences(t).map((sentence) => `<li>${escape(sentence)}`).join('')}</ul>
${t.failures.map((failure) => `<pre class="bad">FAILED ${escape(failure)}</pre>`).join('')}
${picture(t)}
<h2>Recovery</h2><p>Until every merchant has had a payment that was begun after the blow (or after the end of a condition) and succeeded;
after faults of the webhooks, until every merchant has heard of one.</p>
<table>${row(columns, 'th')}${t.table.map((one) => row(cells(one), 'td')).join('')}</table>
<h2>Every fault</h2><table>${row(['s', 'fault', 'what', 'ms'], 'th')}${t.timeline.map((one) => row([(one.at / 1000).toFixed(1), one.kind, one.what, one.ms ?? ''], 'td')).join('')}</table></html>
`;
}

function document(t) {
    return `# Florin under chaos

Made by \`./florin chaos --minutes ${t.minutes} --seed ${t.seed} --document\` on ${t.date.slice(0, 10)}, on a machine with ${t.machine}. What the run does and what
it holds against what is in [tools/chaos](../tools/chaos/README.md). The load generator and everything that is measured share the machine.

![Payments each second, and every fault until the recovery from it](chaos.svg)

${sentences(t).map((sentence) => `- ${sentence}`).join('\n')}

${t.failures.length ? t.failures.map((failure) => `**Failed:** ${failure}\n`).join('\n') : 'All of it holds.\n'}
## Recovery

Until *every* merchant has had a payment that was begun after the blow (or after the end of a condition) and succeeded; after faults of
the webhooks, until every merchant has heard of one. p50, p99 and max are of the faults that no other one lasted beside.

| ${columns.join(' | ')} |
|---|${columns.slice(1).map(() => '--:').join('|')}|
${t.table.map((row) => `| ${cells(row).join(' | ')} |`).join('\n')}

## What the merchants did

| scene | times |
|---|--:|
${Object.entries(t.scenes).map(([name, times]) => `| ${name} | ${thousands(times)} |`).join('\n')}
`;
}

export function writeReport(t, options) {
    const write = (name, words) => fs.writeFileSync(path.join(options.report, name), words);
    write('report.json', JSON.stringify(t, undefined, 1));
    write('report.txt', text(t));
    if (!t.table) return;
    write('timeline.svg', picture(t));
    write('report.html', html(t));
    if (!options.document) return;
    fs.writeFileSync(path.join(checkout, 'docs/CHAOS.md'), document(t));
    fs.writeFileSync(path.join(checkout, 'docs/chaos.svg'), picture(t));
}
