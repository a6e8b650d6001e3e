"""Flame graphs: perf's stacks, folded by process, drawn as SVG. Each box is a function; its width is
the share of CPU with it on the stack, what it called stands above it. Hover shows name and share."""

import html
import re
import subprocess
import zlib

WIDTH, ROW, LEAST = 1200, 16, 0.6
BYTES_MAX = 200_000  # they are committed: the narrowest boxes go until a picture is no larger


def record(pids, seconds, data, frequency=199):
    subprocess.run(["perf", "record", "-q", "-F", str(frequency), "--call-graph", "dwarf,8192", "-p",
                    ",".join(map(str, pids)), "-o", str(data), "--", "sleep", str(seconds)],
                   check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def fold(data, name_of):
    """{process: {(outermost, …, innermost): samples}}"""
    script = subprocess.Popen(["perf", "script", "-i", str(data), "-F", "pid,tid,comm,ip,sym", "--no-inline"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace")
    folded, process, thread, stack = {}, None, None, []

    def end():
        if process is not None:
            rows = folded.setdefault(process, {})
            key = tuple([thread] + stack[::-1])
            rows[key] = rows.get(key, 0) + 1

    for line in script.stdout:
        if not line.strip():
            end()
            process, stack = None, []
        elif line[0] not in " \t" or re.match(r"\s*\S.*\s\d+/\d+\s*$", line):
            head = re.match(r"\s*(.*?)\s+(\d+)/(\d+)\s*$", line)
            if head:
                process, thread, stack = name_of(int(head[2])), head[1], []
        else:
            parts = line.split(None, 1)
            stack.append(re.sub(r"\+0x[0-9a-f]+$", "", parts[1].strip()) if len(parts) > 1 else "?")
    end()
    script.wait()
    return folded


def hottest(rows, count):
    """[(function, share of the samples in which it ran itself)], the most first."""
    alone = {}
    for stack, samples in rows.items():
        alone[stack[-1]] = alone.get(stack[-1], 0) + samples
    total = sum(rows.values())
    return [(name, samples / total) for name, samples in
            sorted(alone.items(), key=lambda row: -row[1])[:count]]


def share_in_kernel(rows):
    """Share of the samples in a system call, a fault or an interrupt."""
    inside = sum(samples for stack, samples in rows.items()
                 if any(name.startswith(("entry_SYSCALL", "asm_", "ret_from_fork")) for name in stack))
    return inside / sum(rows.values())


def draw(title, rows):
    least = LEAST
    while len(picture := draw_above(title, rows, least)) > BYTES_MAX:
        least *= 1.5
    return picture


def draw_above(title, rows, least):
    """Without the boxes that are narrower than so many pixels."""
    total = sum(rows.values())
    tree = {}
    for stack, count in rows.items():
        node = tree
        for name in stack:
            entry = node.setdefault(name, [0, {}])
            entry[0] += count
            node = entry[1]
    boxes, deepest = [], 0

    def lay(node, x, depth):
        nonlocal deepest
        for name, (count, below) in sorted(node.items()):
            width = count / total * WIDTH
            if width >= least:
                boxes.append((x, depth, width, name, count))
                deepest = max(deepest, depth)
                lay(below, x, depth + 1)
            x += width

    lay(tree, 0, 0)
    height = (deepest + 3) * ROW + 8
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
           'font-family="monospace" font-size="11">',
           '<rect width="100%" height="100%" fill="#fdfdf6"/>',
           f'<text x="4" y="14" font-weight="bold">{html.escape(title)}: {total} samples</text>']
    for x, depth, width, name, count in boxes:
        y = height - (depth + 1) * ROW - 4
        hue = zlib.crc32(name.encode()) % 55
        shown = html.escape(name[:int(width / 6.7)]) if width > 20 else ""
        out.append(f'<g><title>{html.escape(name)} {100 * count / total:.1f} %</title>'
                   f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{ROW - 1}" '
                   f'fill="hsl({hue},85%,68%)"/><text x="{x + 2:.1f}" y="{y + 11}">{shown}</text></g>')
    return "\n".join(out + ["</svg>", ""])
