"""What takes half an hour or more is seldom run together with the rest, and is kept beside the report.

`bench/long-runs.json` has the last run of each, with its date and the commit that was measured. A report
without a run of its own shows that one and says of when it is. A shorter run does not replace a longer
one, unless it is long enough to count.
"""

import json
import subprocess

from instance import fail

# Section of the report → what its length is counted in, and how much of it is aimed at.
ENOUGH = {"memory": ("minutes", 30), "seed": ("payments", 10_000_000)}
FILE = "long-runs.json"


def kept(pictures):
    path = pictures / FILE
    if not path.exists():
        return {}
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        fail(f"{path} cannot be read ({error}): restore it from git, or remove it.")


def commit_of(checkout):
    """Documents may differ from it: the run itself writes some."""
    def git(*words):
        return subprocess.run(["git", "-C", str(checkout), *words], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
    name = git("rev-parse", "--short", "HEAD").stdout.strip()
    changed = name and git("diff", "--quiet", "HEAD", "--", ".", ":!docs").returncode
    return (name or "unknown") + (" with changes" if changed else "")


def keep(pictures, name, section, date, checkout):
    """False: what is kept says more."""
    unit, enough = ENOUGH[name]
    sections = kept(pictures)
    if name in sections and section[unit] < min(sections[name][unit], enough):
        return False
    sections[name] = {**section, "date": date, "commit": commit_of(checkout)}
    pictures.mkdir(parents=True, exist_ok=True)
    (pictures / FILE).write_text(json.dumps(sections, indent=1) + "\n")
    return True


def completed(report, pictures):
    """The report with what earlier runs have seen of that which this one did not look at."""
    return {**{name: section for name, section in kept(pictures).items() if name in ENOUGH}, **report}


def when(section):
    """Of an earlier run; else nothing."""
    return f" (run of {section['date']}, {section['commit']})" if "date" in section else ""
