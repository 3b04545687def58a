/*
 * Devices that send confirmable CoAP messages (RFC 7252) over DTLS with a pre-shared key: libcoap
 * with OpenSSL. Each PUTs to /example_data of `coap-server`, and its message is delivered once that
 * has answered.
 */
#include "devices.h"

#include <arpa/inet.h>
#include <coap3/coap.h>
#include <string.h>

static const char key[] = "0123456789abcdef0123456789abcdef", identity[] = "device";
static coap_context_t *context;
static coap_session_t **sessions;
static coap_address_t server;

/* The session's number, kept as a pointer into `sessions`. */
static int device_of(const coap_session_t *session) {
    coap_session_t **place = coap_session_get_app_data(session);
    return (int)(place - sessions);
}

static int on_event(coap_session_t *session, coap_event_t event) {
    if (coap_session_get_app_data(session) == NULL)
        return 0;
    if (event == COAP_EVENT_DTLS_CONNECTED)
        load_connected(device_of(session));
    else if (event == COAP_EVENT_DTLS_CLOSED || event == COAP_EVENT_DTLS_ERROR)
        load_lost(device_of(session));
    return 0;
}

static coap_response_t on_response(coap_session_t *session, const coap_pdu_t *sent,
                                   const coap_pdu_t *received, const coap_mid_t id) {
    (void)sent;
    (void)id;
    if (COAP_RESPONSE_CLASS(coap_pdu_get_code(received)) == 2)
        load_delivered(device_of(session));
    else
        load_failed(device_of(session));
    return COAP_RESPONSE_OK;
}

static void on_nack(coap_session_t *session, const coap_pdu_t *sent,
                    const coap_nack_reason_t reason, const coap_mid_t id) {
    (void)sent;
    (void)reason;
    (void)id;
    load_failed(device_of(session));
}

void devices_start(const char *host, uint16_t port, int devices) {
    coap_startup();
    coap_set_log_level(LOG_CRIT);
    context = coap_new_context(NULL);
    sessions = calloc((size_t)devices, sizeof *sessions);
    coap_address_init(&server);
    server.size = sizeof server.addr.sin;
    server.addr.sin.sin_family = AF_INET;
    server.addr.sin.sin_port = htons(port);
    if (context == NULL || sessions == NULL ||
        inet_pton(AF_INET, host, &server.addr.sin.sin_addr) != 1)
        load_stop("no memory, or no IPv4 address");
    coap_register_event_handler(context, on_event);
    coap_register_response_handler(context, on_response);
    coap_register_nack_handler(context, on_nack);
}

void device_connect(int device) {
    coap_dtls_cpsk_t setup = {.version = COAP_DTLS_CPSK_SETUP_VERSION};
    setup.psk_info.identity = (coap_bin_const_t){sizeof identity - 1, (const uint8_t *)identity};
    setup.psk_info.key = (coap_bin_const_t){sizeof key - 1, (const uint8_t *)key};
    sessions[device] =
        coap_new_client_session_psk2(context, NULL, &server, COAP_PROTO_DTLS, &setup);
    if (sessions[device] == NULL)
        load_stop("a CoAP session cannot be made: are there descriptors left (ulimit -n)?");
    coap_session_set_app_data(sessions[device], &sessions[device]);
}

void device_send(int device, const uint8_t *payload, size_t len) {
    static const char path[] = "example_data";
    coap_session_t *session = sessions[device];
    coap_pdu_t *message =
        coap_pdu_init(COAP_MESSAGE_CON, COAP_REQUEST_CODE_PUT, coap_new_message_id(session),
                      coap_session_max_pdu_size(session));
    uint8_t token[8];
    size_t token_len = 0;
    coap_session_new_token(session, &token_len, token);
    if (message == NULL || !coap_add_token(message, token_len, token) ||
        coap_add_option(message, COAP_OPTION_URI_PATH, sizeof path - 1, (const uint8_t *)path) ==
            0 ||
        !coap_add_data(message, len, payload) || coap_send(session, message) == COAP_INVALID_MID)
        load_failed(device);
}

int devices_descriptor(void) {
    return coap_context_get_coap_fd(context);
}

void devices_work(void) {
    coap_io_process(context, COAP_IO_NO_WAIT);
}
