"""Airflow: DAGs made from the department and model files, and what their tasks need. Imported by ``dags/`` only.

Building a DAG reads YAML and nothing else: no connection, no variable, no clock. What
a task does it imports when it runs.
"""
