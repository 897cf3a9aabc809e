"""`python -m layerlaws` is `layerlaws`."""

import sys

from layerlaws.cli import main

sys.exit(main())
