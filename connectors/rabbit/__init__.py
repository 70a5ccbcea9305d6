"""RabbitMQ: publish with confirms, consume with acknowledgements, look after dead letters; the only user of pika."""
