"""Airflow DAG ``housekeeping``: what the gateway does once a day of itself; see gateway.airflow.generation."""  # noqa: INP001

from gateway.airflow.generation import generate_housekeeping_dags

globals().update(generate_housekeeping_dags())
