"""same_answers.py PORT KEY…: the same requests for each merchant; what is not chance must be the same."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/bench"))
import scale  # noqa: E402

told = [scale.perform(int(sys.argv[1]), secret) for secret in sys.argv[2:]]
odd = [words for words in (scale.difference(told[0], other) for other in told[1:]) if words]
print(*odd, sep="\n")
sys.exit(bool(odd) or len(told) < 2)
