"""Department simulators: a seeded world of subjects and records behind the departments' real protocols.

``universe`` draws (or reads) the subjects, ``history`` what happened to them as ``practices/*.yaml`` say each
department acts, ``layouts`` lays both out in each department's own columns, and three edges serve them:
``market_database`` (PostgreSQL), ``sharing_server`` (the provincial data-sharing HTTP API) and ``file_drop``
(GB18030 CSV and XLSX). ``province`` lands all of it without any of them. The same seed and reference date give
the same bytes. Everything is synthetic: organisation codes are drawn from a range that is not issued, resident
numbers carry the sequence ``000`` and births before 1910.
"""
