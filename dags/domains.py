"""Airflow DAGs ``domain__<id>``: one a domain of scoring/models; see gateway.airflow.generation."""  # noqa: INP001

import os

from gateway.airflow.generation import generate_domain_dags

globals().update(generate_domain_dags(os.environ))
