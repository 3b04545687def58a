// Eclipse Mosquitto's client library (apt: libmosquitto-dev).
#include <mosquitto.h>
#include <mqtt_protocol.h>
