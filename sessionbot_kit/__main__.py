"""`python -m sessionbot_kit` is the command `sessionbot`."""

import sys

from sessionbot_kit.cli import main

sys.exit(main())
