/* The linker puts these in front of the tests' own calls of the engine (--wrap). */
#include "secrets.h"

#include <string.h>

ouro_status __real_ouro_link_receive(ouro_link *link, uint64_t now, const ouro_addr *from,
                                     uint8_t *packet, size_t len);
ouro_status __wrap_ouro_link_receive(ouro_link *link, uint64_t now, const ouro_addr *from,
                                     uint8_t *packet, size_t len);
ouro_status __real_ouro_link_transmit(ouro_link *link, uint64_t now, uint8_t *scratch,
                                      ouro_datagram *out);
ouro_status __wrap_ouro_link_transmit(ouro_link *link, uint64_t now, uint8_t *scratch,
                                      ouro_datagram *out);
ouro_status __real_ouro_link_nonce(ouro_link *link, const uint8_t *nonce);
ouro_status __wrap_ouro_link_nonce(ouro_link *link, const uint8_t *nonce);
ouro_status __real_ouro_link_send(ouro_link *link, uint64_t now, const ouro_message *message,
                                  uint32_t *id);
ouro_status __wrap_ouro_link_send(ouro_link *link, uint64_t now, const ouro_message *message,
                                  uint32_t *id);
ouro_status __real_ouro_link_prepare(ouro_link *link, size_t body_len);
ouro_status __wrap_ouro_link_prepare(ouro_link *link, size_t body_len);
ouro_status __real_ouro_link_save(ouro_link *link, uint64_t now, uint8_t *out, size_t cap,
                                  size_t *len);
ouro_status __wrap_ouro_link_save(ouro_link *link, uint64_t now, uint8_t *out, size_t cap,
                                  size_t *len);
ouro_status __real_ouro_link_restore(ouro_link *link, uint64_t now, uint64_t slept, uint8_t *saved,
                                     size_t len);
ouro_status __wrap_ouro_link_restore(ouro_link *link, uint64_t now, uint64_t slept, uint8_t *saved,
                                     size_t len);
ouro_status __real_ouro_server_hello(ouro_server *server, uint64_t now, ouro_device *device,
                                     const ouro_link *link, const uint8_t *packet, size_t len,
                                     uint32_t session_id, const uint8_t *nonce, uint8_t *welcome,
                                     bool *moved);
ouro_status __wrap_ouro_server_hello(ouro_server *server, uint64_t now, ouro_device *device,
                                     const ouro_link *link, const uint8_t *packet, size_t len,
                                     uint32_t session_id, const uint8_t *nonce, uint8_t *welcome,
                                     bool *moved);
ouro_status __real_ouro_server_open(ouro_server *server, uint64_t now, ouro_pending *pending,
                                    uint8_t *packet, size_t len, ouro_opened *opened);
ouro_status __wrap_ouro_server_open(ouro_server *server, uint64_t now, ouro_pending *pending,
                                    uint8_t *packet, size_t len, ouro_opened *opened);
ouro_status __real_ouro_server_adopt(ouro_server *server, uint64_t now, ouro_pending *pending,
                                     ouro_link *link, const ouro_addr *from,
                                     const ouro_opened *opened, bool *moved);
ouro_status __wrap_ouro_server_adopt(ouro_server *server, uint64_t now, ouro_pending *pending,
                                     ouro_link *link, const ouro_addr *from,
                                     const ouro_opened *opened, bool *moved);
void __real_ouro_link_tick(ouro_link *link, uint64_t now);
void __wrap_ouro_link_tick(ouro_link *link, uint64_t now);
uint64_t __real_ouro_server_tick(ouro_server *server, uint64_t now);
uint64_t __wrap_ouro_server_tick(ouro_server *server, uint64_t now);

ouro_status __wrap_ouro_link_receive(ouro_link *link, uint64_t now, const ouro_addr *from,
                                     uint8_t *packet, size_t len) {
    secrets_before_call();
    ouro_status status = __real_ouro_link_receive(link, now, from, packet, len);
    secrets_after_call("ouro_link_receive");
    return status;
}

ouro_status __wrap_ouro_link_transmit(ouro_link *link, uint64_t now, uint8_t *scratch,
                                      ouro_datagram *out) {
    secrets_before_call();
    ouro_status status = __real_ouro_link_transmit(link, now, scratch, out);
    secrets_after_call("ouro_link_transmit");
    return status;
}

ouro_status __wrap_ouro_link_nonce(ouro_link *link, const uint8_t *nonce) {
    secrets_before_call();
    ouro_status status = __real_ouro_link_nonce(link, nonce);
    secrets_after_call("ouro_link_nonce");
    return status;
}

ouro_status __wrap_ouro_link_send(ouro_link *link, uint64_t now, const ouro_message *message,
                                  uint32_t *id) {
    secrets_before_call();
    ouro_status status = __real_ouro_link_send(link, now, message, id);
    secrets_after_call("ouro_link_send");
    return status;
}

ouro_status __wrap_ouro_link_prepare(ouro_link *link, size_t body_len) {
    secrets_before_call();
    ouro_status status = __real_ouro_link_prepare(link, body_len);
    secrets_after_call("ouro_link_prepare");
    return status;
}

ouro_status __wrap_ouro_link_save(ouro_link *link, uint64_t now, uint8_t *out, size_t cap,
                                  size_t *len) {
    secrets_before_call();
    ouro_status status = __real_ouro_link_save(link, now, out, cap, len);
    secrets_after_call("ouro_link_save");
    return status;
}

ouro_status __wrap_ouro_link_restore(ouro_link *link, uint64_t now, uint64_t slept, uint8_t *saved,
                                     size_t len) {
    secrets_before_call();
    ouro_status status = __real_ouro_link_restore(link, now, slept, saved, len);
    secrets_after_call("ouro_link_restore");
    return status;
}

ouro_status __wrap_ouro_server_hello(ouro_server *server, uint64_t now, ouro_device *device,
                                     const ouro_link *link, const uint8_t *packet, size_t len,
                                     uint32_t session_id, const uint8_t *nonce, uint8_t *welcome,
                                     bool *moved) {
    secrets_before_call();
    ouro_status status = __real_ouro_server_hello(server, now, device, link, packet, len,
                                                  session_id, nonce, welcome, moved);
    secrets_after_call("ouro_server_hello");
    return status;
}

ouro_status __wrap_ouro_server_open(ouro_server *server, uint64_t now, ouro_pending *pending,
                                    uint8_t *packet, size_t len, ouro_opened *opened) {
    secrets_before_call();
    ouro_status status = __real_ouro_server_open(server, now, pending, packet, len, opened);
    secrets_after_call("ouro_server_open");
    return status;
}

ouro_status __wrap_ouro_server_adopt(ouro_server *server, uint64_t now, ouro_pending *pending,
                                     ouro_link *link, const ouro_addr *from,
                                     const ouro_opened *opened, bool *moved) {
    secrets_before_call();
    ouro_status status = __real_ouro_server_adopt(server, now, pending, link, from, opened, moved);
    secrets_after_call("ouro_server_adopt");
    return status;
}

void __wrap_ouro_link_tick(ouro_link *link, uint64_t now) {
    secrets_before_call();
    __real_ouro_link_tick(link, now);
    secrets_after_call("ouro_link_tick");
}

uint64_t __wrap_ouro_server_tick(ouro_server *server, uint64_t now) {
    secrets_before_call();
    uint64_t next = __real_ouro_server_tick(server, now);
    secrets_after_call("ouro_server_tick");
    return next;
}

ouro_status __real_ouro_session_open_checked(ouro_session *session, const ouro_header *header,
                                             uint8_t *packet, ouro_body *body);
ouro_status __wrap_ouro_session_open_checked(ouro_session *session, const ouro_header *header,
                                             uint8_t *packet, ouro_body *body);
ouro_status __wrap_ouro_session_open_checked(ouro_session *session, const ouro_header *header,
                                             uint8_t *packet, ouro_body *body) {
    secrets_before_call();
    ouro_status status = __real_ouro_session_open_checked(session, header, packet, body);
    secrets_after_step("ouro_session_open_checked");
    return status;
}

ouro_status __real_ouro_session_protect(ouro_session *session, uint8_t type, uint8_t flags,
                                        uint8_t *packet, size_t body_len, uint64_t *counter);
ouro_status __wrap_ouro_session_protect(ouro_session *session, uint8_t type, uint8_t flags,
                                        uint8_t *packet, size_t body_len, uint64_t *counter);
ouro_status __wrap_ouro_session_protect(ouro_session *session, uint8_t type, uint8_t flags,
                                        uint8_t *packet, size_t body_len, uint64_t *counter) {
    secrets_before_call();
    ouro_status status =
        __real_ouro_session_protect(session, type, flags, packet, body_len, counter);
    secrets_after_step("ouro_session_protect");
    return status;
}

ouro_status __real_ouro_epoch_advance(uint8_t *key, uint64_t epoch, uint64_t steps);
ouro_status __wrap_ouro_epoch_advance(uint8_t *key, uint64_t epoch, uint64_t steps);
ouro_status __wrap_ouro_epoch_advance(uint8_t *key, uint64_t epoch, uint64_t steps) {
    secrets_before_call();
    ouro_status status = __real_ouro_epoch_advance(key, epoch, steps);
    secrets_after_step("ouro_epoch_advance");
    return status;
}

ouro_status __real_ouro_session_secrets(const uint8_t *ikm, const uint8_t *nonce_c,
                                        const uint8_t *nonce_s, const uint8_t *transcript,
                                        uint8_t *k_c2s, uint8_t *k_s2c);
ouro_status __wrap_ouro_session_secrets(const uint8_t *ikm, const uint8_t *nonce_c,
                                        const uint8_t *nonce_s, const uint8_t *transcript,
                                        uint8_t *k_c2s, uint8_t *k_s2c);
ouro_status __wrap_ouro_session_secrets(const uint8_t *ikm, const uint8_t *nonce_c,
                                        const uint8_t *nonce_s, const uint8_t *transcript,
                                        uint8_t *k_c2s, uint8_t *k_s2c) {
    uint8_t salt[2 * OURO_NONCE_SIZE];
    memcpy(salt, nonce_c, OURO_NONCE_SIZE);
    memcpy(salt + OURO_NONCE_SIZE, nonce_s, OURO_NONCE_SIZE);
    secrets_public(salt);
    secrets_before_call();
    ouro_status status =
        __real_ouro_session_secrets(ikm, nonce_c, nonce_s, transcript, k_c2s, k_s2c);
    secrets_after_step("ouro_session_secrets");
    return status;
}

ouro_status __real_ouro_auth_key(const uint8_t *key, uint64_t epoch, uint8_t *auth);
ouro_status __wrap_ouro_auth_key(const uint8_t *key, uint64_t epoch, uint8_t *auth);
ouro_status __wrap_ouro_auth_key(const uint8_t *key, uint64_t epoch, uint8_t *auth) {
    secrets_before_call();
    ouro_status status = __real_ouro_auth_key(key, epoch, auth);
    secrets_after_step("ouro_auth_key");
    return status;
}

ouro_status __real_ouro_handshake_session(ouro_session *session, ouro_role role,
                                          const ouro_credential *credential, const uint8_t *hello,
                                          size_t hello_len, const uint8_t *welcome,
                                          ouro_slot *slots, uint8_t reach);
ouro_status __wrap_ouro_handshake_session(ouro_session *session, ouro_role role,
                                          const ouro_credential *credential, const uint8_t *hello,
                                          size_t hello_len, const uint8_t *welcome,
                                          ouro_slot *slots, uint8_t reach);
ouro_status __wrap_ouro_handshake_session(ouro_session *session, ouro_role role,
                                          const ouro_credential *credential, const uint8_t *hello,
                                          size_t hello_len, const uint8_t *welcome,
                                          ouro_slot *slots, uint8_t reach) {
    secrets_before_call();
    ouro_status status = __real_ouro_handshake_session(session, role, credential, hello, hello_len,
                                                       welcome, slots, reach);
    secrets_after_step("ouro_handshake_session");
    return status;
}
