#include "ouroboros/status.h"

const char *ouro_status_name(ouro_status status) {
    switch (status) {
    case OURO_OK:
        return "ok";
    case OURO_DROP_MALFORMED:
        return "malformed";
    case OURO_DROP_SESSION:
        return "unknown_session";
    case OURO_DROP_AUTH:
        return "authentication";
    case OURO_DROP_REPLAY:
        return "replay";
    case OURO_DROP_AHEAD:
        return "ahead";
    case OURO_DROP_DUPLICATE:
        return "duplicate";
    case OURO_DROP_BUSY:
        return "busy";
    case OURO_DROP_CLOSED:
        return "closed";
    case OURO_DROP_NONSENSE:
        return "nonsense";
    case OURO_DROP_HANDSHAKE:
        return "handshake";
    case OURO_DROP_EPOCH:
        return "epoch";
    case OURO_DROP_LIMIT:
        return "limit";
    case OURO_DROP_KIND:
        return "kind";
    case OURO_DROP_TRANSPORT:
        return "transport";
    case OURO_ERR_ARGUMENT:
        return "argument";
    case OURO_ERR_STATE:
        return "state";
    case OURO_ERR_TOO_LARGE:
        return "too_large";
    case OURO_ERR_NO_PLACE:
        return "no_place";
    case OURO_ERR_CRYPTO:
        return "crypto";
    case OURO_ERR_DAMAGED:
        return "damaged";
    case OURO_ERR_SEQ:
        return "seq";
    case OURO_END_LIMIT:
        return "limit_reached";
    case OURO_END_CLOSED:
        return "session_closed";
    case OURO_END_STREAM:
        return "stream_broken";
    }
    return "unknown";
}
