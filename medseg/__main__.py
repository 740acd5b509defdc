"""`python -m medseg` is `medseg`."""

from medseg.cli.main import main

raise SystemExit(main())
