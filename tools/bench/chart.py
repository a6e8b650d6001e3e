"""Lines over time as SVG, with limits drawn across."""

import html

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 900, 420, 56, 150, 34, 40


def step_of(most):
    """A round step that divides an axis into four to ten."""
    step = 1
    while most / step > 8:
        step *= 2.5 if str(step)[0] == "2" else 2
    return step


def draw(title, across, up, series, limits=()):
    """series: {name: [(x, y)]}; limits: [(name, y)]; across and up say what the axes are."""
    x_most = max((x for points in series.values() for x, _ in points), default=1) or 1
    y_most = max([y for points in series.values() for _, y in points] + [y for _, y in limits] + [1]) * 1.05

    def at(x, y):
        return (LEFT + x / x_most * (WIDTH - LEFT - RIGHT),
                HEIGHT - BOTTOM - y / y_most * (HEIGHT - TOP - BOTTOM))

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
           'font-family="sans-serif" font-size="12">', '<rect width="100%" height="100%" fill="#fff"/>',
           f'<text x="{LEFT}" y="20" font-size="14" font-weight="bold">{html.escape(title)}</text>']
    y = 0
    while y <= y_most:
        _, line = at(0, y)
        out.append(f'<path d="M{LEFT} {line:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 6}" y="{line + 4:.1f}" text-anchor="end">{y:g}</text>')
        y += step_of(y_most)
    x = 0
    while x <= x_most:
        column, _ = at(x, 0)
        out.append(f'<text x="{column:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{x:g}</text>')
        x += step_of(x_most)
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">'
               f'{html.escape(across)}</text><text x="4" y="{TOP - 2}" font-size="11">{html.escape(up)}</text>')
    for name, y in limits:
        _, line = at(0, y)
        out.append(f'<path d="M{LEFT} {line:.1f}H{WIDTH - RIGHT}" stroke="#c00" stroke-dasharray="6 4"/>'
                   f'<text x="{WIDTH - RIGHT + 4}" y="{line + 4:.1f}" fill="#c00">{html.escape(name)}</text>')
    # Names at the ends of their lines, pushed apart where they would cover each other.
    lowest = HEIGHT
    for number, (name, points) in enumerate(sorted(series.items(), key=lambda row: row[1][-1][1])):
        hue = number * 360 // max(len(series), 1)
        path = " ".join("{:.1f},{:.1f}".format(*at(x, y)) for x, y in points)
        lowest = min(lowest - 13, at(*points[-1])[1] + 4)
        out.append(f'<polyline points="{path}" fill="none" stroke="hsl({hue},65%,42%)" stroke-width="1.5"/>'
                   f'<text x="{WIDTH - RIGHT + 4}" y="{lowest:.1f}" fill="hsl({hue},65%,35%)" font-size="11">'
                   f'{html.escape(name)}</text>')
    return "\n".join(out + ["</svg>", ""])
