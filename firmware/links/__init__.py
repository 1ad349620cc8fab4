"""How a node talks: payload codec, MQTT, wave to neighbours, outbox. Links never block control."""
