#!/usr/bin/env python3
"""Holds rows.txt against the tests: every row of the list stands there, and each test that it names is in
its file, ran in the last ./florin test, and passed. Without --ran, only that it is there is checked."""
import pathlib
import re
import sys

here = pathlib.Path(__file__).resolve().parent
root = here.parent.parent
wanted = [f"H{n}" for n in range(1, 152)] + [f"Z{n}" for n in range(1, 35)] + [f"M{n}" for n in range(1, 22)] + \
         ["C1"] + [f"API{n}" for n in range(1, 11)]
ran = "--ran" in sys.argv[1:]
if set(sys.argv[1:]) - {"--ran"}:
    sys.exit("usage: check_rows.py [--ran]\nExample: tests/hostile/check_rows.py --ran")

complaints = []
shown, without, used = {}, {}, set()


def expand(text):
    for part in text.split(","):
        first, _, last = part.partition("-")
        letters, low = re.fullmatch(r"([A-Z]+)(\d+)", first).groups()
        high = re.fullmatch(r"[A-Z]+(\d+)", last).group(1) if last else low
        yield from (f"{letters}{n}" for n in range(int(low), int(high) + 1))


def text_of(path):
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None


logs = {}


def log_of(name):
    if name not in logs:
        logs[name] = text_of(root / "build/tests" / name)
    return logs[name]


unit_log = text_of(root / "build/dev/Testing/Temporary/LastTest.log") or ""


def problem_in_c(path, source, name):
    tests = re.findall(r"^Test\(\s*\w+,\s*(\w+)", source, re.M)
    tests += re.findall(r"^(?:ENDS|DIES)\w*\(\s*\w+,\s*(\w+)", source, re.M)
    if name != "*" and name not in tests:
        return "there is no such test in the file"
    if not ran:
        return None
    program = path.name[:-2]
    part = next((p for p in re.split(r"\n(?=\d+/\d+ Testing: )", unit_log) if re.search(rf'^Command: .*/{program}"', p, re.M)), None)
    if part is None:
        return f"{program} did not run"
    if not re.search(r"^Test Passed\.", part, re.M):
        return f"{program} did not pass"
    said = re.search(r"Synthesis: Tested: \D*(\d+)\D* \| Passing: \D*(\d+)", part)
    if said and (int(said[1]) < len(tests) or said[1] != said[2]):
        return f"{program} ran {said[1]} of its {len(tests)} tests"
    return None


def problem_in_script(path, source, name):
    """Titles of node's tests, and what the scripts of tests/ print, stand in the log of their folder."""
    plain = name.rstrip(":")
    if path.suffix == ".js" and not re.search(r"^test\((['`\"])" + re.escape(name), source, re.M):
        return "there is no test whose title begins so"
    if path.suffix in (".mjs", ".py") and plain not in source:
        return "nothing in the file prints that"
    if not ran:
        return None
    log = log_of(f"{path.relative_to(root / 'tests').parts[0]}-run.sh.log")
    if log is None:
        return "its folder's tests did not run"
    mark = "✔ " if path.suffix == ".js" else r"(?:ok +)"
    if not re.search(rf"^\s*{mark}{re.escape(name)}", log, re.M):
        return "it did not run, or did not pass"
    return None


for number, line in enumerate((here / "rows.txt").read_text().splitlines(), 1):
    if not line.strip() or line.startswith("#"):
        continue
    rows, where, name = line.split(" ", 2)
    for row in expand(rows):
        if row not in wanted:
            complaints.append(f"line {number}: there is no row {row}")
        (without if where == "-" else shown).setdefault(row, []).append(name)
    if where == "-":
        continue
    path = root / where
    source = text_of(path)
    used.add((where, name))
    problem = "there is no such file" if source is None else (problem_in_c if path.suffix == ".c" else problem_in_script)(path, source, name)
    if problem:
        complaints.append(f"line {number}: {where}: {name}: {problem}")
for row in wanted:
    if row not in shown and row not in without:
        complaints.append(f"{row} stands nowhere")
    if row in shown and row in without:
        complaints.append(f"{row} has a test and a reason why it has none")

for complaint in complaints:
    print(f"FAILED {complaint}")
print(f"{len(shown)} rows of {len(wanted)} are shown by {len(used)} tests; {len(without)} have none, each with its reason: {', '.join(without)}")
print(f"{0 if complaints else 1} passed, {len(complaints)} failed")
sys.exit(bool(complaints))
