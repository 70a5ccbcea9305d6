"""Airflow DAGs ``department__<id>``: one a file of connectors/departments; see gateway.airflow.generation."""  # noqa: INP001

import os

from gateway.airflow.generation import generate_department_dags

globals().update(generate_department_dags(os.environ))
