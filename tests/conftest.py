"""What holds for every test: Airflow keeps its files in a folder of this session, not in the home of who runs it."""

from __future__ import annotations

import os
import tempfile

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-"))
