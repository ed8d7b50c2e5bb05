"""What libostree leaves behind when it is killed."""

import re

#: A ref that was not written to its end; it looks like another ref.
HALF_A_REF = re.compile(r"tmp\.[A-Za-z0-9]{6}")
