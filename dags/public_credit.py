"""Airflow DAG ``public_credit``: the five subject types of scoring/models; see gateway.airflow.generation."""  # noqa: INP001

import os

from gateway.airflow.generation import generate_public_credit_dags

globals().update(generate_public_credit_dags(os.environ))
